"""Small, medium and large, as COCO divides boxes, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medground.evaluation.overlap import BoxPx
from medground.schema.errors import UsageError


@dataclass(frozen=True, slots=True)
class SizeRange:
    """A range of box areas, limits included.

    COCO states its limits in stored pixels, and most of its images are 640 px long. Stored radiographs are between
    400 and 3000 px long, where 32 stored pixels say nothing of how small a finding looks. So an area is taken as if
    the image were scaled, its shape kept, to a stated long side.

    Attributes:
        name: of the range.
        low_px2, high_px2: least and greatest area in pixels of the scaled image. A box on a limit lies in both
            neighbours, as in COCO.
        long_side_px: of the scaled image; None takes areas in stored pixels.

    Source: Lin et al., Microsoft COCO, 2014; pycocotools `Params.setDetParams`, `areaRng`. COCO takes a truth's area
    from its outline where it has one; here it is always the box's.
    """

    name: str
    low_px2: float
    high_px2: float
    long_side_px: float | None = 640

    def __post_init__(self) -> None:
        """Refuses a range that holds nothing, and a frame without extent."""
        if not 0 <= self.low_px2 < self.high_px2:
            raise UsageError(f"size {self.name!r} needs 0 <= low < high, got {self.low_px2} and {self.high_px2} px^2")
        if self.long_side_px is not None and not 0 < self.long_side_px < math.inf:
            raise UsageError(f"size {self.name!r} needs a finite long side above 0 px, got {self.long_side_px}")

    def holds(self, boxes_xyxy_px: Sequence[BoxPx], columns_rows_px: tuple[int, int] | None) -> NDArray[np.bool_]:
        """Whether each box is of this size.

        Args:
            boxes_xyxy_px: N boxes in stored pixels.
            columns_rows_px: of the stored image; None where unknown, then areas are taken in stored pixels.

        Returns:
            N truth values.
        """
        boxes_N4 = np.array(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
        area_N = (boxes_N4[:, 2] - boxes_N4[:, 0]) * (boxes_N4[:, 3] - boxes_N4[:, 1])
        if self.long_side_px is not None and columns_rows_px is not None:
            area_N = area_N * (self.long_side_px / max(columns_rows_px)) ** 2
        inside_N: NDArray[np.bool_] = (self.low_px2 <= area_N) & (area_N <= self.high_px2)
        return inside_N


SMALL = SizeRange("small", 0, 32**2)
MEDIUM = SizeRange("medium", 32**2, 96**2)
LARGE = SizeRange("large", 96**2, math.inf)
