"""Which fragments of encapsulated pixel data belong to which frame (PS3.5 A.4)."""

from __future__ import annotations

import bisect
import struct
from dataclasses import dataclass

from medground.dicom.limits import Limits
from medground.schema.errors import DecodeError, LimitError

_ITEM = struct.Struct("<HHL")
_END_OF_IMAGE = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Byte ranges (start, end) of the fragments of each frame, in the file."""

    frames: tuple[tuple[tuple[int, int], ...], ...]

    def frame(self, data: memoryview, frame: int) -> bytes:
        """The encoded bytes of a frame, 1-based."""
        if frame > len(self.frames):
            raise DecodeError(f"frame {frame} is not in the file: it holds {len(self.frames)} frames")
        return b"".join(bytes(data[start:end]) for start, end in self.frames[frame - 1])


def frame_table(data: memoryview, offset: int, frames: int, extended: bytes | None, limits: Limits) -> FrameTable:
    """Assign the fragments to frames, by the offset tables where there are any.

    Args:
        data: the whole file.
        offset: first byte of the pixel data value, i.e. of the Basic Offset Table item.
        frames: number of frames in the header.
        extended: value of Extended Offset Table (7FE0,0001), or None.
        limits: what may be asked of the machine; a fragment counts as an element.

    Raises:
        DecodeError: the fragments cannot be told apart, or there are fewer of them than frames.
    """
    table, fragments = _items(data, offset, limits.max_elements)
    if frames == 1:
        return FrameTable((tuple(fragments),))
    if len(fragments) == frames:
        return FrameTable(tuple((fragment,) for fragment in fragments))
    if len(fragments) < frames:
        raise DecodeError(f"{frames} frames need as many fragments, but the file holds {len(fragments)}")
    offsets: tuple[int, ...] = ()
    if extended:
        offsets = struct.unpack(f"<{len(extended) // 8}Q", extended[: len(extended) // 8 * 8])
    elif len(table) >= 4:
        offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    if len(offsets) == frames and list(offsets) == sorted(set(offsets)):
        return FrameTable(_by_offset(fragments, offsets))
    return FrameTable(_by_end_of_image(data, fragments))


def _items(data: memoryview, position: int, at_most: int) -> tuple[bytes, list[tuple[int, int]]]:
    """The Basic Offset Table, and the ranges of the fragments after it; the last one may be cut short."""
    ranges: list[tuple[int, int]] = []
    while position + 8 <= len(data):
        group, element, length = _ITEM.unpack_from(data, position)
        if (group, element) != (0xFFFE, 0xE000) or length == 0xFFFFFFFF:
            break
        ranges.append((position + 8, min(position + 8 + length, len(data))))
        position += 8 + length
        if len(ranges) > at_most:
            raise LimitError(f"the pixel data have more than {at_most} fragments (limit max_elements)")
    if len(ranges) < 2:
        raise DecodeError("the encapsulated pixel data hold no fragment: the file is damaged or cut short")
    start, end = ranges[0]
    return bytes(data[start:end]), ranges[1:]


def _by_offset(fragments: list[tuple[int, int]], offsets: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Group by offsets, counted from the item tag of the first fragment."""
    groups: list[list[tuple[int, int]]] = [[] for _ in offsets]
    origin = fragments[0][0]
    for fragment in fragments:
        groups[max(bisect.bisect_right(offsets, fragment[0] - origin) - 1, 0)].append(fragment)
    return tuple(tuple(group) for group in groups)


def _by_end_of_image(data: memoryview, fragments: list[tuple[int, int]]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Group by the JPEG end-of-image marker near the end of a frame's last fragment (padding may follow it)."""
    groups: list[list[tuple[int, int]]] = [[]]
    for start, end in fragments:
        groups[-1].append((start, end))
        if _END_OF_IMAGE in bytes(data[max(start, end - 10) : end]):
            groups.append([])
    return tuple(tuple(group) for group in groups if group)
