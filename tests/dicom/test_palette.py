"""Palettes: by pydicom's well-known ones, by tables written here in either byte order, and by segments."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_palette_files
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medground.dicom.image import open_image
from medground.dicom.palette import read_palette
from medground.schema.errors import DecodeError

CHANNELS = ("Red", "Green", "Blue")
INDICES = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("name", ["hotiron", "pet", "hotmetalblue", "pet20step", "spring", "summer", "fall", "winter"])
def test_well_known_palettes(name: str) -> None:
    """Four of them are segmented."""
    dataset = dcmread(get_palette_files(f"{name}.dcm")[0])
    expected = apply_color_lut(INDICES, dataset) / 255
    assert np.allclose(read_palette(dataset, signed=False).apply(INDICES), expected, atol=1e-7)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("kind", "first"), [("u1", 0), ("u2", 300), ("i2", -100)])
def test_tables_in_either_byte_order(make_file: Any, syntax: str, bits: int, kind: str, first: int) -> None:
    tables = np.random.default_rng(4).integers(0, 2**bits, (3, 200))
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    elements: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for channel, table in zip(CHANNELS, tables, strict=True):
        # implicit VR does not say whether the descriptor is signed: pydicom writes it as it reads it there
        elements[f"{channel}PaletteColorLookupTableDescriptor"] = [200, first, bits]
        words = table.astype("<u2") if bits == 16 else table.astype("u1").view("<u2")
        elements[f"{channel}PaletteColorLookupTableData"] = words.astype(f"{order}u2").tobytes()
    limits = np.iinfo(kind)
    indices = np.linspace(max(first - 20, limits.min), min(first + 230, limits.max), 64).astype(kind).reshape(8, 8)
    image = open_image(make_file(indices, syntax=syntax, **elements))
    expected = tables[:, np.clip(indices.astype(int) - first, 0, 199)] / (2**bits - 1)
    assert np.array_equal(image.stored(), indices)
    assert np.allclose(image.display(), np.moveaxis(expected, 0, -1), atol=1e-6)


def _segmented(words: list[int], count: int, bits: int) -> Dataset:
    dataset = Dataset()
    data = struct.pack(f"<{len(words)}{'H' if bits == 16 else 'B'}", *words)
    for channel in CHANNELS:
        setattr(dataset, f"{channel}PaletteColorLookupTableDescriptor", [count, 0, bits])
        setattr(dataset, f"Segmented{channel}PaletteColorLookupTableData", data)
    return dataset


@pytest.mark.parametrize("bits", [8, 16])
def test_segments(bits: int) -> None:
    # three listed; four steps to 30; one listed; then the second and third segment again, from their byte offset
    offset = 5 * bits // 8
    pointer = [offset, 0] if bits == 16 else [offset, 0, 0, 0]
    words = [0, 3, 10, 20, 10, 1, 4, 30, 0, 1, 7, 2, 2, *pointer]
    values = [10, 20, 10, 15, 20, 25, 30, 7, 13, 18, 24, 30, 7]  # from 7 to 30 in steps of 5.75
    palette = read_palette(_segmented(words, len(values), bits), signed=False)
    assert np.allclose(palette.tables[1] * (2**bits - 1), values, atol=0.51)
    assert np.array_equal(np.round(palette.tables[1] * (2**bits - 1))[:9], [10, 20, 10, 15, 20, 25, 30, 7, 13])


@pytest.mark.parametrize(
    "words",
    [
        [0, 1, 5, 2, 1, 6, 0],  # an indirect segment that points at itself
        [0, 0] * 70_000,  # segments without length
        [0, 1, 5, *[1, 60_000, 9] * 2],  # more entries than a table may have
        [3, 1, 5],  # an opcode that is not known
        [0, 2, 1, 2],  # fewer entries than the descriptor asks for
    ],
)
def test_segments_that_cannot_be_expanded(words: list[int]) -> None:
    with pytest.raises(DecodeError, match="palette"):
        read_palette(_segmented(words, 4, 16), signed=False)


def test_a_palette_without_data() -> None:
    dataset = Dataset()
    with pytest.raises(DecodeError, match="no descriptor"):
        read_palette(dataset, signed=False)
    dataset.RedPaletteColorLookupTableDescriptor = [16, 0, 8]
    with pytest.raises(DecodeError, match="0 of 16 entries"):
        read_palette(dataset, signed=False)
