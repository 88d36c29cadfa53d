"""Compressed frames without what decoders do not need: comments, application segments, bytes after the end.

Segments are blanked in place rather than cut out, so that no length or offset inside a stream has to be mended.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Final

from pydicom.uid import (
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from medground.dicom.decode import DEFLATED_FRAMES
from medground.schema.errors import DecodeError

_DAMAGED: Final = "the compressed frame is damaged, so what it carries besides pixels cannot be told: copy it again"
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_SCAN_END = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")  # no marker in a scan but restarts, D0 to D7
# What changes how a decoder reads the samples: JFIF and Adobe (colour), HP's colour transform of JPEG-LS.
_NEEDED: Final = {0xE0: (b"JFIF\0", 12), 0xEE: (b"Adobe", 12), 0xE8: (b"mrfx", 5)}
_J2K_COM, _J2K_SOT, _J2K_SOD, _J2K_EOC = 0xFF64, 0xFF90, 0xFF93, b"\xff\xd9"
_JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  "
_JP2_NEEDED: Final = frozenset({b"jP  ", b"ftyp", b"jp2h", b"jp2c"})
_RLE_HEADER = struct.Struct("<16L")


def bare_stream(frame: bytes, transfer_syntax_uid: str, segment_bytes: int) -> bytes:
    """One compressed frame that carries its pixels and nothing else.

    Args:
        frame: encoded bytes, fragments joined.
        transfer_syntax_uid: how they are encoded.
        segment_bytes: of RLE, the decoded size of a segment.

    Raises:
        DecodeError: the stream is damaged, or of a kind that is not known well enough to be cleaned.

    Source: ITU-T T.81 B.1.1, T.87 C.1, T.800 A.4 and I.4; PS3.5 Annex G.
    """
    try:
        if transfer_syntax_uid in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes):
            return _bare_jpeg(frame)
        if transfer_syntax_uid in JPEG2000TransferSyntaxes:
            return _bare_jpeg2000(frame)
        if transfer_syntax_uid == RLELossless:
            return _bare_rle(frame, segment_bytes)
        if transfer_syntax_uid == DEFLATED_FRAMES:
            return _bare_deflated(frame)
    except (struct.error, IndexError, ValueError, zlib.error) as cause:
        raise DecodeError(_DAMAGED) from cause
    raise DecodeError(
        "comments inside this kind of compressed pixel data cannot be removed; convert the object to another transfer "
        "syntax first"
    )


def _bare_deflated(frame: bytes) -> bytes:
    machine, rest = zlib.decompressobj(-zlib.MAX_WBITS), frame
    while rest and not machine.eof:
        machine.decompress(rest, 2**20)
        rest = machine.unconsumed_tail
    if not machine.eof:
        raise DecodeError(_DAMAGED)
    return frame[: len(frame) - len(machine.unused_data)]


def _bare_jpeg(frame: bytes) -> bytes:
    """JPEG and JPEG-LS: from the start of image to its end; APPn and COM blanked."""
    if frame[:2] != b"\xff\xd8":
        raise DecodeError(_DAMAGED)
    out, position = bytearray(frame), 2
    while frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker == _EOI:
            return bytes(out[: position + 2])
        (length,) = struct.unpack_from(">H", frame, position + 2)
        start, position = position + 4, position + 2 + length
        if length < 2:
            break
        if marker == _COM or marker in _APPLICATION:
            kept = _needed_bytes(marker, frame[start:position])
            out[start + kept : position] = bytes(position - start - kept)
        elif marker == _SOS:
            end = _SCAN_END.search(frame, position)
            if end is None:
                break
            position = end.start()
    raise DecodeError(_DAMAGED)


def _needed_bytes(marker: int, content: bytes) -> int:
    """How many bytes of an application segment decoders look at; a JFIF thumbnail is none of them."""
    start, size = _NEEDED.get(marker, (b"", 0))
    return min(size, len(content)) if content.startswith(start) else 0


def _bare_jpeg2000(frame: bytes) -> bytes:
    """JPEG 2000 and HTJ2K: comment segments blanked, nothing after the end; of JP2 only the boxes that are needed."""
    if not frame.startswith(_JP2_SIGNATURE):
        return _bare_codestream(frame)
    out, position = bytearray(), 0
    while position < len(frame):
        length, kind = struct.unpack_from(">L4s", frame, position)
        end = len(frame) if length == 0 else position + length
        if 0 < length < 8 or end > len(frame):
            raise DecodeError(_DAMAGED)
        if kind == b"jp2c":
            stream = _bare_codestream(frame[position + 8 : end])
            return bytes(out) + struct.pack(">L4s", len(stream) + 8, kind) + stream
        if kind in _JP2_NEEDED:
            out += frame[position:end]
        position = end
    raise DecodeError(_DAMAGED)


def _bare_codestream(stream: bytes) -> bytes:
    if stream[:2] != b"\xff\x4f":
        raise DecodeError(_DAMAGED)
    out, position = bytearray(stream), 2
    tile_start, tile_bytes = 0, 0
    while position + 2 <= len(stream):
        (marker,) = struct.unpack_from(">H", stream, position)
        if marker == 0xFFD9:
            return bytes(out[: position + 2])
        if marker == _J2K_SOD:
            # Psot 0: the last tile-part, up to the end of the stream (T.800 A.4.2).
            after = stream.rindex(_J2K_EOC) if tile_bytes == 0 else tile_start + tile_bytes
            if after <= position:
                break
            position = after
            continue
        (length,) = struct.unpack_from(">H", stream, position + 2)
        if length < 2 or marker < 0xFF00:
            break
        if marker == _J2K_SOT:
            tile_start = position
            (tile_bytes,) = struct.unpack_from(">L", stream, position + 6)
            if 0 < tile_bytes < 14:
                break
        elif marker == _J2K_COM:
            out[position + 6 : position + 2 + length] = bytes(max(length - 4, 0))
        position += 2 + length
    raise DecodeError(_DAMAGED)


def _bare_rle(frame: bytes, segment_bytes: int) -> bytes:
    """RLE: every byte outside the runs of its segments zero or cut."""
    count, *offsets = _RLE_HEADER.unpack_from(frame)
    if not 1 <= count <= len(offsets):
        raise DecodeError(_DAMAGED)
    out, end = bytearray(frame), len(frame)
    out[4 * (count + 1) : offsets[0]] = bytes(offsets[0] - 4 * (count + 1))
    for start, limit in zip(offsets[:count], [*offsets[1:count], len(frame)], strict=True):
        if not 64 <= start <= limit <= len(frame):
            raise DecodeError(_DAMAGED)
        end = _end_of_runs(frame, start, limit, segment_bytes)
        out[end:limit] = bytes(limit - end)
    return bytes(out[: end + end % 2])


def _end_of_runs(frame: bytes, position: int, limit: int, size: int) -> int:
    while size > 0:
        if position + 1 >= limit:
            raise DecodeError(_DAMAGED)
        control = frame[position]
        if control < 128:
            size -= control + 1
            position += control + 2
        elif control > 128:
            size -= 257 - control
            position += 2
        else:
            position += 1
    if position > limit:
        raise DecodeError(_DAMAGED)
    return position
