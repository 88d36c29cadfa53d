"""Writes what was measured so that a file is there as a whole or as it was; a full disk is said in one sentence."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from medground.schema.errors import UsageError


def make_folder(path: Path) -> None:
    """Makes a folder, with those that it lies in, unless it is there.

    Raises:
        UsageError: if it cannot be made.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file beside its place, and puts it there once it is on the disk.

    Args:
        path: of the file, in a folder that is there; a file that is there is replaced.
        content: of it.

    Raises:
        UsageError: if it cannot be written, e.g. on a full disk; what was there before still is.
    """
    with writing(path):
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
def scratch_folder() -> Iterator[Path]:
    """An empty folder for as long as the block lasts, where the system keeps what is soon gone.

    Raises:
        UsageError: if it cannot be made.
    """
    with ExitStack() as held:
        with writing(Path(os.environ.get("TMPDIR", "/tmp"))):
            folder = held.enter_context(tempfile.TemporaryDirectory())
        yield Path(folder)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tells of what a block could not write.

    Args:
        path: what it writes, or the folder that it writes into.

    Raises:
        UsageError: if the system refused.
    """
    try:
        yield
    except OSError as error:
        said: BaseException | None = error
        while isinstance(said, OSError) and not said.strerror:  # pydicom raises it anew, with more words
            said = said.__cause__
        reason = said.strerror if isinstance(said, OSError) else type(error).__name__
        raise UsageError(f"{path} cannot be written ({reason}); make room, or name another folder") from error
