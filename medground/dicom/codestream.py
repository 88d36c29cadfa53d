"""The size that a compressed frame declares for itself, read before a decoder allocates memory for it.

What is accepted here is also what pydicom walks through without getting lost: it follows lengths without a bound, and a
box of length zero would hold it for ever.
"""

from __future__ import annotations

import re
import struct
from typing import cast

_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
_JP2_SIGNATURE, _JP2_CODESTREAM = b"\x00\x00\x00\x0cjP  ", b"jp2c"
_NOT_A_FRAME = frozenset({0xC4, 0xC8, 0xCC})  # Huffman tables, reserved, arithmetic conditioning
_JPEG_LS_FRAME, _SCAN, _ADOBE = 0xF7, 0xDA, 0xEE
_MAX_SEGMENTS = 4096
_FILL = re.compile(rb"\xff+")


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns in the frame header of a JPEG, JPEG-LS or JPEG 2000 stream.

    Args:
        frame: one encoded frame.

    Returns:
        (rows, columns), or None where the stream is none of these or its headers are damaged.

    Source:
        ITU-T T.81 B.2.2 and T.87 C.2.2 (start of frame), T.800 A.5.1 (SIZ) and I.4 (boxes of JP2).
    """
    if frame.startswith(_JPEG_START):
        return _jpeg_size(frame)
    start = _after_boxes(frame) if frame.startswith(_JP2_SIGNATURE) else 0
    if start is None or frame[start : start + 4] != _J2K_START or len(frame) < start + 24:
        return None
    width, height, left, top = struct.unpack_from(">4L", frame, start + 8)
    return max(height - top, 0), max(width - left, 0)


def _after_boxes(frame: bytes) -> int | None:
    """Where the codestream starts in a JP2 file; None where its boxes do not lead there."""
    position = 12
    for _ in range(_MAX_SEGMENTS):
        if frame[position + 4 : position + 8] == _JP2_CODESTREAM:
            return position + 8
        length = int.from_bytes(frame[position : position + 4], "big")
        if length < 8:
            return None
        position += length
    return None


def plain_jpeg(frame: bytes) -> tuple[bytes, bool]:
    """A JPEG frame without what leads decoders astray; any other frame as it is.

    Fill bytes before a marker are skipped by decoders, but pydicom, which looks for the colour space first, takes them
    for a marker. An Adobe marker that says YCbCr makes Pillow convert to RGB, and pydicom then converts once more.

    Args:
        frame: one encoded frame.

    Returns:
        The frame without both, and whether it had such an Adobe marker.

    Source:
        ITU-T T.81 B.1.1.2 (any marker may be preceded by any number of bytes 0xFF), T.872 6.5.3 (APP14).
    """
    if not frame.startswith(_JPEG_START):
        return frame, False
    kept, position, is_ycbcr = [_JPEG_START], 2, False
    for _ in range(_MAX_SEGMENTS):
        if position + 4 > len(frame) or frame[position] != 0xFF:
            break
        position = cast(re.Match[bytes], _FILL.match(frame, position)).end() - 1
        length = int.from_bytes(frame[position + 2 : position + 4], "big")
        if length < 2 or frame[position + 1] == _SCAN:
            break
        segment = frame[position : position + 2 + length]
        if segment[1] == _ADOBE and segment[4:9] == b"Adobe" and segment[15:16] == b"\x01":
            is_ycbcr = True
        else:
            kept.append(segment)
        position += 2 + length
    return b"".join([*kept, frame[position:]]) if sum(map(len, kept)) != position else frame, is_ycbcr


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """Size in the start of frame, if every segment from there to the start of scan follows the one before."""
    position, size = 2, None
    for _ in range(_MAX_SEGMENTS):
        if position + 9 > len(frame) or frame[position] != 0xFF:
            return None
        marker, length = frame[position + 1], int.from_bytes(frame[position + 2 : position + 4], "big")
        if marker == _SCAN:
            return size
        if (0xC0 <= marker <= 0xCF and marker not in _NOT_A_FRAME) or marker == _JPEG_LS_FRAME:
            rows, columns = struct.unpack_from(">HH", frame, position + 5)
            size = rows, columns
        if length < 2:
            return None
        position += 2 + length
    return None
