"""Pixel grids in centimetres on the film, and the smooth building blocks drawn on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]  # float32 throughout; the stubs of numpy widen every product with a Python float


@dataclass(frozen=True)
class Grid:
    """A square film: `x` runs over columns from the middle, `y` over rows from the top.

    Attributes:
        size_px: rows and columns.
        px_cm: pixel side, centimetres.
    """

    size_px: int
    px_cm: float

    @property
    def x(self) -> Array:
        """Column centres as a row vector, cm, 0 in the middle."""
        return ((np.arange(self.size_px, dtype=np.float32) + 0.5 - self.size_px / 2) * np.float32(self.px_cm))[None, :]

    @property
    def y(self) -> Array:
        """Row centres as a column vector, cm, 0 at the top edge."""
        return ((np.arange(self.size_px, dtype=np.float32) + 0.5) * np.float32(self.px_cm))[:, None]

    def coarser(self, factor: int) -> Grid:
        """The same film with pixels `factor` times as large."""
        return Grid(self.size_px // factor, self.px_cm * self.size_px / (self.size_px // factor))

    def columns(self, low_cm: float, high_cm: float) -> slice:
        """Columns whose centres may lie between two distances from the middle."""
        edges = np.clip(np.array([low_cm, high_cm]) / self.px_cm + self.size_px / 2, 0, self.size_px)
        return slice(int(np.floor(edges[0])), int(np.ceil(edges[1])))

    def window(self, x_cm: float, y_cm: float, half_x_cm: float, half_y_cm: float) -> tuple[slice, slice]:
        """Rows and columns within a rectangle about a point, cut at the film's edge (never empty)."""
        column, row = x_cm / self.px_cm + self.size_px / 2, y_cm / self.px_cm
        spans = []
        for centre, half in ((row, half_y_cm / self.px_cm), (column, half_x_cm / self.px_cm)):
            first = int(np.clip(np.floor(centre - half), 0, self.size_px - 1))
            spans.append(slice(first, int(np.clip(np.ceil(centre + half), first + 1, self.size_px))))
        return spans[0], spans[1]


def column(value: float) -> Array:
    """One number as a column vector, for the curves that take rows."""
    return np.array([[value]], np.float32)


def resized(values: Array, size_px: int) -> Array:
    """A square picture resampled bilinearly to `size_px` (PIL: the same bytes on any thread count)."""
    if values.shape[0] == size_px:
        return values
    picture = Image.fromarray(values).resize((size_px, size_px), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.float32)


def smoothstep(values: Array) -> Array:
    """Rise from 0 at 0 to 1 at 1 with level ends."""
    t = np.clip(values, 0, 1)
    fall = t * -2
    fall += 3
    t *= t
    t *= fall
    return np.asarray(t, np.float32)


def chord(distance: Array) -> Array:
    """Thickness of a unit ball along the ray at `distance` from its centre: 1 in the middle, 0 from 1 on."""
    left = 1 - distance * distance
    return np.asarray(np.sqrt(np.maximum(left, 0)), np.float32)


def smooth_noise(rng: np.random.Generator, cells: int, size_px: int) -> Array:
    """Unit-variance noise whose features are about `size_px / cells` pixels wide."""
    rough = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    picture = Image.fromarray(rough).resize((size_px, size_px), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32) * np.float32(1.25)
