"""Between stored pixels and the model frame: one affine map and its exact inverse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

MULTIPLE_PX = 32


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The map of one image: scaled by (scale_x, scale_y), set at the top left, padded at the right and bottom.

    Attributes:
        columns, rows: size of the stored image, pixels.
        inner_columns, inner_rows: size after scaling, pixels.
        frame_columns, frame_rows: size with padding, multiples of 32 pixels.
    """

    columns: int
    rows: int
    inner_columns: int
    inner_rows: int
    frame_columns: int
    frame_rows: int

    @classmethod
    def fit(cls, columns: int, rows: int, size_px: int) -> Letterbox:
        """The letterbox whose scaled long side is `size_px`.

        Raises:
            ValueError: unless all three are at least 1.
        """
        if min(columns, rows, size_px) < 1:
            raise ValueError(f"a letterbox needs positive sizes, got {columns}x{rows} into {size_px}")
        scale = size_px / max(columns, rows)
        inner = [max(1, round(side * scale)) for side in (columns, rows)]
        frame = [-(-side // MULTIPLE_PX) * MULTIPLE_PX for side in inner]
        return cls(columns, rows, inner[0], inner[1], frame[0], frame[1])

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Model pixels per stored pixel along columns and rows."""
        return self.inner_columns / self.columns, self.inner_rows / self.rows

    def to_frame(self, boxes_xyxy_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes (N, 4) of the stored image in pixels of the model frame."""
        return boxes_xyxy_px * np.array(self.scale_xy * 2, dtype=np.float64)

    def to_stored(self, boxes_xyxy_frame: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes (N, 4) of the model frame in pixels of the stored image; not clipped."""
        return boxes_xyxy_frame / np.array(self.scale_xy * 2, dtype=np.float64)

    def apply(self, image_HW: Tensor, *, fill: float) -> Tensor:
        """Resamples an image into the frame.

        Args:
            image_HW: float tensor (rows, columns).
            fill: value of the padding.

        Returns:
            (frame_rows, frame_columns) tensor; shrinking is antialiased.
        """
        inner = F.interpolate(
            image_HW[None, None],
            (self.inner_rows, self.inner_columns),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )[0, 0]
        right, bottom = self.frame_columns - self.inner_columns, self.frame_rows - self.inner_rows
        return F.pad(inner, (0, right, 0, bottom), value=fill)


def to_tensor(image: NDArray[np.float32]) -> Tensor:
    """A float32 tensor that owns its memory."""
    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))
