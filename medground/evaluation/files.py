"""Writes what was measured so that a file is there as a whole or as it was; a full disk is said in one sentence."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medground.schema.errors import UsageError


def make_folder(path: Path) -> None:
    """Makes a folder, with those that it lies in, unless it is there.

    Raises:
        UsageError: if it cannot be made.
    """
    with _told(path):
        path.mkdir(parents=True, exist_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file beside its place, and puts it there once it is on the disk.

    Args:
        path: of the file, in a folder that is there; a file that is there is replaced.
        content: of it.

    Raises:
        UsageError: if it cannot be written, e.g. on a full disk; what was there before still is.
    """
    with _told(path):
        beside = path.with_name(f".medground-{secrets.token_hex(8)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)  # less the umask
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            beside.replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                beside.unlink()
            raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{path} cannot be written ({reason}); make room, or name another folder") from error
