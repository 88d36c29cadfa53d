"""Which layouts are read in place, and how their bytes are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from medground.dicom.image import open_image
from medground.dicom.lut import Rescale
from medground.dicom.native import plain_dtype, stamp_of, without_unused_bits

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)


@pytest.mark.parametrize(
    ("changes", "vr", "expected"),
    [
        ({}, "OW", "<u2"),
        ({"signed": True}, "OW", "<i2"),
        ({"bits_allocated": 8, "bits_stored": 8}, "OB", "<u1"),
        ({"bits_allocated": 32, "bits_stored": 20}, None, "<u4"),
        ({"transfer_syntax_uid": ExplicitVRBigEndian}, "OW", ">u2"),
        ({"transfer_syntax_uid": ExplicitVRBigEndian, "bits_allocated": 8, "bits_stored": 8}, "OW", None),
        ({"transfer_syntax_uid": DeflatedExplicitVRLittleEndian}, "OW", None),
        ({"transfer_syntax_uid": RLELossless}, "OB", None),
        ({"transfer_syntax_uid": "1.2.3"}, "OW", None),
        ({"bits_allocated": 1, "bits_stored": 1}, "OB", None),
        ({"bits_stored": 17}, "OW", None),
        ({"samples_per_pixel": 3}, "OW", None),
        ({"photometric": "YBR_FULL"}, "OW", None),
        ({"unused_low_bits": 4, "bits_stored": 12}, "OW", None),
        ({"bits_allocated": 32, "bits_stored": 32}, "OF", None),
    ],
)
def test_layouts(
    make_file: Callable[..., bytes], changes: dict[str, Any], vr: str | None, expected: str | None
) -> None:
    header = open_image(make_file(PIXELS)).header
    found = plain_dtype(replace(header, **changes), vr)
    assert found == (None if expected is None else np.dtype(expected))


def test_unused_bits_take_the_sign() -> None:
    stored = np.array([0x0FFF, 0xF7FF, 0x0800], np.uint16)
    assert without_unused_bits(stored.copy(), 4).tolist() == [0xFFF, 0x7FF, 0x800]
    assert without_unused_bits(stored.copy().view(np.int16), 4).tolist() == [-1, 0x7FF, -0x800]
    assert without_unused_bits(stored.copy(), 0).tolist() == stored.tolist()


def test_a_slice_is_read_from_its_place_while_the_file_is_the_same(
    tmp_path: Path, make_file: Callable[..., bytes]
) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(make_file(PIXELS, RescaleSlope=2, RescaleIntercept=-3))
    stamp = stamp_of(path.stat())
    native = open_image(path).native_slice(path, stamp)
    assert native is not None
    assert native.modality == Rescale(2, -3)
    read = native.read(3, 4)
    assert read is not None
    assert np.array_equal(read, PIXELS)
    assert replace(native, offset=native.offset + 2).read(3, 4) is None  # the file ends before the last pixel
    assert replace(native, stamp=(stamp[0], stamp[1] + 1)).read(3, 4) is None
    path.unlink()
    assert native.read(3, 4) is None


def test_what_needs_its_header_again(tmp_path: Path, make_file: Callable[..., bytes]) -> None:
    for name, content in {
        "compressed": make_file(PIXELS, syntax=RLELossless),
        "deflated": make_file(PIXELS, syntax=DeflatedExplicitVRLittleEndian),
        "frames": make_file(np.stack([PIXELS, PIXELS]), frames=2),
        "colour": make_file(np.zeros((3, 4, 3), np.uint8), syntax=ExplicitVRLittleEndian),
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert open_image(path).native_slice(path, stamp_of(path.stat())) is None
