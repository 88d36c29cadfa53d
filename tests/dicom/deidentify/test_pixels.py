from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import DataElement, dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from medground.dicom.deidentify.pixels import bare_pixels
from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.dicom.parse import parse
from medground.schema.errors import DecodeError

PIXELS = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7)


def test_native_pixels_end_with_the_last_frame(
    make_file: Callable[..., bytes], write_bytes: Any, tmp_path: Any
) -> None:
    (tmp_path / "a.dcm").write_bytes(make_file(PIXELS, frames=3))
    dataset = dcmread(tmp_path / "a.dcm")
    dataset.PixelData = PIXELS.tobytes() + b"Mueller^Annegret!"
    assert bare_pixels(parse(write_bytes(dataset), Limits()), Limits()) == PIXELS.tobytes() + b"\0"


def test_frames_of_an_encapsulated_object_stay_apart(make_file: Callable[..., bytes], tmp_path: Any) -> None:
    content = make_file(PIXELS, frames=3, syntax=RLELossless)
    before = open_image(content)
    value = bare_pixels(parse(content, Limits()), Limits())
    dataset = dcmread(__import__("io").BytesIO(content))
    dataset.PixelData = value
    path = tmp_path / "again.dcm"
    dataset.save_as(path)
    for frame in (1, 2, 3):
        assert np.array_equal(open_image(path).stored(frame), before.stored(frame))
        assert np.array_equal(before.stored(frame), PIXELS[frame - 1])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian])
def test_an_overlay_in_unused_bits_is_cleared(make_file: Callable[..., bytes], syntax: str) -> None:
    image = np.arange(64, dtype=np.uint16).reshape(8, 8)
    drawn = image | (np.eye(8, dtype=np.uint16) << 14)
    parsed = parse(make_file(drawn, syntax=syntax, BitsStored=12, HighBit=11), Limits())
    parsed.dataset[0x60000102] = DataElement(0x60000102, "US", 14)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    assert np.array_equal(np.frombuffer(bare_pixels(parsed, Limits()), f"{order}u2").reshape(8, 8), image)
    parsed.dataset[0x60000102] = DataElement(0x60000102, "US", 3)  # inside the stored bits: these are pixels
    assert np.array_equal(np.frombuffer(bare_pixels(parsed, Limits()), f"{order}u2").reshape(8, 8), drawn)


def test_a_private_transfer_syntax_is_refused(make_file: Callable[..., bytes]) -> None:
    content = make_file(PIXELS, frames=3).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0")
    with pytest.raises(DecodeError, match="private"):
        bare_pixels(parse(content, Limits()), Limits())
