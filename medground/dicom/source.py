"""ByteSource: the bytes of a file, mapped while they are needed and not held open in between."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medground.dicom.limits import Limits
from medground.schema.errors import InputNotFoundError, LimitError, UnreadableFileError

_PREAMBLE_BYTES, _PREFIX = 128, b"DICM"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, little and big endian


@dataclass(frozen=True, slots=True)
class ByteSource:
    """A file by its path, or its content.

    A series of a thousand slices is a thousand of these: none keeps a file open, and none holds pixels in memory.
    """

    where: Path | bytes

    @contextmanager
    def view(self, limits: Limits) -> Iterator[memoryview]:
        """The bytes, read-only; whoever keeps anything of them beyond the block copies it.

        Raises:
            InputNotFoundError: nothing is at the path.
            UnreadableFileError: a folder, an empty file, or one that may not be read.
            LimitError: larger than `limits.max_file_bytes`.
        """
        if isinstance(self.where, bytes):
            yield memoryview(_checked(self.where, len(self.where), limits))
            return
        try:
            if self.where.exists() and not self.where.is_file():  # to open a pipe would wait for its writer
                raise UnreadableFileError(f"{self.where} is no file: give a file, or discover the folder")
            with self.where.open("rb") as stream:
                size = stream.seek(0, 2)
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except FileNotFoundError as cause:
            raise InputNotFoundError(f"nothing is at {self.where}: check the path") from cause
        except (OSError, ValueError) as cause:
            raise UnreadableFileError(f"{self.where} cannot be read ({type(cause).__name__})") from cause
        # The map is closed when the last reference goes: a traceback may still hold a view of it here.
        yield memoryview(_checked(mapped, size, limits))


def clean_preamble(content: bytes) -> bytes:
    """A DICOM file whose preamble can make no other program run it: zeroed, unless it is that of a TIFF.

    Args:
        content: of the file; one without a DICM prefix has no preamble, and is returned as it is.

    Source:
        PS3.10 7.1 and 7.5: any 128 bytes may stand there, those of an executable as well as those of a TIFF that
        shares its pixels.
    """
    has_preamble = content[_PREAMBLE_BYTES : _PREAMBLE_BYTES + len(_PREFIX)] == _PREFIX
    if not has_preamble or content.startswith(_TIFF):
        return content
    return bytes(_PREAMBLE_BYTES) + content[_PREAMBLE_BYTES:]


def sanitized(source: Path | bytes, limits: Limits) -> bytes:
    """A received file as it may be stored or handed on, with a clean preamble; the data set in it is not looked at.

    Args:
        source: path or content.
        limits: what may be asked of the machine.

    Raises:
        InputError: as for `ByteSource.view`.
    """
    with ByteSource(source).view(limits) as data:
        return clean_preamble(bytes(data))


def _checked(data: bytes | mmap.mmap, size: int, limits: Limits) -> bytes | mmap.mmap:
    if size == 0:
        raise UnreadableFileError("the file is empty: copy it again from its source")
    if size > limits.max_file_bytes:
        raise LimitError(f"the file has {size} bytes, more than {limits.max_file_bytes} (limit max_file_bytes)")
    return data
