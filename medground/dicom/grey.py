"""From stored pixels of a monochrome frame to brightness: the grey pipeline of PS3.4 N.2."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medground.dicom.elements import functional_item, text, whole
from medground.dicom.header import ImageHeader
from medground.dicom.lut import Rescale, Table, Window, read_modality, read_voi
from medground.schema.errors import UsageError

PRESETS: dict[str, Window] = {
    "lung": Window(-600, 1500),
    "mediastinum": Window(50, 350),
    "soft_tissue": Window(50, 400),
    "abdomen": Window(50, 400),
    "liver": Window(30, 150),
    "bone": Window(400, 1800),
    "spine": Window(50, 250),
    "temporal_bone": Window(600, 2800),
    "brain": Window(40, 80),
    "subdural": Window(75, 215),
    "stroke": Window(40, 40),
    "angio": Window(300, 600),
}
"""Windows of CT in Hounsfield units.

Source: Radiopaedia, "Windowing (CT)", rID 52108; where it gives a range (subdural, soft tissue) its middle. The window
of angiography is that of Orthanc's Stone Web viewer.
"""

_BLOCK_PIXELS = 2**20  # float64 in blocks: a frame of the largest allowed size would need gigabytes at once
_CACHED_PIXELS = 2**17  # looked up in blocks that stay in the cache of a processor
_MANY_PIXELS = 2**16  # from here on each possible value is worked out once, and not each pixel


def preset_window(name: str) -> Window:
    """The preset of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no window {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


class GreyPipeline:
    """The transformations that one frame asks for.

    Args:
        dataset: the image object.
        header: of the same object.
        frame: 1-based.

    Attributes:
        modality: stored to modality values.
        voi: modality values to brightness; None where the object has none.
        is_inverted: low values are white (MONOCHROME1, or presentation LUT shape INVERSE).
        padding: lowest and highest stored value that stands for "no image here", or None.
        warnings: what of the object could not be used.
    """

    def __init__(self, dataset: Dataset, header: ImageHeader, frame: int) -> None:
        transformation = functional_item(dataset, frame, "PixelValueTransformationSequence")
        self.modality: Table | Rescale = read_modality(dataset, transformation, signed=header.signed)
        negative = header.signed or (isinstance(self.modality, Rescale) and self.modality.intercept < 0)
        frame_voi = functional_item(dataset, frame, "FrameVOILUTSequence")
        self.voi, warning = read_voi(frame_voi or dataset, signed=negative)
        shape = text(dataset, "PresentationLUTShape")
        self.is_inverted = header.photometric == "MONOCHROME1" or shape == "INVERSE"
        self.padding = _padding(dataset, header)
        self.warnings: tuple[str, ...] = (warning,) if warning else ()

    def apply(self, stored: NDArray[Any], preset: Window | None = None) -> NDArray[np.float32]:
        """Brightness of a frame.

        Args:
            stored: (rows, columns).
            preset: window in place of the object's own.

        Returns:
            (rows, columns), 0..1, 1 is white; padding and values that are no number are 0.
        """
        levels = _levels(stored.dtype) if stored.size > _MANY_PIXELS else None
        voi = preset or self.voi or self._full_range(self._telling(stored, levels))
        brightness = np.zeros(stored.shape, np.float32)
        if levels is None:
            for rows in row_blocks(stored.shape):
                brightness[rows] = self._shown(stored[rows], voi)
        else:
            table = self._shown(levels, voi).astype(np.float32)
            places = stored.view(_unsigned(stored.dtype))
            for rows in row_blocks(stored.shape, _CACHED_PIXELS):
                np.take(table, places[rows], out=brightness[rows], mode="clip")
        return brightness

    def _shown(self, stored: NDArray[Any], voi: Table | Window) -> NDArray[np.float64]:
        """Brightness 0..1 in the shape of `stored`."""
        grey = self.modality.apply(stored)
        seen = voi.apply(grey) / (2**voi.bits - 1) if isinstance(voi, Table) else voi.apply(grey)
        seen = 1 - seen if self.is_inverted else seen
        shown = ~self._is_padding(stored) & np.isfinite(seen)
        return np.clip(np.where(shown, seen, 0), 0, 1)

    def _is_padding(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        if self.padding is None:
            return np.zeros(stored.shape, np.bool_)
        return (stored >= self.padding[0]) & (stored <= self.padding[1])

    def _telling(self, stored: NDArray[Any], levels: NDArray[Any] | None) -> NDArray[Any]:
        """Stored pixels that have the same range as all: the ends of a straight line, or each value once, or all."""
        if stored.dtype.kind in "iu" and isinstance(self.modality, Rescale) and self.padding is None:
            return np.array([[stored.min(), stored.max()]], stored.dtype)
        return stored if levels is None else _present(stored, levels)

    def _full_range(self, stored: NDArray[Any]) -> Window:
        """The window from the darkest to the brightest pixel that is no padding."""
        lowest, highest = np.inf, -np.inf
        for rows in row_blocks(stored.shape):
            grey = self.modality.apply(stored[rows])
            seen = grey[~self._is_padding(stored[rows]) & np.isfinite(grey)]
            if seen.size:
                lowest, highest = min(lowest, float(seen.min())), max(highest, float(seen.max()))
        if not lowest < highest:  # one value or none: everything is black
            return Window(lowest + 0.5 if np.isfinite(lowest) else 0.0, 1.0, "LINEAR_EXACT")
        return Window(lowest / 2 + highest / 2, highest - lowest, "LINEAR_EXACT")


def _padding(dataset: Dataset, header: ImageHeader) -> tuple[int, int] | None:
    """Range of padding values (PS3.3 C.7.5.1.1.2), read as the pixels are: implicit VR does not say if it is signed."""
    ends = [whole(dataset, "PixelPaddingValue"), whole(dataset, "PixelPaddingRangeLimit")]
    found = [_as_pixel(end, header) for end in ends if end is not None]
    return (min(found), max(found)) if ends[0] is not None else None


def _as_pixel(number: int, header: ImageHeader) -> int:
    if header.signed:
        return number - 0x10000 if number > 0x7FFF and header.bits_allocated <= 16 else number
    return number % 0x10000 if number < 0 else number


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"{dtype.byteorder}u{dtype.itemsize}")


def _levels(dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Every value that a pixel of 8 or 16 bits can have, at the place that its bits name; None for other types."""
    if dtype.kind not in "iu" or dtype.itemsize > 2 or not dtype.isnative:
        return None
    return np.arange(2 ** (8 * dtype.itemsize), dtype=_unsigned(dtype)).view(dtype)


def _present(stored: NDArray[Any], levels: NDArray[Any]) -> NDArray[Any]:
    """Those of the levels that occur, as one row."""
    occurs = np.zeros(levels.size, np.bool_)
    occurs[stored.view(_unsigned(stored.dtype))] = True
    return levels[occurs][np.newaxis]


def row_blocks(shape: tuple[int, ...], pixels: int = _BLOCK_PIXELS) -> list[slice]:
    """Slices of rows with about so many pixels each, so that temporary arrays stay small."""
    step = max(1, pixels // shape[1])
    return [slice(start, start + step) for start in range(0, shape[0], step)]
