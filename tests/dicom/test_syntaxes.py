"""Files written here in every transfer syntax: lossless ones come back exactly, lossy ones as others decode them."""

from __future__ import annotations

import io
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from medground.dicom.decode import DEFLATED_FRAMES, ENCAPSULATED_NATIVE
from medground.dicom.image import open_image
from pipelines.judges.stored_pixels import reference_pixels

Make = Callable[..., bytes]
NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
DEPTHS = [(bits, signed) for bits in (8, 10, 12, 16) for signed in (False, True)]
DEEP = [(bits, signed) for bits in (24, 32) for signed in (False, True)]
SHALLOW = [(bits, signed) for bits in (2, 4, 7) for signed in (False, True)]
SIZE = (40, 52)


def waves(bits: int, signed: bool = False, size: tuple[int, ...] = SIZE) -> NDArray[Any]:
    """A smooth picture with some noise that reaches both ends of its range; colour where `size` has three lengths."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    y, x = np.mgrid[: size[0], : size[1]]
    grey = (np.sin(x / 9) * np.cos(y / 7) + 1) / 2 + np.random.default_rng(bits).normal(0, 0.01, size[:2])
    picture = np.stack([grey, np.roll(grey, 5, 0), grey[::-1]], axis=-1) if len(size) == 3 else grey
    values = np.clip(np.round(low + (high - low) * picture), low, high).astype(np.int64)
    values.flat[:2] = low, high
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def bits_of(bits: int) -> dict[str, int]:
    return {"BitsStored": bits, "HighBit": bits - 1}


@pytest.fixture
def encapsulated(make_dataset: Any, write_bytes: Any) -> Make:
    """A file around encoded frames, or around pixel data already encapsulated."""

    def make(pixels: NDArray[Any], encoded: list[bytes] | bytes, syntax: str, **elements: Any) -> bytes:
        dataset = make_dataset(pixels, **elements)
        dataset.PixelData = encapsulate(encoded) if isinstance(encoded, list) else encoded
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.file_meta = FileMetaDataset()
        is_known = UID(syntax).is_transfer_syntax  # pydicom writes no other: the name is put in afterwards
        dataset.file_meta.TransferSyntaxUID = syntax if is_known else JPEGBaseline8Bit
        content: bytes = write_bytes(dataset)
        return content if is_known else content.replace(JPEGBaseline8Bit.encode(), syntax.encode() + b"\0", 1)

    return make


@pytest.fixture
def convert(tmp_path: Path) -> Make:
    """A file as a program of DCMTK or GDCM writes it anew."""

    def run(content: bytes, *command: str) -> bytes:
        before, after = tmp_path / "before.dcm", tmp_path / "after.dcm"
        before.write_bytes(content)
        subprocess.run([*command, str(before), str(after)], check=True, capture_output=True, timeout=300)
        return after.read_bytes()

    return run


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize(("bits", "signed"), SHALLOW + DEPTHS + DEEP)
def test_uncompressed(make_file: Make, syntax: str, bits: int, signed: bool) -> None:
    pixels = waves(bits, signed)
    assert np.array_equal(open_image(make_file(pixels, syntax=syntax, **bits_of(bits))).stored(), pixels)


@pytest.mark.parametrize(("bits", "signed"), SHALLOW + DEPTHS + DEEP)
@pytest.mark.parametrize("samples", [1, 3])
def test_rle(encapsulated: Make, bits: int, signed: bool, samples: int) -> None:
    pixels = waves(bits, signed, SIZE if samples == 1 else (*SIZE, 3))
    content = encapsulated(pixels, [_rle(pixels)], RLELossless, **bits_of(bits))
    assert np.array_equal(open_image(content).stored(), pixels)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
def test_jpeg_ls_and_jpeg_2000(make_file: Make, syntax: str, bits: int, signed: bool) -> None:
    pixels = waves(bits, signed)
    image = open_image(make_file(pixels, syntax=syntax, **bits_of(bits)))
    assert image.stored().dtype == pixels.dtype
    assert np.array_equal(image.stored(), pixels)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL])
@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
def test_high_throughput_jpeg_2000(encapsulated: Make, syntax: str, bits: int, signed: bool) -> None:
    pixels = waves(bits, signed)
    encoded = bytes(imagecodecs.htj2k_encode(pixels, reversible=True))
    assert np.array_equal(open_image(encapsulated(pixels, [encoded], syntax, **bits_of(bits))).stored(), pixels)


@pytest.mark.parametrize("syntax", [DEFLATED_FRAMES, ENCAPSULATED_NATIVE])
@pytest.mark.parametrize(("bits", "signed"), DEPTHS + DEEP)
def test_deflated_and_encapsulated_frames(encapsulated: Make, syntax: str, bits: int, signed: bool) -> None:
    frames = np.stack([waves(bits, signed), waves(bits, signed)[::-1]])
    natives = [frame.tobytes() for frame in frames]
    if syntax == DEFLATED_FRAMES:
        natives = [zlib.compress(native, wbits=-zlib.MAX_WBITS) for native in natives]
    image = open_image(encapsulated(frames, natives, syntax, frames=2, **bits_of(bits)))
    assert all(np.array_equal(image.stored(number + 1), frames[number]) for number in range(2))


@pytest.mark.judge("dcmtk")
@pytest.mark.parametrize("option", ["+e1", "+el +sv 4", "+el +sv 6"])
@pytest.mark.parametrize(("bits", "signed"), SHALLOW + DEPTHS)
def test_jpeg_lossless(make_file: Make, convert: Make, option: str, bits: int, signed: bool) -> None:
    pixels = waves(bits, signed)
    content = convert(make_file(pixels, **bits_of(bits)), "dcmcjpeg", *option.split())
    image = open_image(content)
    assert image.header.transfer_syntax_uid.endswith("4.70" if option == "+e1" else "4.57")
    assert np.array_equal(image.stored(), pixels)


@pytest.mark.judge("dcmtk")
@pytest.mark.parametrize(
    "command",
    ["dcmcjpls +el +in", "dcmcjpls +el +il", "dcmcjpls +el +is", "dcmcjpeg +e1", "dcmcjpeg +el +sv 7", "dcmcrle"],
)
@pytest.mark.parametrize("planar", [0, 1])
def test_lossless_colour(make_file: Make, convert: Make, command: str, planar: int) -> None:
    pixels = waves(8, size=(*SIZE, 3))
    written = np.moveaxis(pixels, 2, 0).reshape(pixels.shape) if planar else pixels
    content = convert(make_file(written, PlanarConfiguration=planar), *command.split())
    assert np.array_equal(open_image(content).stored(), pixels)


@pytest.mark.judge("dcmtk")
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, False)])
@pytest.mark.parametrize("near", [1, 3])
def test_jpeg_ls_near_lossless(make_file: Make, convert: Make, bits: int, signed: bool, near: int) -> None:
    pixels = waves(bits, signed)
    content = convert(make_file(pixels, **bits_of(bits)), "dcmcjpls", "+en", "+md", str(near))
    error = np.abs(open_image(content).stored().astype(int) - pixels)
    assert 0 < error.max() <= near


@pytest.mark.judge("dcmtk")
@pytest.mark.parametrize("bits", [8, 12])
def test_jpeg_extended(make_file: Make, convert: Make, tmp_path: Path, bits: int) -> None:
    pixels = waves(bits)
    content = convert(make_file(pixels, **bits_of(bits)), "dcmcjpeg", "+ee", "+q", "90")
    assert content.count(b"1.2.840.10008.1.2.4.51")
    mine = open_image(content).stored()
    assert np.abs(mine.astype(int) - pixels).mean() < 2**bits / 60
    assert np.abs(mine.astype(int) - _by("dcmtk", content, tmp_path)).max() <= 1


def _by(reference: str, content: bytes, folder: Path) -> NDArray[Any]:
    (folder / "frame.dcm").write_bytes(content)
    frames = reference_pixels(reference, folder / "frame.dcm").frames
    assert frames is not None
    return frames[0].astype(int)


def _jpeg(pixels: NDArray[np.uint8], subsampling: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92, subsampling=subsampling)
    return stream.getvalue()


@pytest.mark.judge("dcmtk")
@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("marker", ["JFIF", "Adobe", "none"])
@pytest.mark.parametrize("subsampling", [0, 1])
def test_jpeg_baseline_in_colour(
    encapsulated: Make, tmp_path: Path, photometric: str, marker: str, subsampling: int
) -> None:
    pixels = waves(8, size=(*SIZE, 3))
    encoded = _jpeg(pixels, subsampling)
    if marker != "JFIF":
        length = int.from_bytes(encoded[4:6], "big")
        adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01" if marker == "Adobe" else b""
        encoded = encoded[:2] + adobe + encoded[4 + length :]
    content = encapsulated(pixels, [encoded], JPEGBaseline8Bit, PhotometricInterpretation=photometric)
    mine = open_image(content).stored()
    assert np.abs(mine.astype(int) - pixels).mean() < (4 if subsampling == 0 else 25)
    assert np.abs(mine.astype(int) - _by("dcmtk", content, tmp_path)).max() <= 1


def test_fill_bytes_before_jpeg_markers(encapsulated: Make) -> None:
    pixels = waves(8)
    plain = _jpeg(pixels)
    at = plain.index(b"\xff\xc0")
    filled = plain[:2] + b"\xff\xff\xff" + plain[2:at] + b"\xff" + plain[at:]
    stored = [open_image(encapsulated(pixels, [one], JPEGBaseline8Bit)).stored() for one in (plain, filled)]
    assert np.array_equal(*stored)
    assert np.abs(stored[0].astype(int) - pixels).mean() < 3


@pytest.mark.judge("libgdcm-tools")
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_2000_lossy(encapsulated: Make, tmp_path: Path, bits: int) -> None:
    pixels = waves(bits)
    encoded = bytes(encode_array(pixels, bits_stored=bits, compression_ratios=[8]))
    content = encapsulated(pixels, [encoded], JPEG2000, **bits_of(bits))
    mine = open_image(content).stored().astype(int)
    assert 0 < np.abs(mine - pixels).mean() < 2**bits / 40
    assert np.abs(mine - _by("gdcm", content, tmp_path)).max() <= 1


@pytest.mark.parametrize(("bits", "rounding"), [(8, 1), (12, 1), (16, 2)])  # single precision floats of 16 bits
def test_high_throughput_lossy(encapsulated: Make, bits: int, rounding: int) -> None:
    pixels = waves(bits)
    encoded = bytes(imagecodecs.htj2k_encode(pixels, level=0.002, reversible=False))
    mine = open_image(encapsulated(pixels, [encoded], HTJ2K, **bits_of(bits))).stored().astype(int)
    assert 0 < np.abs(mine - pixels).mean() < 2**bits / 40
    assert np.abs(mine - imagecodecs.htj2k_decode(encoded).astype(int)).max() <= rounding  # by OpenJPH


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT"])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless])
def test_reversible_colour_transform(encapsulated: Make, photometric: str, syntax: str) -> None:
    pixels = waves(8, size=(*SIZE, 3))
    if syntax == HTJ2KLossless:
        encoded = imagecodecs.htj2k_encode(pixels, reversible=True, rgb=photometric != "RGB")
    else:
        encoded = encode_array(pixels, photometric_interpretation=1, use_mct=photometric != "RGB")
    content = encapsulated(pixels, [bytes(encoded)], syntax, PhotometricInterpretation=photometric)
    assert np.array_equal(open_image(content).stored(), pixels)


@pytest.mark.parametrize(
    ("syntax", "table"),
    [
        (syntax, table)
        for syntax in (JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit, RLELossless)
        for table in ("none", "basic", "extended", "fragments", "fragments without table")
        if (syntax, table) != (RLELossless, "fragments without table")  # nothing tells where an RLE frame ends
    ],
)
def test_frames_of_one_and_of_several_fragments(encapsulated: Make, syntax: str, table: str) -> None:
    frames = np.stack([np.roll(waves(8), 7 * shift, axis=1) for shift in range(3)])
    encoded = [_encoded(frame, syntax) for frame in frames]
    more: dict[str, Any] = {}
    if table == "extended":
        value, more["ExtendedOffsetTable"], more["ExtendedOffsetTableLengths"] = encapsulate_extended(encoded)
    else:
        pieces = 3 if table.startswith("fragments") else 1
        value = encapsulate(encoded, fragments_per_frame=pieces, has_bot=table in ("basic", "fragments"))
    image = open_image(encapsulated(frames, value, syntax, frames=3, **more))
    tolerance = 12 if syntax == JPEGBaseline8Bit else 0
    for number in (3, 1, 2):
        assert np.abs(image.stored(number).astype(int) - frames[number - 1]).max() <= tolerance


def _encoded(frame: NDArray[np.uint8], syntax: str) -> bytes:
    if syntax == JPEGBaseline8Bit:
        return _jpeg(frame)
    if syntax == RLELossless:
        return _rle(frame)
    return bytes(imagecodecs.jpegls_encode(frame) if syntax == JPEGLSLossless else encode_array(frame, bits_stored=8))


def _rle(frame: NDArray[Any]) -> bytes:
    """A segment for each byte of each sample, the most significant first (PS3.5 Annex G)."""
    planes = frame.astype(frame.dtype.newbyteorder(">")).reshape(*SIZE, -1).view("u1").reshape(SIZE[0] * SIZE[1], -1)
    segments = [bytes(imagecodecs.packbits_encode(plane.tobytes())) for plane in planes.T]
    starts = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    header = struct.pack("<16L", len(segments), *starts, *[0] * (15 - len(starts)))
    return header + b"".join(segments)
