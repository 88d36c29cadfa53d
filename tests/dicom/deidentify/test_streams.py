from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders import JPEG2000LosslessEncoder, JPEGLSLosslessEncoder, RLELosslessEncoder
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from medground.dicom.decode import DEFLATED_FRAMES
from medground.dicom.deidentify.streams import bare_stream
from medground.dicom.rle import decode_rle
from medground.schema.errors import DecodeError

SECRET = b"Mueller^Annegret 19530417"
PICTURE = np.random.default_rng(3).integers(0, 255, (64, 96)).astype(np.uint8)
OPTIONS = {
    "rows": 64, "columns": 96, "samples_per_pixel": 1, "bits_allocated": 8, "bits_stored": 8,
    "pixel_representation": 0, "photometric_interpretation": "MONOCHROME2", "number_of_frames": 1,
}  # fmt: skip


def jpeg(**more: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG", **more)
    return stream.getvalue()


def encoded(syntax: str) -> bytes:
    if syntax == JPEG2000Lossless:
        return bytes(JPEG2000LosslessEncoder.encode(PICTURE, encoding_plugin="pylibjpeg", **OPTIONS))
    return bytes(JPEGLSLosslessEncoder.encode(PICTURE, encoding_plugin="pyjpegls", **OPTIONS))


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content


def rle() -> bytes:
    return bytes(RLELosslessEncoder.encode(PICTURE, encoding_plugin="pydicom", **OPTIONS))


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_without_comments_exif_and_tail_shows_the_same(progressive: bool) -> None:
    plain = jpeg(progressive=progressive)
    salted = plain[:2] + segment(0xFFE1, b"Exif\0\0" + SECRET) + segment(0xFFFE, SECRET) + plain[2:] + SECRET
    bare = bare_stream(salted, JPEGBaseline8Bit, 0)
    assert SECRET not in bare
    assert bare.endswith(b"\xff\xd9")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bare))), np.asarray(Image.open(io.BytesIO(plain))))
    assert len(bare) == len(salted) - len(SECRET)


def test_a_jfif_thumbnail_goes_and_adobe_colour_stays() -> None:
    plain = jpeg()
    at = 2 + 2 + struct.unpack(">H", plain[4:6])[0]
    jfif = segment(0xFFE0, b"JFIF\0\x01\x01\0\0\x01\0\x01" + SECRET)
    adobe = segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\x01" + SECRET)
    bare = bare_stream(plain[:2] + jfif + adobe + plain[at:], JPEGBaseline8Bit, 0)
    assert SECRET not in bare
    assert b"Adobe\0\x64\0\0\0\0\x01" in bare
    assert b"JFIF\0\x01\x01\0\0\x01\0\x01" in bare


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_other_streams_without_comments_decode_to_the_same(syntax: str) -> None:
    plain = encoded(syntax)
    if syntax == JPEG2000Lossless:
        size = 4 + struct.unpack(">H", plain[4:6])[0]
        salted = plain[:size] + segment(0xFF64, b"\0\x01" + SECRET) + plain[size:] + SECRET
    else:
        salted = plain[:2] + segment(0xFFFE, SECRET) + segment(0xFFE8, SECRET) + plain[2:] + SECRET
    bare = bare_stream(salted, syntax, 0)
    assert SECRET not in bare
    decoder, plugin = get_decoder(syntax), "pylibjpeg" if syntax == JPEG2000Lossless else "pyjpegls"
    pixels, _ = decoder.as_array(
        encapsulate([bare]), index=0, decoding_plugin=plugin, pixel_keyword="PixelData", pixel_vr="OB", **OPTIONS
    )
    assert np.array_equal(pixels, PICTURE)


def test_jp2_loses_the_boxes_that_no_decoder_needs() -> None:
    stream = encoded(JPEG2000Lossless)
    box = lambda kind, content: struct.pack(">L4s", len(content) + 8, kind) + content  # noqa: E731
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", b"")
    jp2 = start + box(b"xml ", SECRET) + box(b"jp2c", stream) + box(b"uuid", SECRET)
    bare = bare_stream(jp2, JPEG2000Lossless, 0)
    assert bare == start + box(b"jp2c", bare_stream(stream, JPEG2000Lossless, 0))


def test_rle_loses_what_lies_behind_and_between_its_runs() -> None:
    plain = rle()
    count, first = struct.unpack("<LL", plain[:8])
    assert (count, first) == (1, 64)
    salted = bytearray(plain[:64] + plain[64:] + SECRET)
    salted[8:33] = SECRET
    bare = bare_stream(bytes(salted), RLELossless, PICTURE.size)
    assert SECRET not in bare
    assert np.array_equal(decode_rle(bare, 1, PICTURE.size)[0].reshape(PICTURE.shape), PICTURE)
    assert len(bare) <= len(plain)


def test_a_deflated_frame_is_cut_where_it_ends() -> None:
    machine = zlib.compressobj(wbits=-15)
    plain = machine.compress(PICTURE.tobytes()) + machine.flush()
    assert bare_stream(plain + SECRET, DEFLATED_FRAMES, 0) == plain
    with pytest.raises(DecodeError):
        bare_stream(plain[:-3], DEFLATED_FRAMES, 0)


def test_video_is_refused() -> None:
    with pytest.raises(DecodeError, match="convert the object"):
        bare_stream(b"\0\0\1", "1.2.840.10008.1.2.4.102", 0)


def test_an_empty_scan_or_a_backward_tile_does_not_hold_it_for_ever() -> None:
    backward = b"\xff\x4f" + segment(0xFF90, b"\0\0" + struct.pack(">L", 14) + b"\0\1") + segment(0xFF64, b"\0\1ab")
    with pytest.raises(DecodeError):
        bare_stream(backward + b"\xff\x93" + b"\xff\xd9", JPEG2000Lossless, 0)


BASES = {
    JPEGBaseline8Bit: jpeg(),
    JPEG2000Lossless: encoded(JPEG2000Lossless),
    JPEGLSLossless: encoded(JPEGLSLossless),
    RLELossless: rle(),
}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(BASES)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))), st.integers(0, 90)
)
def test_damage_is_refused_or_read_and_nothing_else(syntax: str, changes: list[tuple[int, int]], cut: int) -> None:
    frame = bytearray(BASES[syntax])
    for at, value in changes:
        if at < len(frame):
            frame[at] = value
    try:
        bare = bare_stream(bytes(frame[: len(frame) - cut]), syntax, PICTURE.size)
    except DecodeError:
        return
    assert len(bare) <= len(frame) + 1
