"""From decoded colour or palette pixels to RGB brightness."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, convert_color_space

from medground.dicom.decode import Decoded
from medground.dicom.elements import numbers, value
from medground.dicom.grey import row_blocks
from medground.dicom.header import ImageHeader
from medground.schema.errors import DecodeError

_CHANNELS = ("Red", "Green", "Blue")
_MAX_ENTRIES = 2**16


def colour_display(decoded: Decoded, dataset: Dataset, header: ImageHeader) -> NDArray[np.float32]:
    """RGB of a frame.

    Args:
        decoded: (rows, columns, 3 or 4) colour, or (rows, columns) indices into a palette.
        dataset: the image object, with the palette.
        header: of the same object.

    Returns:
        (rows, columns, 3), 0..1.

    Raises:
        DecodeError: a palette that is absent or not valid.
    """
    if decoded.photometric == "PALETTE COLOR":
        _check_palette(dataset)
    brightness = np.empty((*decoded.pixels.shape[:2], 3), np.float32)
    for rows in row_blocks(decoded.pixels.shape):
        brightness[rows] = _rgb(decoded.pixels[rows], decoded.photometric, dataset, header)
    return brightness


def _rgb(pixels: NDArray[Any], photometric: str, dataset: Dataset, header: ImageHeader) -> NDArray[np.float32]:
    """0..1 of some rows."""
    if photometric == "PALETTE COLOR":
        rgb = apply_color_lut(pixels, dataset)
        highest = np.float32(np.iinfo(rgb.dtype).max)
    else:
        rgb = pixels[..., :3]
        if photometric in ("YBR_FULL", "YBR_FULL_422"):
            rgb = convert_color_space(rgb, photometric, "RGB")
        highest = np.float32(2**header.bits_stored - 1)
    brightness: NDArray[np.float32] = np.clip(rgb.astype(np.float32) / highest, 0, 1)
    return brightness


def _check_palette(dataset: Dataset) -> None:
    """Refuse a palette that is incomplete, or whose segments (PS3.3 C.7.9.2) expand beyond any table.

    Source: a segment is opcode, length, values; a linear one writes `length` entries from one value, and an indirect
    one repeats earlier segments, so a few bytes could ask for gigabytes.
    """
    for channel in _CHANNELS:
        descriptor = numbers(dataset, f"{channel}PaletteColorLookupTableDescriptor", 3)
        segments = value(dataset, f"Segmented{channel}PaletteColorLookupTableData")
        if descriptor is None:
            raise DecodeError(f"the {channel.lower()} palette has no descriptor, so the colours cannot be shown")
        if not isinstance(segments, bytes):
            continue
        wide = "u1" if descriptor[2] == 8 else "u2"
        if _expanded_entries(np.frombuffer(segments[: len(segments) // 2 * 2], wide).tolist()) > _MAX_ENTRIES:
            raise DecodeError(
                f"the segments of the {channel.lower()} palette expand to more than {_MAX_ENTRIES} entries"
            )


def _expanded_entries(words: list[int]) -> int:
    total = position = 0
    while position + 1 < len(words):
        opcode, length = words[position], words[position + 1]
        total += length
        if opcode == 2:
            return _MAX_ENTRIES + 1 if length > 64 else total + _MAX_ENTRIES // 2
        position += 2 + (length if opcode == 0 else 1)
    return total
