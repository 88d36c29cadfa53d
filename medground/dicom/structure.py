"""A first pass over the encoding of a data set, before pydicom builds objects from it.

pydicom recurses into sequences and keeps every element; a few kilobytes can exhaust the stack and a few hundred
megabytes the memory. This pass walks the same bytes by the same rules with an explicit stack, counts, and stops at the
pixel data (PS3.5 section 7).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from medground.dicom.limits import Limits
from medground.schema.errors import LimitError, UnreadableFileError

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_KEYWORDS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_PIXEL_GROUP = 0x7FE0
_LONG = frozenset(vr.encode("ascii") for vr in EXPLICIT_VR_LENGTH_32)
_SHORT = frozenset(vr.encode("ascii") for vr in EXPLICIT_VR_LENGTH_16)


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the value of the pixel data element lies.

    Attributes:
        keyword: PixelData, FloatPixelData or DoubleFloatPixelData.
        vr: as encoded; None in implicit VR.
        offset: first byte of the value.
        length: bytes that are there, of those declared; None where it is undefined, as in encapsulated pixel data.
    """

    keyword: str
    vr: str | None
    offset: int
    length: int | None


@dataclass(slots=True)
class _Level:
    """A data set or a sequence being walked; `resume` is where its parent goes on, None: wherever this one ends."""

    is_sequence: bool
    end: int
    resume: int | None
    implicit: bool


def looks_implicit(data: memoryview, position: int, assumed: bool) -> bool:
    """Whether the element at `position` has no VR (two capitals); `assumed` where the data end before it."""
    vr = bytes(data[position + 4 : position + 6])
    return assumed if len(vr) < 2 else not all(0x41 <= letter <= 0x5A for letter in vr)


@lru_cache(maxsize=4096)
def _dictionary_vr(tag: int) -> str | None:
    """The VR of a known element; None for any other."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None


class Walk:
    """One pass over the elements of a data set.

    Args:
        data: the whole (inflated) file.
        start: first byte of the data set, after the file meta information.
        implicit: implicit VR is declared; where the first element shows otherwise, that counts.
        little: little endian; big endian otherwise.
        limits: what may be asked of the machine.
    """

    def __init__(self, data: memoryview, start: int, *, implicit: bool, little: bool, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._position = start
        order = "<" if little else ">"
        self._implicit_head = struct.Struct(f"{order}HHL")
        self._explicit_head = struct.Struct(f"{order}HH2sH")
        self._long = struct.Struct(f"{order}L")
        self._stack = [_Level(False, len(data), None, looks_implicit(data, start, implicit))]
        self._count = 0

    def pixel_element(self) -> PixelElement | None:
        """Walk to the pixel data of the outermost data set.

        Returns:
            Where they are, or None if the data set ends without them.

        Raises:
            LimitError: more elements or deeper nesting than the limits allow.
            UnreadableFileError: a value of the outermost data set reaches beyond the end of the file.
        """
        while self._stack:
            level = self._stack[-1]
            if self._position >= level.end or self._position + 8 > len(self._data):
                self._leave()
            elif level.is_sequence:
                self._item(level)
            elif not self._plain_elements(level):
                found = self._element(level)
                if found is not None:
                    return found
        return None

    def _plain_elements(self, level: _Level) -> bool:
        """Pass the elements here that are no sequence and say how long they are: whether there were any.

        Most elements go through here; the million that may be in a file would take seconds one call after another.
        """
        before = position = self._position
        data, size, implicit = self._data, len(self._data), level.implicit
        unpack = (self._implicit_head if implicit else self._explicit_head).unpack_from
        end = min(level.end, size - 7)
        while position < end:
            if implicit:
                group, element, length = unpack(data, position)
                is_plain = length != UNDEFINED and _dictionary_vr(group << 16 | element) != "SQ"
            else:
                group, element, vr, length = unpack(data, position)
                is_plain = vr in _SHORT
            if not is_plain or group >= _PIXEL_GROUP or position + 8 + length > size:
                break
            position += 8 + length
            self._count += 1
            if self._count > self._limits.max_elements:
                self._refuse_count()
        self._position = position
        return position > before

    def _leave(self) -> None:
        level = self._stack.pop()
        if level.resume is not None:
            self._position = level.resume

    def _enter(self, length: int, *, is_sequence: bool, implicit: bool, skip: bool) -> None:
        end = len(self._data) if length == UNDEFINED else min(self._position + length, len(self._data))
        self._stack.append(_Level(is_sequence, end, end if skip and length != UNDEFINED else None, implicit))
        depth = sum(level.is_sequence for level in self._stack)
        if depth > self._limits.max_nesting:
            raise LimitError(f"sequences are nested deeper than {self._limits.max_nesting} (limit max_nesting)")

    def _counted(self) -> None:
        self._count += 1
        if self._count > self._limits.max_elements:
            self._refuse_count()

    def _refuse_count(self) -> NoReturn:
        raise LimitError(f"the header has more than {self._limits.max_elements} elements (limit max_elements)")

    def _item(self, level: _Level) -> None:
        group, element, length = self._implicit_head.unpack_from(self._data, self._position)
        self._position += 8
        self._counted()
        if group << 16 | element == SEQUENCE_END:
            self._leave()
        else:
            self._enter(length, is_sequence=False, implicit=self._item_is_implicit(level.implicit), skip=False)

    def _item_is_implicit(self, assumed: bool) -> bool:
        """An item inside an explicit data set may still be implicit (PS3.5 6.2.2): its first VR tells."""
        return assumed or looks_implicit(self._data, self._position, assumed)

    def _element(self, level: _Level) -> PixelElement | None:
        tag, vr, length = self._head(level)
        self._counted()
        if tag == ITEM_END:
            self._leave()
            return None
        outermost = len(self._stack) == 1
        if outermost and tag in PIXEL_KEYWORDS:
            keyword = PIXEL_KEYWORDS[tag]
            text = vr.decode("ascii") if vr else None
            present = min(length, len(self._data) - self._position)
            return PixelElement(keyword, text, self._position, None if length == UNDEFINED else present)
        if outermost and length != UNDEFINED and self._position + length > len(self._data):
            missing = self._position + length - len(self._data)
            name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
            raise UnreadableFileError(
                f"the file is cut short: element {name} lacks {missing} of {length} bytes; copy it again"
            )
        self._value(level, tag, vr, length)
        return None

    def _head(self, level: _Level) -> tuple[int, bytes | None, int]:
        """Tag, VR (None: implicit) and length of the element here; moves to its value."""
        if not level.implicit:
            group, element, vr, length = self._explicit_head.unpack_from(self._data, self._position)
            if vr in _LONG and self._position + 12 <= len(self._data):
                (length,) = self._long.unpack_from(self._data, self._position + 8)
                self._position += 12
                return group << 16 | element, vr, length
            if b"AA" <= vr <= b"ZZ":
                self._position += 8
                return group << 16 | element, vr, length
        group, element, length = self._implicit_head.unpack_from(self._data, self._position)
        self._position += 8
        return group << 16 | element, None, length

    def _value(self, level: _Level, tag: int, vr: bytes | None, length: int) -> None:
        is_sequence = vr == b"SQ" or (vr in (None, b"UN") and self._looks_like_sequence(tag, length))
        if is_sequence:
            self._enter(length, is_sequence=True, implicit=level.implicit, skip=True)
        elif length == UNDEFINED:
            self._position = self._after_delimiter()
        else:
            self._position += length

    def _looks_like_sequence(self, tag: int, length: int) -> bool:
        """The dictionary knows it as a sequence, or its length is undefined and an item follows."""
        vr = _dictionary_vr(tag)
        if vr is not None or length != UNDEFINED or self._position + 8 > len(self._data):
            return vr == "SQ"
        group, element, _ = self._implicit_head.unpack_from(self._data, self._position)
        return bool(group << 16 | element == ITEM)

    def _after_delimiter(self) -> int:
        """The end of a value of undefined length that is no sequence, e.g. encapsulated data in a private element."""
        delimiter = struct.pack(self._implicit_head.format[:1] + "HH", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF)
        step = 2**20
        for start in range(self._position, len(self._data), step):
            found = bytes(self._data[start : start + step + 3]).find(delimiter)
            if found >= 0:
                return start + found + 8
        return len(self._data)
