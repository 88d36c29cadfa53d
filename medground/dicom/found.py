"""Found: a file under the inputs, on disk or inside a ZIP, by the name a user knows it by."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medground.dicom.boundary import typed_errors
from medground.dicom.limits import Limits
from medground.dicom.source import ByteSource
from medground.schema.errors import LimitError, UnreadableFileError

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_END, _LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
_DIRECTORY_BYTES_PER_FILE = 512
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member lies in a ZIP, from the ZIP's directory: so that it is read without reading the directory again.

    Attributes:
        offset: of the local header.
        compressed, size: bytes before and after inflation.
        crc: CRC-32 of the inflated bytes.
        is_deflated: else stored as it is; None where it is encrypted or compressed by another method.
    """

    offset: int
    compressed: int
    size: int
    crc: int
    is_deflated: bool | None

    def chunks(self, data: memoryview, limits: Limits) -> Iterator[bytes]:
        """The inflated bytes piece by piece, never more than the directory announces (APPNOTE 4.3.7).

        They count only if the last piece comes: then their number and checksum are those of the directory.
        """
        if self.is_deflated is None:
            raise UnreadableFileError("the member is encrypted or not deflated: unpack the ZIP first")
        limits.check_inflation(self.compressed, self.size, "the member of the ZIP")
        name_bytes, extra_bytes = struct.unpack_from("<HH", data, self.offset + 26)
        start = self.offset + 30 + name_bytes + extra_bytes
        packed = data[start : start + self.compressed]
        size, crc = 0, 0
        for chunk in _inflated(packed) if self.is_deflated else _pieces(packed):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
            if size > self.size:
                break
            yield chunk
        if (size, crc) != (self.size, self.crc):
            raise UnreadableFileError("the member of the ZIP is damaged: copy the ZIP again from its source")


@dataclass(frozen=True, slots=True)
class Found:
    """One file.

    Attributes:
        source: path as given, or `archive.zip!member`; for showing, never for writing.
        path: the file, or the ZIP it is in.
        member: where it lies in the ZIP, or None.
        is_alone: the user named this very file.
    """

    source: str
    path: Path
    member: Member | None = None
    is_alone: bool = False

    def content(self, limits: Limits | None = None) -> Path | bytes:
        """What `open_image` takes: the path, or the bytes of the member.

        Raises:
            UnreadableFileError: the member is encrypted, damaged, or compressed by a method other than deflate.
            LimitError: the member is larger than the limits allow.
        """
        if self.member is None:
            return self.path
        limits = limits or Limits()
        sentence = "the member of the ZIP cannot be read"
        with typed_errors(UnreadableFileError, sentence), ByteSource(self.path).view(limits) as data:
            return b"".join(self.member.chunks(data, limits))

    def write_to(self, take: Callable[[bytes], object], limits: Limits) -> None:
        """Hand the member of a ZIP on piece by piece, whatever its size.

        Args:
            take: gets the pieces in order; what it got is of no use if this raises.
            limits: as for `content`.

        Raises:
            UnreadableFileError, LimitError: see `content`.
            OSError: from `take`.
        """
        if self.member is None:
            raise ValueError("a file that is no member of a ZIP is copied by its path")
        sentence = "the member of the ZIP cannot be read"
        with ByteSource(self.path).view(limits) as data:
            pieces = self.member.chunks(data, limits)
            while True:
                with typed_errors(UnreadableFileError, sentence):
                    piece = next(pieces, None)
                if piece is None:
                    return
                take(piece)


def _pieces(data: memoryview) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE_BYTES):
        yield bytes(data[start : start + _PIECE_BYTES])


def _inflated(packed: memoryview) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for fed in _pieces(packed):
        left = fed
        while left and not inflater.eof:
            yield inflater.decompress(left, _PIECE_BYTES)
            left = inflater.unconsumed_tail
    while not inflater.eof and (rest := inflater.decompress(b"", _PIECE_BYTES)):
        yield rest


def files_in(folder: Path, limits: Limits) -> Iterator[Found]:
    """Regular files below a folder, sorted by path; links to folders are not followed.

    Raises:
        LimitError: more files than `limits.max_files`.
    """
    pending, count = [folder], 0
    while pending:
        entry = pending.pop()
        if entry.is_dir() and (entry == folder or not entry.is_symlink()):
            pending.extend(sorted(entry.iterdir(), reverse=True))
        elif entry.exists() and stat.S_ISREG(entry.stat().st_mode):
            count += 1
            if count > limits.max_files:
                raise LimitError(f"the folder holds more than {limits.max_files} files (limit max_files)")
            yield Found(printable(entry), entry)


def members_of(archive: Found, limits: Limits) -> list[Found]:
    """Members of a ZIP in the order of their names; nothing is extracted, and no name is used as a path.

    Raises:
        UnreadableFileError: the ZIP is damaged.
        LimitError: more members, or more bytes after inflation, than the limits allow.
    """
    with typed_errors(UnreadableFileError, "the ZIP cannot be read"):
        _check_directory(archive.path, limits)
        with zipfile.ZipFile(archive.path) as z:
            entries = sorted((entry for entry in z.infolist() if not entry.is_dir()), key=lambda one: one.filename)
            total = sum(entry.file_size for entry in entries)
    if len(entries) > limits.max_files:
        raise LimitError(f"the ZIP holds {len(entries)} files, more than {limits.max_files} (limit max_files)")
    if total > limits.max_zip_bytes:
        raise LimitError(f"the ZIP inflates to {total} bytes, more than {limits.max_zip_bytes} (limit max_zip_bytes)")
    return [Found(f"{archive.source}!{printable(one.filename)}", archive.path, _member(one)) for one in entries]


def _member(entry: zipfile.ZipInfo) -> Member:
    known = entry.compress_type in _METHODS and not entry.flag_bits & _ENCRYPTED
    is_deflated = entry.compress_type == zipfile.ZIP_DEFLATED if known else None
    return Member(entry.header_offset, entry.compress_size, entry.file_size, entry.CRC, is_deflated)


def printable(name: str | Path) -> str:
    """A name without control characters, which could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(name))


def _check_directory(path: Path, limits: Limits) -> None:
    """Refuse a central directory that would take gigabytes as Python objects, before it is read (APPNOTE 4.3.14-16)."""
    with ByteSource(path).view(limits) as data:
        tail = bytes(data[-(2**16 + 512) :])
        end = tail.rfind(_END)
        size = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
        locator = tail.rfind(_LOCATOR)
        if size == 0xFFFFFFFF and locator >= 0:
            record = int.from_bytes(tail[locator + 8 : locator + 16], "little")
            size = int.from_bytes(bytes(data[record + 40 : record + 48]), "little")
    if size > limits.max_files * _DIRECTORY_BYTES_PER_FILE:
        raise LimitError(
            f"the directory of the ZIP has {size} bytes, too many for {limits.max_files} files (max_files)"
        )
