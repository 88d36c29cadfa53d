"""Stored pixels of one frame, from native or encapsulated pixel data.

Each transfer syntax has its decoders named, best first. RLE and deflated frames are expanded here, within bounds, and
then read as native ones. GDCM comes last or alone: it is the only free decoder of lossless JPEG and of 12-bit JPEG.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from medground.dicom.codestream import declared_size, plain_jpeg
from medground.dicom.gdcm_process import gdcm_process
from medground.dicom.header import ImageHeader
from medground.dicom.limits import Limits
from medground.dicom.native import plain_dtype, unpacked, without_unused_bits
from medground.dicom.openjpeg import decode_grey
from medground.dicom.rle import decode_rle
from medground.schema.errors import DecodeError, LimitError

ENCAPSULATED_NATIVE = "1.2.840.10008.1.2.1.98"  # Encapsulated Uncompressed Explicit VR Little Endian (PS3.5 A.4.11)
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"  # Deflated Image Frame Compression (PS3.5 A.4.13), not in pydicom 3.0
_END_OF_IMAGE = b"\xff\xd9"  # no entropy-coded bytes look like it (T.87 A.1); without it CharLS reads on for ever

_PLUGINS: dict[str, tuple[str, ...]] = {
    JPEGBaseline8Bit: ("pillow", "gdcm"),
    JPEGExtended12Bit: ("pillow", "gdcm"),
    JPEGLossless: ("gdcm",),
    JPEGLosslessSV1: ("gdcm",),
    **dict.fromkeys(JPEGLSTransferSyntaxes, ("pyjpegls",)),
    **dict.fromkeys(JPEG2000TransferSyntaxes, ("openjpeg", "pylibjpeg")),
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels of one frame and the photometric interpretation they now have."""

    pixels: NDArray[Any]
    photometric: str


def is_native(transfer_syntax_uid: str) -> bool:
    """Whether the pixel data are uncompressed; private syntaxes count as native, as pydicom reads them."""
    uid = UID(transfer_syntax_uid)
    return transfer_syntax_uid != DEFLATED_FRAMES and not (uid.is_transfer_syntax and uid.is_compressed)


def native_bytes(header: ImageHeader) -> int:
    """Length that native pixel data of all frames must have at least."""
    bits = header.rows * header.columns * header.samples_per_pixel * header.bits_allocated * header.frames
    if header.photometric == "YBR_FULL_422":  # two of three samples (PS3.3 C.7.6.3.1.2)
        bits = bits * 2 // 3
    return math.ceil(bits / 8)


def decode_native(dataset: Dataset, header: ImageHeader, value: memoryview, vr: str | None, frame: int) -> Decoded:
    """Decode a frame of uncompressed pixel data.

    Args:
        dataset: everything before the pixel data.
        header: of the same object.
        value: the whole value of the pixel data element.
        vr: value representation of the element.
        frame: 1-based.
    """
    dtype = plain_dtype(header, vr)
    if dtype is not None:
        count = header.rows * header.columns
        flat = np.frombuffer(value, dtype, count, (frame - 1) * count * dtype.itemsize)
        stored = flat.reshape(header.rows, header.columns).copy()
        return Decoded(without_unused_bits(stored, header.bits_allocated - header.bits_stored), header.photometric)
    if header.bits_allocated == 1 and header.samples_per_pixel == 1:
        return Decoded(unpacked(value, frame - 1, header.rows, header.columns), header.photometric)
    keyword = {32: "FloatPixelData", 64: "DoubleFloatPixelData"}.get(header.bits_allocated, "PixelData")
    options = _options(dataset, header) | {"pixel_keyword": keyword if vr in ("OF", "OD") else "PixelData"}
    options["pixel_vr"] = vr or "OW"
    return _native(header.transfer_syntax_uid, header, value, frame, options)


def _native(syntax: str, header: ImageHeader, value: Any, frame: int, options: dict[str, Any]) -> Decoded:
    """Read a frame of native bytes; bits below the stored ones are dropped."""
    unused = header.bits_allocated - header.bits_stored
    if header.unused_low_bits:
        options |= {"correct_unused_bits": False}
    pixels, result = get_decoder(syntax).as_array(value, index=frame - 1, **options)
    stored = np.array(pixels)
    if header.unused_low_bits:
        stored = (stored << (unused - header.unused_low_bits)) >> unused
    return _as_rgb(Decoded(stored, str(result["photometric_interpretation"])), header)


def _as_rgb(decoded: Decoded, header: ImageHeader) -> Decoded:
    """YBR_FULL of more than 8 bits as RGB, which pydicom does for 8 bits only (PS3.3 C.7.6.3.1.2, in its inverse)."""
    if decoded.photometric != "YBR_FULL" or header.bits_allocated == 8:
        return decoded
    y, cb, cr = (decoded.pixels[..., channel].astype(np.float64) for channel in range(3))
    cb, cr = (difference - 2 ** (header.bits_stored - 1) for difference in (cb, cr))
    rgb = np.stack([y + 1.402 * cr, y - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587, y + 1.772 * cb], axis=-1)
    limited = np.clip(np.floor(rgb + 0.5), 0, 2**header.bits_stored - 1)
    return Decoded(limited.astype(decoded.pixels.dtype), "RGB")


def decode_frame(dataset: Dataset, header: ImageHeader, encoded: bytes, limits: Limits) -> Decoded:
    """Decode one compressed frame.

    Args:
        dataset: everything before the pixel data.
        header: of the same object.
        encoded: the bytes of the frame, fragments joined.
        limits: what may be asked of the machine.

    Raises:
        DecodeError: the frame is damaged, or its transfer syntax has no decoder.
        LimitError: the stream declares more pixels than the limits allow.
    """
    frame_bytes = header.rows * header.columns * header.samples_per_pixel * header.bits_allocated // 8
    limits.check_inflation(len(encoded), frame_bytes, "the compressed frame")
    if header.transfer_syntax_uid in (RLELossless, DEFLATED_FRAMES, ENCAPSULATED_NATIVE):
        return _expanded(dataset, header, encoded)
    plugins = _PLUGINS.get(header.transfer_syntax_uid)
    if header.transfer_syntax_uid == JPEGExtended12Bit and header.bits_stored > 8:  # Pillow knows 8 bits only
        plugins = ("gdcm",)
    name = UID(header.transfer_syntax_uid).name
    if plugins is None:
        raise DecodeError(f"there is no decoder for the transfer syntax {name}; convert the object to another one")
    encoded, is_ycbcr = plain_jpeg(encoded)
    is_lossy_jpeg = header.transfer_syntax_uid in (JPEGBaseline8Bit, JPEGExtended12Bit)
    if is_ycbcr and is_lossy_jpeg and header.samples_per_pixel == 3:
        header = replace(header, photometric="YBR_FULL")
    size = declared_size(encoded)
    if size is None:
        raise DecodeError(f"the compressed frame has no readable header ({name}): the file is damaged; copy it again")
    if size[0] * size[1] > limits.max_pixels_per_frame:
        raise LimitError(
            f"the compressed stream declares {size[0]} x {size[1]} pixels, more than {limits.max_pixels_per_frame} "
            "(limit max_pixels_per_frame)"
        )
    if size != (header.rows, header.columns):  # garbage of another size could keep a decoder busy for long
        raise DecodeError(
            f"the compressed stream declares {size[0]} x {size[1]} pixels where the header of the image says "
            f"{header.rows} x {header.columns}: the file is damaged; copy it again from its source"
        )
    if header.transfer_syntax_uid in JPEGLSTransferSyntaxes and _END_OF_IMAGE not in encoded:
        raise DecodeError("the JPEG-LS frame has no end: the file is cut short; copy it again from its source")
    failures: list[Exception] = []
    for plugin in plugins:
        try:
            return _with_plugin(dataset, header, encoded, plugin)
        except (DecodeError, RuntimeError, ValueError) as cause:
            failures.append(cause)
    raise DecodeError(
        f"the compressed frame cannot be decoded ({name}): the file is damaged or cut "
        "short; copy it again from its source"
    ) from failures[-1]


def _with_plugin(dataset: Dataset, header: ImageHeader, encoded: bytes, plugin: str) -> Decoded:
    syntax = header.transfer_syntax_uid
    if plugin == "openjpeg":
        return _by_openjpeg(header, encoded)
    options = _options(dataset, header) | {"number_of_frames": 1}
    if plugin == "gdcm":
        # pydicom refuses GDCM for 12-bit JPEG by the name of the syntax; GDCM itself goes by the stream and decodes it
        # (equal to DCMTK's dcmdjpeg on every pixel).
        name = JPEGLossless if syntax == JPEGExtended12Bit else syntax
        is_narrow = header.bits_stored < 8  # a stream of fewer than 8 bits ends GDCM, unless it is told of 8
        told = options | {"bits_stored": 8} if is_narrow else options
        pixels, photometric = gdcm_process().decode(name, told, encoded)
        unused = header.bits_allocated - header.bits_stored if is_narrow else 0
        return _as_rgb(Decoded(without_unused_bits(pixels, unused), photometric), header)
    pixels, result = get_decoder(syntax).as_array(encapsulate([encoded]), index=0, decoding_plugin=plugin, **options)
    return _as_rgb(Decoded(np.array(pixels), str(result["photometric_interpretation"])), header)


def _by_openjpeg(header: ImageHeader, encoded: bytes) -> Decoded:
    """A grey frame of up to 16 bits whose stream agrees with the header; pylibjpeg knows what to do with the others."""
    is_grey = header.samples_per_pixel == 1 and header.photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    pixels = decode_grey(encoded, header) if is_grey and header.bits_stored <= 16 <= 2 * header.bits_allocated else None
    if pixels is None:
        raise DecodeError("this is no plain grey JPEG 2000 frame")
    return Decoded(pixels, header.photometric)


def _expanded(dataset: Dataset, header: ImageHeader, encoded: bytes) -> Decoded:
    """Expand an RLE or deflated frame to native bytes, and read those."""
    count = header.rows * header.columns
    options: dict[str, Any] = {"number_of_frames": 1, "pixel_keyword": "PixelData", "pixel_vr": "OW"}
    if header.transfer_syntax_uid == ENCAPSULATED_NATIVE:
        native = encoded
    elif header.transfer_syntax_uid == DEFLATED_FRAMES:
        native = _inflate_frame(encoded, math.ceil(count * header.samples_per_pixel * header.bits_allocated / 8))
    elif header.bits_allocated == 1:
        native = decode_rle(encoded, header.samples_per_pixel, math.ceil(count / 8)).tobytes()
    else:
        samples, sample_bytes = header.samples_per_pixel, header.bits_allocated // 8
        segments = decode_rle(encoded, samples * sample_bytes, count).reshape(samples, sample_bytes, count)
        interleaved = np.empty((samples, count, sample_bytes), np.uint8)
        for place in range(sample_bytes):  # most significant segment first; several times faster than one transposition
            interleaved[:, :, place] = segments[:, sample_bytes - 1 - place]
        native = interleaved.tobytes()
        options["planar_configuration"] = 1
    native += b"\0" * (len(native) % 2)
    return _native(ExplicitVRLittleEndian, header, native, 1, _options(dataset, header) | options)


def _inflate_frame(encoded: bytes, size: int) -> bytes:
    native = zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded, size)
    if len(native) < size:
        raise DecodeError(f"a deflated frame inflates to {len(native)} of {size} bytes: the file is damaged")
    return native


def _options(dataset: Dataset, header: ImageHeader) -> dict[str, Any]:
    """What pydicom's decoders need to know, from the checked header."""
    options = dict(as_pixel_options(dataset))
    options.pop("extended_offsets", None)
    options |= {"number_of_frames": header.frames, "rows": header.rows, "columns": header.columns}
    options |= {"photometric_interpretation": header.photometric, "samples_per_pixel": header.samples_per_pixel}
    options["as_rgb"] = header.bits_allocated <= 8 or header.photometric != "YBR_FULL"
    return options | {"allow_excess_frames": False}
