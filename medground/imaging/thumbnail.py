"""A small picture of a lesion and of what surrounds it."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BoxPx = tuple[float, float, float, float]

LARGEST_PX: Final = 128
_AROUND: Final = 2.0  # long sides of the lesion that the picture shows
_LEAST_PX: Final = 0.01  # of a box on the picture: what a box is rounded to
_LEAST_SHARE: Final = 0.2  # of the image's long side: a small lesion needs its surroundings to be placed by eye


def thumbnail(pixels_HW: NDArray[np.float32], box_xyxy_px: BoxPx) -> tuple[NDArray[np.uint8], BoxPx]:
    """Cut a lesion out with its surroundings, and make that small.

    Args:
        pixels_HW: displayed image, 0..1.
        box_xyxy_px: the lesion, pixels of the image.

    Returns:
        The picture, at most `LARGEST_PX` a side, and the lesion's box on it, at least a hundredth of a pixel a side.
    """
    rows, columns = pixels_HW.shape
    x1, y1, x2, y2 = box_xyxy_px
    side = max(_AROUND * max(x2 - x1, y2 - y1), _LEAST_SHARE * max(rows, columns))
    left, right = _span((x1 + x2) / 2, side, columns)
    top, bottom = _span((y1 + y2) / 2, side, rows)
    scale = LARGEST_PX / max(right - left, bottom - top)
    width, height = (max(1, round(scale * length)) for length in (right - left, bottom - top))
    grey = Image.fromarray(np.rint(np.clip(pixels_HW[top:bottom, left:right], 0, 1) * 255).astype(np.uint8))
    small = np.asarray(grey.resize((width, height), Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC))
    across, down = width / (right - left), height / (bottom - top)
    x1, x2 = _edges((x1 - left) * across, (x2 - left) * across, width)
    y1, y2 = _edges((y1 - top) * down, (y2 - top) * down, height)
    return small, (x1, y1, x2, y2)


def _edges(low: float, high: float, most: int) -> tuple[float, float]:
    """Both edges rounded, on the picture, and apart: a sliver has a width, too."""
    low, high = (float(np.clip(round(edge, 2), 0, most)) for edge in (low, high))
    if low < high:
        return low, high
    low = min(low, most - _LEAST_PX)
    return low, round(low + _LEAST_PX, 2)


def _span(middle: float, side: float, most: int) -> tuple[int, int]:
    """Whole pixels of a stretch around a middle, moved to lie on the image, and cut where it is longer than that."""
    length = min(max(1, round(side)), most)
    start = int(np.clip(round(middle - length / 2), 0, most - length))
    return start, start + length


def png_of(picture: NDArray[np.uint8]) -> bytes:
    """A grey picture as PNG, with nothing in it but its pixels."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return file.getvalue()
