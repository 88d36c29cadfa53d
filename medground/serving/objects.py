"""Objects: files by the SHA-256 of their content, so that no name from outside ever becomes a path."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from medground.schema.errors import UsageError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that lies in the store, synchronised to the disk."""

    sha256: str
    size_bytes: int


class Incoming:
    """A file on its way into the store: written aside, hashed while it is written."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        self._file.write(data)
        self._hash.update(data)
        self.size_bytes += len(data)

    def finish(self) -> Stored:
        """Everything written is on the disk, under its temporary name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return Stored(self._hash.hexdigest(), self.size_bytes)


class ObjectStore:
    """A folder of files by content.

    A file is there whole or not at all: it is written aside, synchronised, renamed, and the folder synchronised, before
    `add` or the end of `incoming` returns. Adding the same content twice is adding it once.

    Args:
        folder: made if absent. Many machines share it by a network file system.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder / "incoming"
        try:
            for name in ("incoming", *(f"{first:02x}" for first in range(256))):
                (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            _synchronise(folder)
        except OSError as cause:
            raise UsageError(f"the object folder {folder} cannot be written to ({cause.strerror})") from cause

    def path(self, sha256: str) -> Path:
        """Where content lies, or would lie.

        Raises:
            UsageError: that is no digest.
        """
        if not _DIGEST.fullmatch(sha256):
            raise UsageError("an object is named by 64 hexadecimal digits")
        return self._folder / sha256[:2] / sha256

    def read(self, sha256: str) -> bytes:
        """The content.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.path(sha256).read_bytes()

    def add(self, content: bytes) -> Stored:
        """Store content."""
        with self.incoming() as incoming:
            incoming.write(content)
            return self.keep(incoming)

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A file to write to; it vanishes at the end of the block unless it was kept with `keep`."""
        path = self._aside / secrets.token_hex(16)
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield Incoming(file, path)
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def incoming_folder(self) -> Iterator[Path]:
        """A folder for files that come several at a time; it vanishes with them at the end of the block."""
        path = self._aside / secrets.token_hex(16)
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def keep(self, incoming: Incoming) -> Stored:
        """Move a finished file to its place."""
        stored = incoming.finish()
        place = self.path(stored.sha256)
        try:
            os.utime(place)  # young again: `unused` leaves it alone until a row speaks of it
        except FileNotFoundError:
            incoming.path.rename(place)
        _synchronise(place.parent)  # also where another has just put it there
        return stored

    def remove_unused(self, used: Callable[[str], bool], *, older_than_s: float, now_s: float) -> int:
        """Remove content that no row speaks of; what is young may be about to be spoken of, and stays.

        Returns:
            How many files were removed.
        """
        count, before_s = 0, now_s - older_than_s
        for path in self._folder.glob("??/*"):
            if _DIGEST.fullmatch(path.name) and _is_older(path, before_s) and not used(path.name):
                count += self._remove(path, used, before_s)
        return count

    def _remove(self, path: Path, used: Callable[[str], bool], before_s: float) -> bool:
        """Remove a file unless it was kept again just now: once it is aside, `keep` brings its own."""
        aside = self._aside / secrets.token_hex(16)
        try:
            path.rename(aside)
        except FileNotFoundError:
            return False  # another process was faster
        if _is_older(aside, before_s) and not used(path.name):
            aside.unlink()
            return True
        aside.rename(path)
        return False

    def sweep(self, *, older_than_s: float, now_s: float) -> int:
        """Remove what a killed process left aside; returns how many files and folders."""
        count = 0
        for path in self._aside.iterdir():
            if _is_older(path, now_s - older_than_s):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
                count += 1
        return count


def _is_older(path: Path, before_s: float) -> bool:
    """Whether a file is there and was last written to, or kept, before a time."""
    try:
        return path.stat().st_mtime < before_s
    except FileNotFoundError:
        return False


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk has no room, which may pass."""
    return isinstance(error, OSError) and error.errno in _FULL
