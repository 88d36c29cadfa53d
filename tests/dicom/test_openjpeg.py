"""OpenJPEG by ctypes: the same pixels as pylibjpeg, on any thread, and no pixels from what is damaged or not plain."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from openjpeg.utils import encode_array

from medground.dicom.header import ImageHeader
from medground.dicom.openjpeg import decode_grey, library
from medground.schema.errors import DecodeError

pytestmark = pytest.mark.skipif(library() is None, reason="Pillow brings no OpenJPEG here, so pylibjpeg decodes")


def _header(rows: int, columns: int, bits: int, signed: bool) -> ImageHeader:
    return ImageHeader(
        sop_class_uid="1",
        sop_instance_uid="1",
        series_instance_uid="1",
        study_instance_uid="1",
        modality="CT",
        photometric="MONOCHROME2",
        transfer_syntax_uid="1.2.840.10008.1.2.4.90",
        rows=rows,
        columns=columns,
        frames=1,
        bits_allocated=8 if bits <= 8 else 16,
        bits_stored=bits,
        signed=signed,
    )


def _encoded(pixels: NDArray[np.integer], bits: int, *, jp2: bool = False) -> bytes:
    return bytes(encode_array(pixels, bits_stored=bits, photometric_interpretation=2, codec_format=int(jp2)))


def _pixels(rows: int, columns: int, bits: int, signed: bool) -> NDArray[np.integer]:
    low = -(2 ** (bits - 1)) if signed else 0
    kind = ("i" if signed else "u") + ("1" if bits <= 8 else "2")
    return np.random.default_rng(bits).integers(low, low + 2**bits, (rows, columns)).astype(kind)


@pytest.mark.parametrize("bits", [5, 8, 9, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("jp2", [False, True])
@pytest.mark.parametrize("shape", [(40, 57), (1100, 1000)])  # the second is shared among threads
def test_every_depth_and_sign(bits: int, signed: bool, jp2: bool, shape: tuple[int, int]) -> None:
    pixels = _pixels(*shape, bits, signed)
    decoded = decode_grey(_encoded(pixels, bits, jp2=jp2), _header(*shape, bits, signed))
    assert decoded is not None
    assert decoded.dtype == pixels.dtype
    assert np.array_equal(decoded, pixels)


def test_many_at_once() -> None:
    frames = [_pixels(64, 64, 12, False) + np.uint16(n) for n in range(8)]
    streams = [_encoded(frame, 13) for frame in frames] * 10
    header = _header(64, 64, 13, False)
    with ThreadPoolExecutor(8) as pool:
        for number, decoded in enumerate(pool.map(lambda stream: decode_grey(stream, header), streams)):
            assert decoded is not None
            assert np.array_equal(decoded, frames[number % 8])


def test_what_the_header_does_not_say_is_left_to_another_decoder() -> None:
    stream, header = _encoded(_pixels(40, 57, 12, False), 12), _header(40, 57, 12, False)
    for other in (
        replace(header, bits_stored=11),
        replace(header, signed=True),
        replace(header, rows=57, columns=40),
    ):
        assert decode_grey(stream, other) is None
    colour = np.zeros((40, 57, 3), np.uint8)
    assert decode_grey(_colour(colour), _header(40, 57, 8, False)) is None


def _colour(pixels: NDArray[np.uint8]) -> bytes:
    return bytes(encode_array(pixels, bits_stored=8, photometric_interpretation=1, codec_format=0))


@pytest.mark.parametrize("length", [0, 1, 11, 60, 110, 200, 2000])
def test_a_stream_that_is_cut_short(length: int, make_file: Callable[..., bytes]) -> None:
    stream = _encoded(_pixels(64, 64, 12, False), 12)
    assert len(stream) > 4000
    with pytest.raises(DecodeError):
        decode_grey(stream[:length], _header(64, 64, 12, False))


def test_random_damage_ends_in_pixels_or_in_an_error() -> None:
    rng = np.random.default_rng(8)
    stream, header = _encoded(_pixels(64, 64, 12, False), 12), _header(64, 64, 12, False)
    outcomes = {"pixels": 0, "none": 0, "error": 0}
    for _ in range(300):
        damaged = np.frombuffer(stream, np.uint8).copy()
        places = rng.integers(4, 300 if rng.random() < 0.5 else len(stream), rng.integers(1, 6))
        damaged[places] = rng.integers(0, 256, len(places))
        try:
            decoded = decode_grey(damaged.tobytes(), header)
        except DecodeError:
            outcomes["error"] += 1
        else:
            outcomes["none" if decoded is None else "pixels"] += 1
            assert decoded is None or decoded.shape == (64, 64)
    assert all(outcomes.values())
