"""Box: an axis-aligned rectangle in pixels of the stored image."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Box(BaseModel):
    """A rectangle, xyxy pixels of the stored image, origin at the outer corner of the top left pixel.

    `x` runs along columns, `y` along rows, both in pixel edges: the whole image is (0, 0, columns, rows).

    Raises:
        ValueError: unless 0 <= x1 < x2 and 0 <= y1 < y2.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    x1: float
    y1: float
    x2: float
    y2: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not (0 <= self.x1 < self.x2 and 0 <= self.y1 < self.y2):
            raise ValueError(f"box ({self.x1}, {self.y1}, {self.x2}, {self.y2}) needs 0 <= x1 < x2 and 0 <= y1 < y2")
        return self

    @property
    def xyxy_px(self) -> tuple[float, float, float, float]:
        """The four numbers in order x1, y1, x2, y2."""
        return (self.x1, self.y1, self.x2, self.y2)

    @property
    def width_px(self) -> float:
        """Extent along columns, pixels."""
        return self.x2 - self.x1

    @property
    def height_px(self) -> float:
        """Extent along rows, pixels."""
        return self.y2 - self.y1

    @property
    def area_px2(self) -> float:
        """Area, square pixels."""
        return self.width_px * self.height_px

    @property
    def centre_px(self) -> tuple[float, float]:
        """Centre (x, y), pixels."""
        return ((self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2)

    def iou(self, other: Box) -> float:
        """Intersection over union with `other`, 0..1."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area_px2 + other.area_px2 - shared)
