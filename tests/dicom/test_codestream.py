"""Sizes that streams declare, and JPEG frames made plain before a decoder sees them."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from medground.dicom.codestream import declared_size, plain_jpeg

ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


def _jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)).save(stream, "JPEG")
    return stream.getvalue()


def test_sizes() -> None:
    codestream = b"\xff\x4f\xff\x51" + struct.pack(">HH4L", 41, 0, 70, 50, 10, 20) + bytes(30)
    jp2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + struct.pack(">L", 16) + b"ftypjp2 " + bytes(4)
    assert declared_size(_jpeg()) == (4, 6)
    assert declared_size(codestream) == (30, 60)
    assert declared_size(jp2[:12] + struct.pack(">L", 0) + b"jp2c" + codestream) == (30, 60)
    assert declared_size(jp2[:12] + struct.pack(">L", 0) + b"free" + codestream) is None
    assert declared_size(b"no stream at all") is None


def test_fill_bytes_are_taken_out_of_the_headers_only() -> None:
    plain = _jpeg()
    scan = plain.index(b"\xff\xda")
    filled = plain[:2] + b"\xff" * 5 + plain[2:scan] + b"\xff" * 3 + plain[scan:] + b"\xff\xff"
    assert plain_jpeg(filled) == (plain + b"\xff\xff", False)
    assert plain_jpeg(plain) == (plain, False)


@pytest.mark.parametrize("transform", [0, 1, 2])
def test_an_adobe_marker_of_ycbcr_is_taken_out(transform: int) -> None:
    plain = _jpeg()
    marked = plain[:2] + ADOBE + bytes([transform]) + plain[2:]
    assert plain_jpeg(marked) == ((plain, True) if transform == 1 else (marked, False))


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff" * 40, b"\xff\xd8\xff\xe0\x00\x00"]
)
def test_damaged_headers_are_left_to_the_check_of_the_size(damaged: bytes) -> None:
    kept, is_ycbcr = plain_jpeg(damaged)
    assert not is_ycbcr
    assert declared_size(kept) is None
