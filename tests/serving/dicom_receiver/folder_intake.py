"""The other sides of the receiver's protocols: images kept in a folder, and requests for commitment in another."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from medground.serving.dicom_receiver.commitment import CommitmentRequest, FailureReason
from medground.serving.dicom_receiver.instances import Accepted, InstanceReceived, Refused


class OpenFile:
    """A file that is being written."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.path, self.stream = path, stream

    def write(self, data: bytes | memoryview, /) -> None:
        self.stream.write(data)


class FolderIntake:
    """Keeps every instance as a file under a random name, on the disk before it says so.

    Attributes:
        received: what was accepted, with where it lies now.
        begun: how many instances were on their way so far.
        decide: called before an instance is kept; may raise or refuse.
    """

    def __init__(self, folder: Path) -> None:
        self.received: list[tuple[InstanceReceived, Path]] = []
        self.begun = 0
        self.decide: Callable[[InstanceReceived], Accepted | Refused] = lambda _: Accepted()
        self._aside, self._kept = folder / "aside", folder / "kept"
        self._lock = threading.Lock()
        for each in (self._aside, self._kept):
            each.mkdir(parents=True, exist_ok=True)

    @property
    def files(self) -> list[Path]:
        """Everything in the folder, on its way or kept."""
        return sorted([*self._aside.iterdir(), *self._kept.iterdir()])

    @contextmanager
    def incoming(self) -> Iterator[OpenFile]:
        path = self._aside / secrets.token_hex(8)
        with path.open("xb") as stream:
            with self._lock:
                self.begun += 1
            try:
                yield OpenFile(stream, path)
            finally:
                path.unlink(missing_ok=True)

    def accept(self, received: InstanceReceived, /) -> Accepted | Refused:
        outcome = self.decide(received)
        if isinstance(outcome, Accepted):
            assert isinstance(received.file, OpenFile)
            received.file.stream.flush()
            os.fsync(received.file.stream.fileno())
            place = self._kept / received.file.path.name
            received.file.path.rename(place)
            descriptor = os.open(self._kept, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            with self._lock:
                self.received.append((replace(received), place))
        return outcome


class FolderCommitments:
    """Keeps every request for commitment as a file of JSON; an instance is here to stay if the intake has it."""

    def __init__(self, folder: Path, intake: FolderIntake) -> None:
        self._folder, self._intake = folder, intake
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, request: CommitmentRequest, /) -> None:
        with self._lock:
            self._path(request).write_text(request.model_dump_json())

    def pending(self) -> Sequence[CommitmentRequest]:
        with self._lock:
            paths = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            return [CommitmentRequest.model_validate_json(path.read_bytes()) for path in paths]

    def judge(self, request: CommitmentRequest, /) -> Sequence[FailureReason | None]:
        here = {one.sop_instance_uid: one.sop_class_uid for one, _ in self._intake.received}
        verdicts: list[FailureReason | None] = []
        for reference in request.references:
            found = here.get(reference.sop_instance_uid)
            conflict = None if found == reference.sop_class_uid else FailureReason.CLASS_INSTANCE_CONFLICT
            verdicts.append(FailureReason.NO_SUCH_OBJECT_INSTANCE if found is None else conflict)
        return verdicts

    def reported(self, request: CommitmentRequest, /) -> None:
        with self._lock:
            self._path(request).unlink()

    def _path(self, request: CommitmentRequest) -> Path:
        return self._folder / "_".join(request.key)
