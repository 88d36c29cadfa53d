"""Uncompressed grey pixels, read from their place in the file: the one layout that needs no decoder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medground.dicom.header import ImageHeader
from medground.dicom.lut import Rescale
from medground.schema.errors import UnreadableFileError

Stamp = tuple[int, int]
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_KINDS = {8: "1", 16: "2", 32: "4"}


def plain_dtype(header: ImageHeader, vr: str | None) -> np.dtype[Any] | None:
    """How one stored pixel lies in the file, where each is a whole number of its own bytes; None elsewhere.

    Args:
        header: of the image object.
        vr: value representation of its pixel data element.
    """
    big = header.transfer_syntax_uid == ExplicitVRBigEndian
    known = big or header.transfer_syntax_uid in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    if not known or header.photometric not in _GREY or header.samples_per_pixel != 1 or vr in ("OF", "OD"):
        return None
    if header.bits_allocated not in _KINDS or not 1 <= header.bits_stored <= header.bits_allocated:
        return None
    if header.unused_low_bits or (big and header.bits_allocated == 8):  # there, bytes may be swapped in pairs
        return None
    return np.dtype((">" if big else "<") + ("i" if header.signed else "u") + _KINDS[header.bits_allocated])


def without_unused_bits(stored: NDArray[Any], unused_bits: int) -> NDArray[Any]:
    """Clear in place, or fill with the sign, the high bits that are not stored: old files keep overlays there.

    Args:
        stored: pixels of 8, 16 or 32 bits.
        unused_bits: how many of them are not stored.
    """
    if unused_bits:
        np.left_shift(stored, unused_bits, out=stored)
        np.right_shift(stored, unused_bits, out=stored)
    return stored


def unpacked(pixel_data: bytes | memoryview, number: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """One frame of one-bit pixels (PS3.5 8.1.1). pydicom's own reading goes wrong where a frame ends within a byte.

    Args:
        pixel_data: all frames, one after another without a gap.
        number: of the frame, from 0.
        rows: of a frame.
        columns: of a frame.

    Raises:
        UnreadableFileError: there are fewer pixels.
    """
    first_byte, within = divmod(number * rows * columns, 8)
    end = within + rows * columns
    part = np.frombuffer(pixel_data, np.uint8)[first_byte : first_byte + (end + 7) // 8]
    if 8 * len(part) < end:
        raise UnreadableFileError(f"the pixel data end before frame {number + 1}: copy the file again from its source")
    return np.unpackbits(part, count=end, bitorder="little")[within:].reshape(rows, columns)


@dataclass(frozen=True, slots=True)
class NativeSlice:
    """Where the pixels of a single-frame object lie, so that a volume is filled without parsing the file again.

    Attributes:
        path: the file.
        stamp: its size and time of change when the header was read.
        offset: first byte of the pixels.
        dtype: of a stored pixel.
        unused_bits: high bits of it that are not stored.
        modality: stored to modality values.
    """

    path: Path
    stamp: Stamp
    offset: int
    dtype: np.dtype[Any]
    unused_bits: int
    modality: Rescale

    def read(self, rows: int, columns: int) -> NDArray[Any] | None:
        """Stored pixels (rows, columns); None where the file is no longer the one whose header was read."""
        stored = np.empty((rows, columns), self.dtype)
        try:
            with self.path.open("rb", buffering=0) as stream:
                if stamp_of(os.fstat(stream.fileno())) != self.stamp:
                    return None
                stream.seek(self.offset)
                complete = stream.readinto(stored.reshape(-1).view(np.uint8).data) == stored.nbytes
        except OSError:
            return None
        return without_unused_bits(stored, self.unused_bits) if complete else None


def stamp_of(status: os.stat_result) -> Stamp:
    """What tells one state of a file from another: its size and its time of change."""
    return status.st_size, status.st_mtime_ns
