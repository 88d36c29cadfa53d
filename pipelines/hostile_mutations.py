"""What is done to a good DICOM file to make it hostile; each mutation follows from its number and the seed."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from pydicom.uid import DeflatedExplicitVRLittleEndian

from pipelines.hostile_bases import Base, element_heads

_MIB = 2**20
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (struct.pack("<HH", 0xFFFE, element) for element in (0xE000, 0xE00D, 0xE0DD))
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
_FRAMES = (b"\xff\xc0\0", b"\xff\xc3\0", b"\xff\xf7\0", b"\xff\x51\0")  # start of frame, and SIZ of JPEG 2000
_SIZES = {"rows": 0x10, "columns": 0x11, "frames": 0x08, "samples": 0x02, "allocated": 0x100, "stored": 0x101}
_NUMBERS = (0, 1, 2, 3, 7, 16, 63, 65, 128, 255, 4096, 16384, 32768, 65535)
_LENGTHS = (0, 1, 7, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, _UNDEFINED)
_TEXTS = (b"1e999", b"nan", b"-1", b"\\\\\\\\", b"99999999999999999999", b"0x10", b"../../etc/passwd", b"\xff\xfe\0\0")
_VRS = (b"SQ", b"UN", b"OB", b"OW", b"DS", b"IS", b"US", b"UI", b"PN", b"AT", b"FD", b"OF", b"UT", b"ZZ", b"\0\0")


@dataclass(frozen=True, slots=True)
class File:
    """What a mutator changes: a file, and where its elements started when it was good."""

    content: bytes
    heads: list[int]


Mutator = Callable[[File, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A hostile file, and what was done to which base."""

    content: bytes
    base: str
    mutators: tuple[str, ...]


class Mutations:
    """The hostile files of one seed, by their numbers.

    Args:
        bases: what they are made from.
        seed: of all of them.
    """

    def __init__(self, bases: Sequence[Base], seed: int) -> None:
        self._bases = bases
        self._seed = seed
        self._heads = [element_heads(base.content) for base in bases]

    def __getitem__(self, number: int) -> Mutation:
        """The file with that number, whichever were made before."""
        index = number % len(self._bases)
        base, heads = self._bases[index], self._heads[index]
        choice = random.Random(f"{self._seed}/{number}")
        chosen = choice.choices(list(MUTATORS), list(MUTATORS.values()), k=choice.choice((1, 1, 1, 2, 3)))
        inside = base.name == "deflated" and choice.random() < 0.6
        content = base.content
        if inside:
            meta, content = _inflated(content)
            heads = _shown_heads(content)
        for mutator in chosen:
            content = mutator(File(content, heads), choice)
        if inside:
            content = meta + _deflate(content)
        return Mutation(content, base.name, tuple(one.__name__ for one in chosen))


def _inflated(content: bytes) -> tuple[bytes, bytes]:
    """File meta information, and the data set inflated."""
    (length,) = struct.unpack_from("<L", content, 140)
    return content[: 144 + length], zlib.decompress(content[144 + length :], -zlib.MAX_WBITS)


def _deflate(content: bytes) -> bytes:
    machine = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    return machine.compress(content) + machine.flush()


@cache
def _shown_heads(content: bytes) -> list[int]:
    return [at for tag in (0x0008, 0x0010, 0x0028) if (at := content.find(struct.pack("<H", tag))) >= 0]


def flip_bits(file: File, choice: random.Random) -> bytes:
    """A few bits, anywhere after the preamble."""
    changed = bytearray(file.content)
    for _ in range(choice.choice((1, 2, 8, 64))):
        changed[choice.randrange(min(128, len(changed) - 1), len(changed))] ^= 1 << choice.randrange(8)
    return bytes(changed)


def overwrite(file: File, choice: random.Random) -> bytes:
    """A run of bytes."""
    at, count = choice.randrange(len(file.content)), choice.choice((1, 4, 16, 256, 2000))
    run = choice.choice((bytes(count), b"\xff" * count, choice.randbytes(count)))
    return file.content[:at] + run + file.content[at + count :]


def truncate(file: File, choice: random.Random) -> bytes:
    """The end is missing."""
    return file.content[: choice.randrange(len(file.content))] or b"\0"


def insert(file: File, choice: random.Random) -> bytes:
    """Bytes that do not belong there."""
    at = choice.randrange(len(file.content))
    return file.content[:at] + choice.randbytes(choice.choice((1, 2, 3, 64, 5000))) + file.content[at:]


def remove(file: File, choice: random.Random) -> bytes:
    """Bytes are gone from the middle."""
    at = choice.randrange(len(file.content))
    return file.content[:at] + file.content[at + choice.choice((1, 2, 8, 100)) :] or b"\0"


def lie_about_length(file: File, choice: random.Random) -> bytes:
    """The length of an element, where its encoding keeps it."""
    at = _head(file, choice)
    lie = choice.choice((*_LENGTHS, choice.randrange(2**32)))
    if choice.random() < 0.5:
        return file.content[: at + 6] + struct.pack("<H", lie & 0xFFFF) + file.content[at + 8 :]
    where = at + choice.choice((4, 8))
    return file.content[:where] + struct.pack("<L", lie) + file.content[where + 4 :]


def swap_tags(file: File, choice: random.Random) -> bytes:
    """Two elements under each other's tags, or one under any tag."""
    a, b = _head(file, choice), _head(file, choice)
    changed = bytearray(file.content)
    changed[a : a + 4] = choice.choice((file.content[b : b + 4], choice.randbytes(4), _ITEM, _ITEM_END, _SEQUENCE_END))
    changed[b : b + 4] = file.content[a : a + 4]
    return bytes(changed)


def change_vr(file: File, choice: random.Random) -> bytes:
    """An element of another kind."""
    at = _head(file, choice)
    return file.content[: at + 4] + choice.choice(_VRS) + file.content[at + 6 :]


def change_value(file: File, choice: random.Random) -> bytes:
    """A value that is no value of its kind."""
    at = _head(file, choice) + choice.choice((8, 8, 12))
    text = choice.choice((*_TEXTS, choice.randbytes(4)))
    return file.content[:at] + text + file.content[at + len(text) :]


def lie_about_size(file: File, choice: random.Random) -> bytes:
    """Rows, columns, frames, samples or bits."""
    changed = bytearray(file.content)
    for element in choice.sample(list(_SIZES.values()), choice.choice((1, 1, 2, 3))):
        order = choice.choice("<<<<<>")
        at = file.content.find(struct.pack(f"{order}HH", 0x0028, element))
        if at >= 0 and element != _SIZES["frames"]:
            struct.pack_into(f"{order}H", changed, min(at + 8, len(changed) - 2), choice.choice(_NUMBERS))
        elif at >= 0:
            text = choice.choice((b"65536", b"99999", b"0", b"-5", b"3", b"20000")).ljust(6)
            length = b"IS" + struct.pack("<H", 6)
            end = at + 8 + int.from_bytes(file.content[at + 6 : at + 8], "little")
            changed = changed[: at + 4] + length + text + changed[end:]
    return bytes(changed)


def nest(file: File, choice: random.Random) -> bytes:
    """Sequences in sequences, up to ten thousand deep, of known or undefined length, closed or not."""
    depth = choice.choice((2, 60, 64, 65, 70, 500, 3000, 10_000))
    head = struct.pack("<HH2sH", 0x0008, 0x1140, b"SQ", 0)
    if choice.random() < 0.4:
        levels = [
            head + struct.pack("<L", 20 * left - 12) + _ITEM + struct.pack("<L", 20 * left - 20)
            for left in range(depth, 0, -1)
        ]
        return _in_front(file, b"".join(levels), choice)
    opened = (head + struct.pack("<L", _UNDEFINED) + _ITEM + struct.pack("<L", _UNDEFINED)) * depth
    closed = (_ITEM_END + bytes(4) + _SEQUENCE_END + bytes(4)) * (depth if choice.random() < 0.6 else 0)
    return _in_front(file, opened + closed, choice)


def open_ended(file: File, choice: random.Random) -> bytes:
    """Elements of undefined length that have none, and delimiters that delimit nothing."""
    vr = choice.choice(_VRS[:13])
    element = struct.pack("<HH2sHL", 0x0009, 0x1010, vr, 0, _UNDEFINED)
    tail = choice.choice((b"", _SEQUENCE_END + bytes(4), _ITEM + bytes(4), _ITEM_END + bytes(4)))
    return _in_front(file, (element + tail) * choice.choice((1, 10, 2000)), choice)


def crowd(file: File, choice: random.Random) -> bytes:
    """Many elements, many items, or one element with many values."""
    count = choice.choice((1000, 3000, 10_000, 40_000))
    kind = choice.randrange(4)
    if kind == 0:
        added = b"".join(struct.pack("<HH2sH", 0x0009, 0x1000 + n % 0xE000, b"LO", 0) for n in range(count))
    elif kind == 1:
        items = (_ITEM + bytes(4)) * count
        added = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, len(items)) + items
    elif kind == 2:
        value = choice.choice((b"1\\", b"\\\\", b"1.5e3\\"))[:2] * min(count, 32_000)
        added = struct.pack("<HH2sH", 0x0020, 0x0037, b"DS", len(value)) + value
    else:
        value = choice.choice((b"\x1b$B", b"^=", b"\0")) * count
        added = struct.pack("<HH2sHL", 0x0009, 0x1020, b"UT", 0, len(value) // 2 * 2) + value
    return _in_front(file, added, choice)


def lie_in_fragments(file: File, choice: random.Random) -> bytes:
    """Offset table, item tags and item lengths of encapsulated pixel data."""
    start = max(file.content.rfind(tag) for tag in _PIXEL_DATA) + 12
    changed = bytearray(file.content)
    at = start
    for _ in range(choice.choice((1, 2, 4))):
        found = file.content.find(_ITEM, at)
        where = (found if found >= 0 else start) + choice.choice((0, 4, 8, 12))
        if where + 4 <= len(changed):
            struct.pack_into("<L", changed, where, choice.choice((*_LENGTHS, choice.randrange(5000))))
        at = max(found, start) + 4
    if choice.random() < 0.2:
        return bytes(changed[:start]) + (_ITEM + bytes(4)) * choice.choice((1, 1000, 50_000)) + bytes(changed[start:])
    return bytes(changed)


def lie_in_codestream(file: File, choice: random.Random) -> bytes:
    """Sizes, depths and tables in the headers of JPEG, JPEG-LS, JPEG 2000 and RLE."""
    start = max(file.content.rfind(tag) for tag in _PIXEL_DATA)
    found = [file.content.find(mark, max(start, 0)) for mark in (b"\xff\x4f\xff\x51", b"\xff\xd8", _ITEM)]
    at = next((one for one in found if one >= 0), max(start, 0))
    frame = next((one for mark in _FRAMES if (one := file.content.find(mark, at)) >= 0), -1)
    changed = bytearray(file.content)
    if 0 <= frame < len(changed) - 4 and choice.random() < 0.2:
        changed[frame + 4] = choice.randrange(256)  # bits to a sample: GDCM aborts on some
        return bytes(changed)
    for _ in range(choice.choice((1, 2, 6))):
        where = (
            (frame + choice.randrange(2, 18)) if frame >= 0 and choice.random() < 0.6 else at + choice.randrange(2, 120)
        )
        if where + 4 <= len(changed):
            run = struct.pack(choice.choice((">L", ">H", "B")), choice.choice((0, 1, 2, 16, 31, 64, 127, 255)))
            changed[where : where + len(run)] = run
    return bytes(changed)


def splice(file: File, choice: random.Random) -> bytes:
    """A part of the file over another part."""
    a, b = choice.randrange(len(file.content)), choice.randrange(len(file.content))
    count = choice.choice((16, 300, 4000))
    return file.content[:a] + file.content[b : b + count] + file.content[a + choice.choice((0, count)) :]


def deflate_bomb(file: File, choice: random.Random) -> bytes:
    """A data set of nothing but inflation, or inflation inside an element."""
    meta = file.content[: file.content.find(b"DICM") + 4]
    uid = str(DeflatedExplicitVRLittleEndian).encode()
    element = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(uid)) + uid
    return meta + element + _bomb(choice.choice((4, 4, 4, 8, 8, 32, 70, 300)), choice.choice((0, 1, 2)))


@cache
def _bomb(mebibytes: int, kind: int) -> bytes:
    """Deflated zeros, after no header, the start of a long element, or one of many elements."""
    head = (b"", struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 0x40000000), struct.pack("<HH2sH", 9, 4097, b"LO", 0))
    machine = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    start = machine.compress(head[kind]) + machine.flush(zlib.Z_FULL_FLUSH)
    block = machine.compress(head[2] * (_MIB // 2) if kind == 2 else bytes(4 * _MIB))
    block += machine.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it, and so may be repeated
    return start + block * -(-mebibytes // 4) + machine.flush()


def rle_bomb(file: File, choice: random.Random) -> bytes:
    """Runs that expand to far more than the frame, in place of the pixel data."""
    start = max(file.content.rfind(tag) for tag in _PIXEL_DATA)
    runs = choice.choice((b"\x81\x07", b"\x80", b"\x00\x07", b"\x7f\x00")) * choice.choice((1000, 100_000, 500_000))
    segments = choice.choice((1, 2, 3, 15))
    frame = struct.pack("<16L", segments, *([64] * segments + [0] * (15 - segments))) + runs
    value = _ITEM + bytes(4) + _ITEM + struct.pack("<L", len(frame)) + frame + _SEQUENCE_END + bytes(4)
    return file.content[: start + 12] + value


def _head(file: File, choice: random.Random) -> int:
    """Where an element starts; anywhere, where none is known or the file has become too short for it."""
    at = choice.choice(file.heads) if file.heads else choice.randrange(len(file.content))
    return at if at + 16 < len(file.content) else 0


def _in_front(file: File, added: bytes, choice: random.Random) -> bytes:
    at = _head(file, choice)
    return file.content[:at] + added + file.content[at:]


MUTATORS: dict[Mutator, float] = {
    flip_bits: 14,
    overwrite: 8,
    truncate: 6,
    insert: 5,
    remove: 5,
    lie_about_length: 9,
    swap_tags: 6,
    change_vr: 6,
    change_value: 6,
    lie_about_size: 8,
    nest: 5,
    open_ended: 3,
    crowd: 2.5,
    lie_in_fragments: 5,
    lie_in_codestream: 7,
    splice: 5,
    deflate_bomb: 1,
    rle_bomb: 2,
}
