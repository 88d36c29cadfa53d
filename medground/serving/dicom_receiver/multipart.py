"""Multipart bodies of DICOMweb, written and read piece by piece (RFC 2046 section 5.1, PS3.18 section 8.6.1.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from medground.schema.errors import PeerError

_MOST_HEAD_BYTES: Final = 2**14  # of a part
_CHUNK_BYTES: Final = 2**18
_BOUNDARY: Final = re.compile(r"""boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names.

    Raises:
        PeerError: it is no multipart, or names none.
    """
    found = _BOUNDARY.search(content_type) if content_type.lower().startswith("multipart/related") else None
    if found is None:
        raise PeerError("the archive answers with something else than multipart/related with a boundary")
    return (found[1] or found[2]).encode("ascii", "replace")


def pieces(chunks: Iterable[bytes], boundary: bytes) -> Iterator[tuple[int, bytes]]:
    """The contents of the parts, as they come.

    Args:
        chunks: the body, cut anywhere.
        boundary: between the parts.

    Yields:
        The number of a part, from 1, and some more of its content; at least once for each part.

    Raises:
        PeerError: the body is none, or ends too early.
    """
    delimiter = b"\r\n--" + boundary
    buffer = bytearray(b"\r\n")  # so that a delimiter with which the body begins is one like the others
    number, is_head = 0, False
    for chunk in chunks:
        buffer += chunk
        while True:
            if is_head:
                end = _end_of_head(buffer)
                if end is None:
                    break
                if end < 0:
                    return
                del buffer[:end]
                number, is_head = number + 1, False
                yield number, b""
            found = buffer.find(delimiter)
            ready = found if found >= 0 else max(len(buffer) - len(delimiter) + 1, 0)
            if number and ready:
                yield number, bytes(buffer[:ready])
            del buffer[: ready + (len(delimiter) if found >= 0 else 0)]
            is_head = found >= 0
            if not is_head:
                break
    raise PeerError("the answer of the archive ends in the middle", is_transient=True)


def _end_of_head(buffer: bytearray) -> int | None:
    """Where the content of a part begins; -1 after the last part, None if that is still to come."""
    if buffer.startswith(b"--"):
        return -1
    end = buffer.find(b"\r\n\r\n")
    if end < 0 and len(buffer) > _MOST_HEAD_BYTES:
        raise PeerError("a part of the answer of the archive has too long a head")
    return end + 4 if end >= 0 else None


class DicomParts:
    """A body of DICOM files, never in memory as a whole.

    Attributes:
        content_type: of the body.
        size_bytes: of the body.

    Args:
        files: to be sent.
        boundary: random, so that no file has it in it.
    """

    def __init__(self, files: Sequence[Path], boundary: str) -> None:
        self.content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        self._files = files
        self._head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
        self._end = f"--{boundary}--\r\n".encode("ascii")
        self._sizes = [path.stat().st_size for path in files]
        self.size_bytes = sum(self._sizes) + len(files) * (len(self._head) + 2) + len(self._end)

    def __iter__(self) -> Iterator[bytes]:
        for path, size in zip(self._files, self._sizes, strict=True):
            yield self._head
            with path.open("rb") as file:
                left = size
                while left and (data := file.read(min(_CHUNK_BYTES, left))):
                    left -= len(data)
                    yield data
            if left:
                raise PeerError("a file became shorter while it was sent", is_transient=True)
            yield b"\r\n"
        yield self._end
