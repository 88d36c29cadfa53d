"""Windows: rectangles of a stored image that are looked at on their own, at a magnification of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medground.imaging.letterbox import MULTIPLE_PX, Letterbox
from medground.imaging.preprocess import BLACK, ModelImage

BoxPx = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a stored image.

    Attributes:
        x1, y1, x2, y2: pixels of the stored image, 0 <= x1 < x2 <= columns.
        zoom: pixels of the model frame per stored pixel.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    zoom: float = 1.0

    def holds(self, box: BoxPx, margin_px: float = 0.0) -> bool:
        """Whether a box lies inside with a margin; the margin is in stored pixels."""
        inside_x = self.x1 + margin_px <= box[0] and box[2] <= self.x2 - margin_px
        return inside_x and self.y1 + margin_px <= box[1] and box[3] <= self.y2 - margin_px

    def holds_middle(self, box: BoxPx) -> bool:
        """Whether the middle of a box lies inside."""
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        return self.x1 <= x < self.x2 and self.y1 <= y < self.y2

    def shifted(self, box: BoxPx) -> BoxPx:
        """A box given in pixels of the window, in pixels of the image."""
        return box[0] + self.x1, box[1] + self.y1, box[2] + self.x1, box[3] + self.y1

    def cuts(self, box: BoxPx, columns: int, rows: int, border_px: float) -> bool:
        """Whether a box of the image ends where the window does and the image does not: it may go on beyond."""
        return (
            (box[0] < self.x1 + border_px and self.x1 > 0)
            or (box[1] < self.y1 + border_px and self.y1 > 0)
            or (box[2] > self.x2 - border_px and self.x2 < columns)
            or (box[3] > self.y2 - border_px and self.y2 < rows)
        )

    def image(self, full_HW: Tensor) -> ModelImage:
        """The window as the model's input; boxes come back in pixels of the window.

        Args:
            full_HW: the whole image at its stored size, standardised as a whole, so that a window looks as it does on
                the image, however dark it is.
        """
        columns, rows = self.x2 - self.x1, self.y2 - self.y1
        inner = [max(1, round(side * self.zoom)) for side in (columns, rows)]
        frame = [-(-side // MULTIPLE_PX) * MULTIPLE_PX for side in inner]
        box = Letterbox(columns, rows, inner[0], inner[1], frame[0], frame[1])
        part_HW = full_HW[self.y1 : self.y2, self.x1 : self.x2]
        return ModelImage(box.apply(part_HW, fill=BLACK), box, 0.0)


def centred(box: BoxPx, side_px: int, columns: int, rows: int, zoom: float) -> Window:
    """The square window around a box, moved into the image, and cut where the image is smaller."""
    x1, x2 = _along((box[0] + box[2]) / 2, side_px, columns)
    y1, y2 = _along((box[1] + box[3]) / 2, side_px, rows)
    return Window(x1, y1, x2, y2, zoom)


def _along(middle: float, side: int, length: int) -> tuple[int, int]:
    start = min(max(0, round(middle - side / 2)), max(0, length - side))
    return start, min(length, start + side)


def covering(
    boxes: Sequence[BoxPx], side_px: int, margin_px: float, columns: int, rows: int, zoom: float
) -> list[Window]:
    """Few square windows of one size that hold every box with a margin.

    The first box that is left takes with it the following ones that fit into its window. A box too large for the
    margin gets a window of its own, centred.

    Args:
        boxes: pixels of the stored image, the most important first.
        side_px: of every window, stored pixels.
        margin_px: stored pixels around each box, but for where the image ends.
        columns: of the image.
        rows: of the image.
        zoom: of the windows.
    """
    windows = []
    left = list(boxes)
    while left:
        bounds = left[0]
        for box in left[1:]:
            union = (min(bounds[0], box[0]), min(bounds[1], box[1]), max(bounds[2], box[2]), max(bounds[3], box[3]))
            if max(union[2] - union[0], union[3] - union[1]) + 2 * margin_px <= side_px:
                bounds = union
        window = centred(bounds, side_px, columns, rows, zoom)
        windows.append(window)
        left = [box for box in left[1:] if not window.holds(_held(box, bounds))]
    return windows


def _held(box: BoxPx, bounds: BoxPx) -> BoxPx:
    """The box, if it lies within the bounds that a window was made for; else one that no window holds."""
    inside = box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]
    return box if inside else (-1.0, -1.0, -1.0, -1.0)


def tiles(columns: int, rows: int, side_px: int, overlap_px: int) -> list[Window]:
    """Windows at full resolution that cover an image, each of at most `side_px`, neighbours sharing `overlap_px`."""
    return [
        Window(x1, y1, x2, y2)
        for y1, y2 in _cuts(rows, side_px, overlap_px)
        for x1, x2 in _cuts(columns, side_px, overlap_px)
    ]


def _cuts(length: int, side: int, overlap: int) -> Iterator[tuple[int, int]]:
    count = 1 if length <= side else -(-(length - overlap) // (side - overlap))
    size = -(-(length + overlap * (count - 1)) // count)
    for number in range(count):
        start = round(number * (length - size) / max(count - 1, 1))
        yield start, min(length, start + size)


def covered_share(windows: Sequence[Window], columns: int, rows: int) -> float:
    """Share of an image that lies in at least one window, 0..1."""
    if not windows:
        return 0.0
    x = np.unique([edge for w in windows for edge in (w.x1, w.x2)])
    y = np.unique([edge for w in windows for edge in (w.y1, w.y2)])
    seen: NDArray[np.bool_] = np.zeros((len(y) - 1, len(x) - 1), dtype=np.bool_)
    for w in windows:
        seen[
            np.searchsorted(y, w.y1) : np.searchsorted(y, w.y2), np.searchsorted(x, w.x1) : np.searchsorted(x, w.x2)
        ] = True
    return float((seen * np.diff(y)[:, None] * np.diff(x)[None]).sum() / (columns * rows))
