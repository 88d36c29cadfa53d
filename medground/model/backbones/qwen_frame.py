"""The exact map between stored pixels, Qwen's processor, the model frame and feature cells.

Continuous coordinates everywhere: x = 0 is the left edge of the first pixel. Stretching the whole image to
`inner` pixels makes the map a pure scale, x' = x * inner / stored, with no half-pixel terms.

Legend: B images, C channels, H W rows and columns, L patches of all images, N boxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medground.imaging.letterbox import Letterbox
from medground.schema.errors import UsageError

MAX_ASPECT = 200  # beyond it Qwen's processor refuses


class Spoken(StrEnum):
    """The frame in which a family writes boxes as text: resized pixels (2.5) or thousandths of each side (2 and 3)."""

    RESIZED_PIXELS = "resized_pixels"
    THOUSANDTHS = "thousandths"


SPOKEN = {"qwen2_vl": Spoken.THOUSANDTHS, "qwen2_5_vl": Spoken.RESIZED_PIXELS, "qwen3_vl": Spoken.THOUSANDTHS}


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """How a family cuts an image: patches of `patch_px`, joined `merge` by `merge`."""

    patch_px: int
    merge: int

    @property
    def multiple_px(self) -> int:
        """Sides of a frame are multiples of this: a merged cell."""
        return self.patch_px * self.merge

    @property
    def strides_px(self) -> tuple[int, int, int]:
        """Half a patch (upsampled), a patch, a merged cell."""
        return self.patch_px // 2, self.patch_px, self.multiple_px


@dataclass(frozen=True, slots=True)
class FrameMap:
    """The map of one image.

    Attributes:
        columns, rows: size of the stored image, pixels.
        inner_columns, inner_rows: size of the image within the frame, pixels; the rest is padding, right and bottom.
        frame_columns, frame_rows: size of the frame, multiples of a merged cell.
    """

    columns: int
    rows: int
    inner_columns: int
    inner_rows: int
    frame_columns: int
    frame_rows: int

    @classmethod
    def of_processor(cls, columns: int, rows: int, grid: PatchGrid, min_pixels: int, max_pixels: int) -> FrameMap:
        """The map of Qwen's own processor, which stretches the image over the whole frame.

        Source: `smart_resize`, Qwen2-VL, Wang et al., 2024, section 2.1 (naive dynamic resolution).

        Raises:
            UsageError: on an empty image, or sides more than 200 to 1.
        """
        if min(columns, rows) < 1 or max(columns, rows) > MAX_ASPECT * min(columns, rows):
            raise UsageError(f"an image of {columns}x{rows} pixels is too long for Qwen's processor (200:1); crop it")
        width, height = resized(columns, rows, grid.multiple_px, min_pixels, max_pixels)
        return cls(columns, rows, width, height, width, height)

    @classmethod
    def of_letterbox(cls, box: Letterbox, grid: PatchGrid) -> FrameMap:
        """The map of medground's preprocessing, its frame padded on to a multiple of a merged cell."""
        width, height = padded(box.frame_columns, grid.multiple_px), padded(box.frame_rows, grid.multiple_px)
        return cls(box.columns, box.rows, box.inner_columns, box.inner_rows, width, height)

    def grid_thw(self, patch_px: int) -> tuple[int, int, int]:
        """Time, rows and columns of patches: the processor's `image_grid_thw`."""
        return 1, self.frame_rows // patch_px, self.frame_columns // patch_px

    @property
    def _scale_4(self) -> NDArray[np.float64]:
        return np.array([self.inner_columns / self.columns, self.inner_rows / self.rows] * 2, dtype=np.float64)

    def to_frame(self, boxes_xyxy_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes (N, 4) of the stored image in pixels of the frame."""
        return boxes_xyxy_px * self._scale_4

    def to_stored(self, boxes_xyxy_frame: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes (N, 4) of the frame in pixels of the stored image; not clipped."""
        return boxes_xyxy_frame / self._scale_4

    def to_cells(self, boxes_xyxy_px: NDArray[np.float64], stride_px: int) -> NDArray[np.float64]:
        """Boxes (N, 4) of the stored image in cells of a level."""
        return self.to_frame(boxes_xyxy_px) / stride_px

    def from_cells(self, boxes_xyxy_cells: NDArray[np.float64], stride_px: int) -> NDArray[np.float64]:
        """Boxes (N, 4) in cells of a level in pixels of the stored image."""
        return self.to_stored(boxes_xyxy_cells * stride_px)

    def to_spoken(self, boxes_xyxy_px: NDArray[np.float64], spoken: Spoken) -> NDArray[np.float64]:
        """Boxes (N, 4) of the stored image as the family writes them, before rounding."""
        return self.to_frame(boxes_xyxy_px) * self._spoken_4(spoken)

    def from_spoken(self, boxes_spoken: NDArray[np.float64], spoken: Spoken) -> NDArray[np.float64]:
        """Boxes (N, 4) as the family writes them, in pixels of the stored image."""
        return self.to_stored(boxes_spoken / self._spoken_4(spoken))

    def _spoken_4(self, spoken: Spoken) -> NDArray[np.float64]:
        if spoken is Spoken.RESIZED_PIXELS:
            return np.ones(4)
        return np.array([1000 / self.frame_columns, 1000 / self.frame_rows] * 2, dtype=np.float64)


def padded(side: int, multiple: int) -> int:
    """The next multiple."""
    return -(-side // multiple) * multiple


def resized(columns: int, rows: int, multiple: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Columns and rows after Qwen's resizing: multiples of a cell, area within bounds, aspect kept as it may."""
    width, height = round(columns / multiple) * multiple, round(rows / multiple) * multiple
    if width * height > max_pixels:
        shrink = math.sqrt(columns * rows / max_pixels)
        width, height = (max(multiple, math.floor(s / shrink / multiple) * multiple) for s in (columns, rows))
    elif width * height < min_pixels:
        grow = math.sqrt(min_pixels / (columns * rows))
        width, height = (math.ceil(s * grow / multiple) * multiple for s in (columns, rows))
    return width, height


def patches_of(images_BCHW: Tensor, grid: PatchGrid, frames: int) -> Tensor:
    """Images to the rows that Qwen's vision tower eats.

    Args:
        images_BCHW: normalised; sides multiples of a merged cell.
        grid: how images are cut.
        frames: temporal patch size; a still image is repeated.

    Returns:
        (L, C * frames * patch * patch); patches of a merged cell follow each other, cells run row by row.
    """
    batch, channels, height, width = images_BCHW.shape
    p, m = grid.patch_px, grid.merge
    x = images_BCHW.reshape(batch, channels, height // p // m, m, p, width // p // m, m, p)
    x = x.permute(0, 2, 5, 3, 6, 1, 4, 7)  # image, cell row, cell column, row and column in the cell, C, p, p
    x = x.unsqueeze(6).expand(*x.shape[:6], frames, p, p)
    return x.reshape(-1, channels * frames * p * p)


def level_of(tokens_LC: Tensor, batch: int, rows: int, columns: int, merge: int) -> Tensor:
    """Tokens back to (B, C, rows, columns), where tokens of each merge-by-merge cell follow each other."""
    x = tokens_LC.reshape(batch, rows // merge, columns // merge, merge, merge, -1)
    return x.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, rows, columns)


def window_order(rows: int, columns: int, window: int) -> Tensor:
    """Indices of merged cells in the order of Qwen2.5-VL's window attention: window by window, row by row in each."""
    cells = [(r // window, c // window, r, c) for r in range(rows) for c in range(columns)]
    return torch.tensor([r * columns + c for _, _, r, c in sorted(cells)], dtype=torch.int64)
