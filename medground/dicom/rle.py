"""RLE Lossless (PS3.5 Annex G), bounded: a frame never decodes to more than its header says it holds.

pydicom's decoder expands a segment to its end before it looks at the size, and refuses one bit to a sample.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from medground.schema.errors import DecodeError

_HEADER = struct.Struct("<16L")
_SLACK_BYTES = 4096


def decode_rle(frame: bytes, segments: int, segment_bytes: int) -> NDArray[np.uint8]:
    """The segments of one frame.

    Args:
        frame: RLE header and segments.
        segments: number of segments that the image header asks for.
        segment_bytes: decoded size of each.

    Returns:
        (segments, segment_bytes), most significant byte of each sample first.

    Raises:
        DecodeError: another number of segments, an offset outside the frame, or a segment that ends early.
    """
    if len(frame) < _HEADER.size:
        raise DecodeError(f"an RLE frame of {len(frame)} bytes is shorter than its header of {_HEADER.size} bytes")
    found, *offsets = _HEADER.unpack_from(frame)
    if found != segments:
        raise DecodeError(f"the RLE frame has {found} segments where the header of the image asks for {segments}")
    ends = [*offsets[1:found], len(frame)]
    decoded = np.empty((segments, segment_bytes), np.uint8)
    for row, start, end in zip(decoded, offsets, ends, strict=False):
        if not _HEADER.size <= start <= end <= len(frame):
            raise DecodeError(f"an RLE segment lies at {start}..{end}, outside its frame of {len(frame)} bytes")
        # No sane encoder needs half as much again: what lies beyond cannot be reached, and costs no time.
        end = min(end, start + segment_bytes * 3 // 2 + _SLACK_BYTES)
        row[:] = np.frombuffer(_unpack(frame[start:end], segment_bytes), np.uint8)
    return decoded


def _unpack(packed: bytes, size: int) -> bytearray:
    """PackBits: n < 128 copies the next n + 1 bytes, n > 128 repeats the next byte 257 - n times."""
    out = bytearray()
    position, last, left = 0, len(packed) - 1, size  # counted here: a million calls of len() are a third of the time
    while left > 0 and position < last:
        count = packed[position]
        if count < 128:
            after = position + count + 2
            out += packed[position + 1 : after]
            left -= count + 1
            position = after
        elif count > 128:
            out += packed[position + 1 : position + 2] * (257 - count)
            left -= 257 - count
            position += 2
        else:
            position += 1
    if len(out) < size:
        raise DecodeError(f"an RLE segment decodes to {len(out)} of {size} bytes: the file is damaged")
    del out[size:]
    return out
