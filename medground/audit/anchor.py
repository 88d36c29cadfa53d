"""Anchors: the log's last number and hash, written now and then to a file outside the database.

Whoever can change the database can cut the log off, or hash it anew; neither goes unnoticed while a line of this file
is out of his reach. So keep it on another machine, or on a medium that is written once. With a key, each line carries
an HMAC, and nobody without the key can write a line that counts.

The file is JSON lines, as in `{"hash":"...","mac":"...","sequence":120,"time":"2026-01-02T03:04:05.000006Z"}`. The
`mac`, if there is one, is the HMAC-SHA256 (RFC 2104) in hexadecimal of the same line without it: keys in alphabetical
order, no spaces.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from medground.audit.entry import NO_HASH, Hash, time_text
from medground.audit.log import AuditLog, Clock
from medground.schema.config import StrictConfig
from medground.schema.errors import AuditError, UsageError

LEAST_KEY_BYTES = 32
_TAIL_BYTES = 1024
_START = b'{"hash":"'


@dataclass(frozen=True, slots=True)
class Anchor:
    """An entry as it stood at the end of the log.

    Attributes:
        sequence: its number; 0 for a log without entries.
        hash: its hash.
        time: when the anchor was written, as in entries.
    """

    sequence: int
    hash: str
    time: str


class _Line(StrictConfig):
    sequence: int = Field(ge=0, strict=True)
    hash: Hash
    time: str = Field(pattern=r"^[0-9T:.Z-]{27}$")
    mac: Hash | None = None


class AnchorFile:
    """A file of anchors that only grows; a process that dies while writing leaves nothing that counts.

    Args:
        path: of the file; made at the first anchor.
        key: at least 32 bytes, for lines that cannot be forged; None for plain ones.

    Raises:
        UsageError: the key is too short.
    """

    def __init__(self, path: Path, key: bytes | None = None) -> None:
        if key is not None and len(key) < LEAST_KEY_BYTES:
            raise UsageError(f"a key of {len(key)} bytes can be guessed; give {LEAST_KEY_BYTES} or more")
        self._path = path
        self._key = key

    def read(self) -> list[Anchor]:
        """All anchors, in the order they were written; a last line without its end was never confirmed and is left out.

        Raises:
            AuditError: the file is not there, or a line of it is none of ours.
        """
        with self._as_audit_error():
            lines = self._path.read_bytes().split(b"\n")[:-1]
        return [self._anchor(line, number) for number, line in enumerate(lines, start=1)]

    def append(self, anchor: Anchor) -> None:
        """Write an anchor; on return it is on the disk.

        Raises:
            AuditError: it cannot be written.
        """
        line = self._line(anchor)
        with self._as_audit_error(), self._locked() as file:
            end = self._without_fragment(file)
            try:
                if os.write(file, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file, end)
                raise

    def last(self) -> Anchor | None:
        """The anchor that was written last; None if there is none or no file.

        Raises:
            AuditError: the file cannot be read, or its last line is none of ours.
        """
        with self._as_audit_error():
            try:
                file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            try:
                lines = _tail(file)[1].split(b"\n")[:-1]
            finally:
                os.close(file)
        return self._anchor(lines[-1], None) if lines else None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        is_new = not self._path.exists()
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if is_new:
                _sync_folder(self._path.parent)
            yield file
        finally:
            os.close(file)

    def _without_fragment(self, file: int) -> int:
        """Cut off what a process left that died while writing, and nothing else; the size then."""
        size, tail = _tail(file)
        fragment = tail[tail.rfind(b"\n") + 1 :]
        if not fragment:
            return size
        if not fragment.startswith(_START[: len(fragment)]) or len(fragment) == _TAIL_BYTES:
            raise AuditError(f"{self._path} is no file of anchors, and is left as it is: name another")
        os.ftruncate(file, size - len(fragment))
        return size - len(fragment)

    @contextmanager
    def _as_audit_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as cause:
            raise AuditError(f"the anchor file {self._path} cannot be used: {cause.strerror}") from cause

    def _line(self, anchor: Anchor) -> bytes:
        members = asdict(anchor)
        if self._key is not None:
            members["mac"] = self._mac(anchor)
        return f"{_canonical(members)}\n".encode()

    def _mac(self, anchor: Anchor) -> str:
        return hmac.new(self._key or b"", _canonical(asdict(anchor)).encode(), hashlib.sha256).hexdigest()

    def _anchor(self, line: bytes, number: int | None) -> Anchor:
        which = f"{'the last line' if number is None else f'line {number}'} of the anchor file {self._path}"
        try:
            read = _Line.model_validate_json(line)
        except ValidationError:
            raise AuditError(f"{which} is no anchor: find out who wrote it, or name the right file") from None
        anchor = Anchor(read.sequence, read.hash, read.time)
        if self._key is not None and not hmac.compare_digest(read.mac or "", self._mac(anchor)):
            raise AuditError(f"{which} does not carry the key's mark: it was forged, or written without this key")
        return anchor


def anchor_head(log: AuditLog, file: AnchorFile, clock: Clock, *, every: int = 1) -> Anchor | None:
    """Anchor the log's last entry, unless that was done fewer than `every` entries ago.

    Args:
        log: to anchor.
        file: to write to.
        clock: gives the time, with its offset from UTC.
        every: 1 or more.

    Returns:
        What was written; None if nothing was due.

    Raises:
        UsageError: `every` is below 1.
        AuditError: the last anchor does not hold any more, or something cannot be read or written.
    """
    if every < 1:
        raise UsageError(f"an anchor every {every} entries; give 1 or more")
    last, head = file.last(), log.head()
    if last is not None:
        if (log.hash_of(last.sequence) if last.sequence else NO_HASH) != last.hash:
            raise AuditError(
                f"entry {last.sequence} is not the one that was anchored last, and nothing is anchored on top of that: "
                "run `medground audit verify` with this anchor file"
            )
        if head.sequence - last.sequence < every:
            return None
    anchor = Anchor(head.sequence, head.hash, time_text(clock()))
    file.append(anchor)
    return anchor


def _canonical(members: dict[str, str | int]) -> str:
    return json.dumps(members, sort_keys=True, separators=(",", ":"))


def _tail(file: int) -> tuple[int, bytes]:
    """Size of a file, and its last bytes: more than a line has."""
    size = os.fstat(file).st_size
    return size, os.pread(file, _TAIL_BYTES, max(size - _TAIL_BYTES, 0))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
