"""Stored pixels come back as they went in, in every encoding that can be written here."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from medground.dicom.image import open_image
from medground.schema.errors import DecodeError

NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]
LAYOUTS = [(kind, (7, 5)) for kind in ("u1", "i1", "u2", "i2", "u4", "i4")]
LAYOUTS += [(kind, (6, 4, 3)) for kind in ("u1", "u2", "u4")]


def _values(kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    limits = np.iinfo(kind)
    return np.random.default_rng(3).integers(limits.min, limits.max, shape, endpoint=True, dtype=kind)


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize(("kind", "shape"), LAYOUTS)
def test_native_pixels_are_unchanged(
    make_file: Callable[..., bytes], syntax: str, kind: str, shape: tuple[int, ...]
) -> None:
    pixels = _values(kind, shape)
    assert np.array_equal(open_image(make_file(pixels, syntax=syntax)).stored(), pixels)


@pytest.mark.parametrize("syntax", COMPRESSED)
@pytest.mark.parametrize("kind", ["u1", "u2", "i2"])
def test_lossless_compression_is_undone(make_file: Callable[..., bytes], syntax: str, kind: str) -> None:
    pixels = _values(kind, (48, 40))
    image = open_image(make_file(pixels, syntax=syntax))
    assert image.header.transfer_syntax_uid == syntax
    assert image.stored().dtype == pixels.dtype
    assert np.array_equal(image.stored(), pixels)


@pytest.mark.parametrize("syntax", [*NATIVE, RLELossless, JPEGLSLossless])
def test_every_frame_is_reached(make_file: Callable[..., bytes], syntax: str) -> None:
    pixels = _values("u2", (5, 9, 7))
    image = open_image(make_file(pixels, syntax=syntax, frames=5))
    assert image.header.frames == 5
    assert all(np.array_equal(image.stored(frame + 1), pixels[frame]) for frame in range(5))
    with pytest.raises(DecodeError, match="frames 1 to 5"):
        image.stored(6)
    with pytest.raises(DecodeError):
        image.stored(0)


def test_bits_beyond_those_stored_are_ignored(make_file: Callable[..., bytes]) -> None:
    pixels = np.array([[0x0FFF, 0x0800], [0x0001, 0x07FF]], np.int16)
    image = open_image(make_file(pixels, BitsStored=12, HighBit=11))
    assert np.array_equal(image.stored(), [[-1, -2048], [1, 2047]])


def test_planar_configuration_one_is_interleaved(make_dataset: Callable[..., Dataset], write_bytes: Any) -> None:
    pixels = _values("u1", (4, 6, 3))
    dataset = make_dataset(pixels, PlanarConfiguration=1)
    dataset.PixelData = np.moveaxis(pixels, 2, 0).tobytes()
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert np.array_equal(open_image(write_bytes(dataset)).stored(), pixels)


def test_ybr_becomes_rgb(make_file: Callable[..., bytes]) -> None:
    ybr = np.array([[[128, 128, 128], [76, 85, 255]], [[29, 255, 107], [255, 128, 128]]], np.uint8)
    rgb = open_image(make_file(ybr, PhotometricInterpretation="YBR_FULL")).stored()
    # grey, red, blue and white by the inverse of PS3.3 C.7.6.3.1.2
    assert np.abs(rgb.astype(int) - [[[128] * 3, [254, 0, 0]], [[0, 0, 254], [255] * 3]]).max() <= 1


def _encapsulated(
    make_dataset: Any, write_bytes: Any, shape: NDArray[Any], value: bytes, syntax: str, **more: Any
) -> bytes:
    dataset = make_dataset(shape, **more)
    dataset.PixelData = value
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    is_known = UID(syntax).is_transfer_syntax
    dataset.file_meta.TransferSyntaxUID = syntax if is_known else JPEGBaseline8Bit
    content: bytes = write_bytes(dataset)
    # pydicom writes no syntax that it does not know: put in its UID afterwards, of the same length with its padding
    return content if is_known else content.replace(JPEGBaseline8Bit.encode(), syntax.encode() + b"\0", 1)


def test_jpeg_baseline_is_close_and_of_the_right_size(make_dataset: Any, write_bytes: Any) -> None:
    pixels = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (48, 1))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    content = _encapsulated(make_dataset, write_bytes, pixels, encapsulate([stream.getvalue()]), JPEGBaseline8Bit)
    assert np.abs(open_image(content).stored().astype(int) - pixels).max() <= 3


@pytest.mark.parametrize("table", ["basic", "none", "extended"])
def test_fragments_find_their_frames(make_dataset: Any, write_bytes: Any, table: str) -> None:
    frames = [np.full((16, 16), 40 * n, np.uint8) for n in range(1, 4)]
    encoded = []
    for frame in frames:
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=95)
        encoded.append(stream.getvalue())
    more: dict[str, Any] = {}
    if table == "extended":
        value, more["ExtendedOffsetTable"], more["ExtendedOffsetTableLengths"] = encapsulate_extended(encoded)
    else:
        value = encapsulate(encoded, fragments_per_frame=2, has_bot=table == "basic")
    content = _encapsulated(make_dataset, write_bytes, np.stack(frames), value, JPEGBaseline8Bit, frames=3, **more)
    image = open_image(content)
    assert [round(float(image.stored(n).mean())) for n in (3, 1, 2)] == [120, 40, 80]


def test_one_bit_segments_native_rle_and_deflated_are_equal(make_dataset: Any, write_bytes: Any) -> None:
    mask = np.random.default_rng(5).integers(0, 2, (2, 16, 8), dtype=np.uint8)
    packed = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in mask]
    one_bit = {"frames": 2, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    literal = [bytes([1, 0, 0, 0, 64, 0, 0, 0]) + bytes(56) + bytes([len(p) - 1]) + p + b"\x80" for p in packed]
    machine = [zlib.compressobj(wbits=-15) for _ in packed]
    deflated = [m.compress(p) + m.flush() for m, p in zip(machine, packed, strict=True)]
    rle = _encapsulated(make_dataset, write_bytes, mask, encapsulate(literal), RLELossless, **one_bit)
    deflate = _encapsulated(make_dataset, write_bytes, mask, encapsulate(deflated), "1.2.840.10008.1.2.8.1", **one_bit)
    dataset = make_dataset(mask, **one_bit)
    dataset.PixelData = b"".join(packed)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for content in (write_bytes(dataset), rle, deflate):
        image = open_image(content)
        assert all(np.array_equal(image.stored(n + 1), mask[n]) for n in range(2))


@pytest.mark.parametrize(("keyword", "kind"), [("FloatPixelData", "f4"), ("DoubleFloatPixelData", "f8")])
def test_float_pixels(make_dataset: Any, write_bytes: Any, keyword: str, kind: str) -> None:
    values = np.linspace(-1.5, 2.5, 12, dtype=kind).reshape(3, 4)
    dataset = make_dataset(values)
    setattr(dataset, keyword, values.tobytes())
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = open_image(write_bytes(dataset))
    assert np.array_equal(image.stored(), values)
    assert np.allclose(image.display(), (values + 1.5) / 4, atol=1e-6)


def test_missing_transfer_syntax_is_recognised_and_said(make_dataset: Any) -> None:
    pixels = _values("u2", (6, 8))
    for implicit, little in ((True, True), (False, True), (False, False)):
        dataset = make_dataset(pixels)
        dataset.PixelData = pixels.astype("<u2" if little else ">u2").tobytes()
        dataset["PixelData"].VR = "OW"
        stream = DicomBytesIO()
        stream.is_implicit_VR, stream.is_little_endian = implicit, little
        write_dataset(stream, dataset)
        # Without a prefix nothing tells a big endian data set from any other bytes.
        prefix = b"" if little else bytes(128) + b"DICM"
        image = open_image(prefix + stream.getvalue())
        assert "no transfer syntax" in image.warnings[0]
        assert np.array_equal(image.stored(), pixels)


@pytest.mark.parametrize("syntax", [JPEGExtended12Bit, JPEG2000Lossless, HTJ2KLossless, JPEGLSLossless, RLELossless])
def test_garbage_in_a_frame_is_a_decode_error(make_dataset: Any, write_bytes: Any, syntax: str) -> None:
    garbage = encapsulate([b"\xff\xd8garbage" + bytes(100)])
    content = _encapsulated(make_dataset, write_bytes, np.zeros((8, 8), np.uint8), garbage, syntax)
    with pytest.raises(DecodeError):
        open_image(content).stored()


def test_one_bit_frames_that_end_within_a_byte(
    make_dataset: Callable[..., Dataset], write_bytes: Callable[..., bytes]
) -> None:
    frames = np.random.default_rng(3).integers(0, 2, (3, 5, 7)).astype(np.uint8)  # 35 bits a frame
    dataset = make_dataset(frames, frames=3)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = open_image(write_bytes(dataset))
    for number, frame in enumerate(frames, start=1):
        assert np.array_equal(image.stored(number), frame)
