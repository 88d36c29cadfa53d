"""Palette: the colours that the indices of a PALETTE COLOR image stand for (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medground.dicom.elements import numbers, value
from medground.schema.errors import DecodeError

_CHANNELS = ("Red", "Green", "Blue")
_MAX_ENTRIES = 2**16
_MAX_SEGMENT_BYTES = 2**20
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Palette:
    """Red, green and blue by index.

    Attributes:
        tables: entries of each channel, 0..1.
        first: index of the first entry of each; a smaller index means that entry too, a larger one than any the last.
    """

    tables: tuple[NDArray[np.float32], ...]
    first: tuple[int, ...]

    def apply(self, indices: NDArray[Any]) -> NDArray[np.float32]:
        """The colours (rows, columns, 3), 0..1, of indices (rows, columns)."""
        rgb = np.empty((*indices.shape, len(self.tables)), np.float32)
        for channel, (table, first) in enumerate(zip(self.tables, self.first, strict=True)):
            places = indices.astype(np.int64) - first if first else indices
            rgb[..., channel] = np.take(table, places, mode="clip")
        return rgb


def read_palette(dataset: Dataset, *, signed: bool) -> Palette:
    """The palette of an image object.

    Args:
        dataset: with the palette's elements.
        signed: whether the indices are.

    Raises:
        DecodeError: a channel has no table, or one that is too short or too long.
    """
    channels = [_channel(dataset, name, signed=signed) for name in _CHANNELS]
    return Palette(tuple(table for table, _ in channels), tuple(first for _, first in channels))


def _channel(dataset: Dataset, name: str, *, signed: bool) -> tuple[NDArray[np.float32], int]:
    """Entries 0..1 of one channel, and the index of the first of them."""
    descriptor = numbers(dataset, f"{name}PaletteColorLookupTableDescriptor", 3)
    if descriptor is None:
        raise DecodeError(f"the {name.lower()} palette has no descriptor, so the colours cannot be shown")
    count, first, bits = int(descriptor[0]) or _MAX_ENTRIES, int(descriptor[1]), int(descriptor[2])
    if bits not in (8, 16) or not 0 < count <= _MAX_ENTRIES:
        raise DecodeError(f"the {name.lower()} palette has {count} entries of {bits} bits where 8 or 16 bits are known")
    big = dataset.original_encoding[1] is False
    segments = value(dataset, f"Segmented{name}PaletteColorLookupTableData")
    plain = value(dataset, f"{name}PaletteColorLookupTableData")
    if plain is None and isinstance(segments, bytes):
        if len(segments) > _MAX_SEGMENT_BYTES:
            raise DecodeError(f"the segments of the {name.lower()} palette have more than {_MAX_SEGMENT_BYTES} bytes")
        words = _words(segments, wide=bits == 16, big=big).tolist()
        entries = np.array(_expanded(words, bits // 8, name.lower()), np.int64)
    elif isinstance(plain, bytes):
        entries = _words(plain[: 2 * count], wide=len(plain) >= 2 * count, big=big)
        bits = 8 if len(plain) < 2 * count else bits
    else:
        entries = np.atleast_1d(np.asarray(plain if plain is not None else [], np.int64))
    if len(entries) < count:
        raise DecodeError(f"the {name.lower()} palette has {len(entries)} of {count} entries: the file is damaged")
    entries = entries[:count]
    highest = 255 if bits == 8 and entries.max() <= 255 else 65535
    if signed and first > 0x7FFF:
        first -= 0x10000
    return np.clip(entries.astype(np.float32) / np.float32(highest), 0, 1), first


def _words(data: bytes, *, wide: bool, big: bool) -> NDArray[np.int64]:
    """Entries of one or two bytes; two of the small ones share a word, whose bytes big endian turns round."""
    words = np.frombuffer(data[: len(data) // 2 * 2], ">u2" if big else "<u2")
    return (words if wide else words.astype("<u2").view("u1")).astype(np.int64)


def _expanded(words: list[int], entry_bytes: int, name: str) -> list[int]:
    """The entries that segments stand for (PS3.3 C.7.9.2), never more than a table may have.

    A segment is opcode, length, values: a discrete one lists its entries; a linear one goes to its value in `length`
    steps; an indirect one repeats `length` earlier segments, from a byte offset on.
    """
    entries: list[int] = []
    position, budget = 0, _MAX_ENTRIES  # segments of no length would otherwise repeat for ever
    returns: list[tuple[int, int]] = []  # where an indirect segment goes on, and how many segments it still repeats
    while position + 1 < len(words):
        opcode, length = words[position], words[position + 1]
        budget -= 1
        known = opcode in (_DISCRETE, _LINEAR) or (opcode == _INDIRECT and not returns and length > 0)
        if not known or len(entries) + length > _MAX_ENTRIES or budget < 0:
            raise DecodeError(f"the segments of the {name} palette are damaged or expand beyond {_MAX_ENTRIES} entries")
        if opcode == _INDIRECT:
            returns.append((position + 2 + 4 // entry_bytes, length))
            offset = words[position + 2 : position + 2 + 4 // entry_bytes]
            position = sum(part << (8 * entry_bytes * place) for place, part in enumerate(offset)) // entry_bytes
            continue
        if opcode == _DISCRETE:
            entries += words[position + 2 : position + 2 + length]
        elif entries and position + 2 < len(words):
            start, end = entries[-1], words[position + 2]
            entries += [round(start + (end - start) * step / length) for step in range(1, length + 1)]
        position += 2 + (length if opcode == _DISCRETE else 1)
        if returns:
            resume, left = returns.pop()
            returns = [(resume, left - 1)] if left > 1 else []
            position = position if returns else resume
    return entries
