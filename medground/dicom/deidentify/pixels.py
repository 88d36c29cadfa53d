"""Pixel data that hold the pixels of their frames and nothing besides."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRBigEndian

from medground.dicom.decode import is_native, native_bytes
from medground.dicom.deidentify.streams import bare_stream
from medground.dicom.elements import value, whole
from medground.dicom.fragments import frame_table
from medground.dicom.header import ImageHeader, read_header
from medground.dicom.limits import Limits
from medground.dicom.parse import Parsed
from medground.schema.errors import DecodeError, UnreadableFileError


def bare_pixels(parsed: Parsed, limits: Limits) -> bytes:
    """The value of the pixel data element: as many bytes as the frames need, compressed streams without comments.

    Args:
        parsed: an image, its overlays not yet removed.
        limits: what may be asked of the machine.

    Raises:
        UnreadableFileError: fewer pixels than the header announces.
        DecodeError: pixel data that cannot be told from what is hidden among them.
    """
    header = read_header(parsed.dataset, parsed.transfer_syntax_uid, limits)
    pixels = parsed.pixels
    with parsed.source.view(limits) as data:
        if is_native(parsed.transfer_syntax_uid):
            if not UID(parsed.transfer_syntax_uid).is_transfer_syntax:
                raise DecodeError("the transfer syntax is a private one; convert the object to a standard one first")
            size = native_bytes(header)
            if pixels.length is None or pixels.length < size:
                raise UnreadableFileError("the pixel data are cut short; copy the file again from its source")
            return _without_overlays(bytes(data[pixels.offset : pixels.offset + size]), parsed.dataset, header)
        extended = value(parsed.dataset, "ExtendedOffsetTable")
        table = frame_table(
            data, pixels.offset, header.frames, extended if isinstance(extended, bytes) else None, limits
        )
        segment_bytes = header.rows * header.columns // (8 if header.bits_allocated == 1 else 1)
        frames = [
            bare_stream(table.frame(data, number), parsed.transfer_syntax_uid, segment_bytes)
            for number in range(1, header.frames + 1)
        ]
    return bytes(encapsulate(frames, has_bot=len(frames) > 1))


def _without_overlays(pixels: bytes, dataset: Dataset, header: ImageHeader) -> bytes:
    """Clear the bits above or below the stored ones that hold a retired kind of overlay (PS3.3-2004 C.9.2)."""
    hidden = 0
    first = (whole(dataset, "HighBit") or header.bits_stored - 1) - header.bits_stored + 1
    for group in range(0x6000, 0x6020, 2):
        position = dataset.get((group, 0x0102))
        bit = None if position is None else position.value
        inside = isinstance(bit, int) and 0 <= bit < header.bits_allocated
        if inside and (group, 0x3000) not in dataset and not first <= bit < first + header.bits_stored:
            hidden |= 1 << bit
    if not hidden or header.bits_allocated not in (8, 16, 32):
        return pixels + b"\0" * (len(pixels) % 2)
    order = ">" if header.transfer_syntax_uid == ExplicitVRBigEndian else "<"
    samples = np.frombuffer(pixels, f"{order}u{header.bits_allocated // 8}")
    mask = samples.dtype.type(~hidden & (2**header.bits_allocated - 1))
    cleared: bytes = (samples & mask).astype(samples.dtype).tobytes()
    return cleared + b"\0" * (len(pixels) % 2)
