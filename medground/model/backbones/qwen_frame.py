"""The exact map from the model frame to the cells of Qwen's vision tower.

`Letterbox` maps stored pixels to the model frame and back. What the tower cuts is that frame with padding at the right
and bottom alone, so the map between the two moves nothing: a box of the model frame is a box of the tower's frame, and
the cell in row r and column c of a level of stride s covers the pixels from (s c, s r) to (s c + s, s r + s) of both.
Qwen's own processor would stretch an image over the whole frame instead; it is not asked. Coordinates are continuous:
x = 0 is the left edge of the first pixel.

Legend: B images, C channels, H W rows and columns, L patches of all images.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


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
    """The map of one model frame.

    Attributes:
        columns, rows: of the model frame, pixels.
        grid: how the tower cuts its own.
    """

    columns: int
    rows: int
    grid: PatchGrid

    @property
    def padding(self) -> tuple[int, int]:
        """Pixels that are put on at the right and at the bottom, to whole merged cells."""
        return -self.columns % self.grid.multiple_px, -self.rows % self.grid.multiple_px

    @property
    def patches(self) -> tuple[int, int]:
        """Rows and columns of patches in the tower's frame."""
        right, bottom = self.padding
        return (self.rows + bottom) // self.grid.patch_px, (self.columns + right) // self.grid.patch_px

    def pad(self, images_BCHW: Tensor, fill: float) -> Tensor:
        """Images of the model frame in that of the tower; every pixel keeps its place."""
        right, bottom = self.padding
        return F.pad(images_BCHW, (0, right, 0, bottom), value=fill)


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
