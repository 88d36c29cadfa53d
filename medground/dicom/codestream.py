"""The size that a compressed frame declares for itself, read before a decoder allocates memory for it."""

from __future__ import annotations

import struct

_JPEG_START, _J2K_START, _SIZ = b"\xff\xd8", b"\xff\x4f", b"\xff\x51"
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_NOT_A_FRAME = frozenset({0xC4, 0xC8, 0xCC})  # Huffman tables, reserved, arithmetic conditioning


def declared_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns in the frame header of a JPEG, JPEG-LS or JPEG 2000 stream.

    Args:
        frame: one encoded frame.

    Returns:
        (rows, columns), or None where the stream is none of these or its header cannot be found.

    Source:
        ITU-T T.81 B.2.2 and T.87 C.2.2 (start of frame), T.800 A.5.1 (SIZ).
    """
    start = frame.find(_J2K_START + _SIZ, 0, 4096)
    if start >= 0 and len(frame) >= start + 24:
        width, height, left, top = struct.unpack_from(">4L", frame, start + 8)
        return max(height - top, 0), max(width - left, 0)
    return _jpeg_size(frame) if frame.startswith(_JPEG_START) else None


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(frame):
        if frame[position] != 0xFF:
            return None
        marker = frame[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _STANDALONE:
            position += 2
        elif (0xC0 <= marker <= 0xCF and marker not in _NOT_A_FRAME) or marker == 0xF7:
            rows, columns = struct.unpack_from(">HH", frame, position + 5)
            return rows, columns
        else:
            position += 2 + struct.unpack_from(">H", frame, position + 2)[0]
    return None
