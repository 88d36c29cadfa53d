"""Frames for viewing: what a frame measures, in 16 bits, with what turns them back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medground.dicom.untrusted import UntrustedImage

_STEPS = 65535
_FLOAT32_SPAN = 1e38  # a difference beyond it may leave the range of its type


@dataclass(frozen=True, slots=True)
class FrameValues:
    """A frame.

    Attributes:
        pixels: uint16, (rows, columns), or (rows, columns, 3) in colour.
        slope, intercept: value = slope * pixel + intercept, in the units that the object measures.
        lowest, highest: values that are shown black and white.
        is_inverted: the highest is shown black.
        spacing_mm: between rows, between columns; None where unknown.
    """

    pixels: NDArray[np.uint16]
    slope: float
    intercept: float
    lowest: float
    highest: float
    is_inverted: bool
    spacing_mm: tuple[float, float] | None

    def reading(self) -> dict[str, Any]:
        """How to read the pixels, for a header."""
        rows, columns = self.pixels.shape[:2]
        return {
            "rows": rows,
            "columns": columns,
            "samples": 1 if self.pixels.ndim == 2 else 3,
            "slope": self.slope,
            "intercept": self.intercept,
            "lowest": self.lowest,
            "highest": self.highest,
            "inverted": self.is_inverted,
            "spacing_mm": self.spacing_mm,
        }


def frame_values(image: UntrustedImage, frame: int) -> FrameValues:
    """The values of a frame.

    Args:
        image: opened at arm's length.
        frame: counted from 1.

    Raises:
        InputError: it cannot be decoded.
    """
    header = image.header
    if header.samples_per_pixel > 1 or header.photometric == "PALETTE COLOR":
        shown = image.display(frame)
        return FrameValues(_scaled(shown, 0.0, 1.0), 1 / _STEPS, 0.0, 0.0, 1.0, False, header.spacing_mm)
    values = image.modality_values(frame)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    is_whole = finite.size > 0 and high - low <= _STEPS and bool((finite == np.rint(finite)).all())
    slope = 1.0 if is_whole else max(high - low, 1e-6) / _STEPS
    filled = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    if high - low > _FLOAT32_SPAN:
        filled = filled.astype(np.float64)
    pixels = np.rint((filled - low) / slope).clip(0, _STEPS).astype(np.uint16)
    inverted = header.photometric == "MONOCHROME1"
    return FrameValues(pixels, slope, low, low, high, inverted, header.spacing_mm)


def _scaled(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint16]:
    scaled: NDArray[np.uint16] = np.rint((values - low) / (high - low) * _STEPS).clip(0, _STEPS).astype(np.uint16)
    return scaled
