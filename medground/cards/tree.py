"""The files of a card as they lie on the disk: each with its hash, each read once."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medground.cards.findings import Finding, Kind
from medground.cards.layout import Limits
from medground.schema.errors import InputNotFoundError, LimitError, UnreadableFileError

_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory, looked at once.

    Attributes:
        digests: SHA-256 of every plain file, by its path.
        kept: content of those that were asked for.
        findings: what is in it and neither a plain file nor a folder with some.
        size_bytes: of all plain files.
    """

    digests: Mapping[str, str]
    kept: Mapping[str, bytes]
    findings: tuple[Finding, ...]
    size_bytes: int


def read_tree(directory: Path, keep: Callable[[str], bool], limits: Limits) -> Tree:
    """Hash every file of a directory; links are not followed.

    Args:
        directory: of the card.
        keep: whether the content of the file at a path is wanted.
        limits: see there.

    Raises:
        InputNotFoundError: there is no such directory.
        LimitError: it has more in it than the limits allow.
        UnreadableFileError: a file of it cannot be read.
    """
    if not directory.is_dir():
        raise InputNotFoundError(f"no directory is at {directory}: name the one that `medground card export` wrote")
    walk = _Walk(keep, limits)
    try:
        walk.folder(directory.resolve(), "", 0)
    except OSError as cause:
        raise UnreadableFileError(f"{directory} cannot be read ({cause.strerror}): check who may read it") from cause
    return Tree(walk.digests, walk.kept, tuple(walk.findings), walk.size_bytes)


class _Walk:
    """One walk over a directory.

    Args:
        keep: as above.
        limits: as above.
    """

    def __init__(self, keep: Callable[[str], bool], limits: Limits) -> None:
        self._keep = keep
        self._limits = limits
        self._seen = 0
        self.digests: dict[str, str] = {}
        self.kept: dict[str, bytes] = {}
        self.findings: list[Finding] = []
        self.size_bytes = 0

    def folder(self, folder: Path, inside: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise LimitError(f"folders lie more than {_DEEPEST} deep in the card: it is none that was exported")
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        if not entries and inside:
            self.findings.append(Finding(inside, Kind.ADDED, "an empty folder that no card has"))
        for entry in entries:
            self._seen += 1
            if self._seen > self._limits.files:
                raise LimitError(f"the card has more than {self._limits.files} files: it is none that was exported")
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_symlink():
                self.findings.append(Finding(path, Kind.LINK, _where(Path(entry.path), folder, depth)))
            elif entry.is_dir(follow_symlinks=False):
                self.folder(Path(entry.path), path, depth + 1)
            elif entry.is_file(follow_symlinks=False):
                self._file(Path(entry.path), path)
            else:
                self.findings.append(Finding(path, Kind.LINK, "a pipe, socket or device, where only files may be"))

    def _file(self, place: Path, path: str) -> None:
        # Somebody may put a link or a pipe there meanwhile: neither is followed or waited for.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                self.findings.append(Finding(path, Kind.LINK, "a pipe, socket or device, where only files may be"))
                return
            keep = self._keep(path)
            most = self._limits.kept_bytes if keep else self._limits.file_bytes
            self.size_bytes += status.st_size
            if status.st_size > most or self.size_bytes > self._limits.all_bytes:
                raise LimitError(
                    f"{path!r} has {status.st_size} bytes; up to {most} are read of it, {self._limits.all_bytes} of all"
                )
            if keep:
                content = file.read(most)
                self.kept[path] = content
                self.digests[path] = hashlib.sha256(content).hexdigest()
            else:
                self.digests[path] = hashlib.file_digest(file, "sha256").hexdigest()


def _where(link: Path, folder: Path, depth: int) -> str:
    root = folder if depth == 0 else folder.parents[depth - 1]
    try:
        inside = link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a ring of links
        inside = True
    return "a link, where only files may be" if inside else "a link that leaves the card"
