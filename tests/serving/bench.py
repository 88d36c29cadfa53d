"""A worker over the parts of a service, an archive in memory, and what tests ask of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from medground.audit.event import Action, Outcome
from medground.audit.log import Selection
from medground.schema.result import GroundingResult
from medground.serving.database import writing
from medground.serving.intake import Accepted, Origin, Sender, read_file
from medground.serving.jobs import Job, JobRequest
from medground.serving.model import SharedReader
from medground.serving.service import Service
from medground.serving.worker import Worker
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import BlobPx
from tests.serving.running import film, rows

QUESTION = JobRequest(queries=("is there a nodule?", "is there a pleural effusion?"))


@dataclass
class Folder:
    """An archive that keeps what it is sent, after as many errors as it is given."""

    errors: list[Exception] = field(default_factory=list)
    sent: list[list[bytes]] = field(default_factory=list)

    def send(self, files: Sequence[Path]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append([path.read_bytes() for path in files])


@dataclass
class Bench:
    """A worker and its service."""

    service: Service
    reader: BlobReader
    shared: SharedReader
    worker: Worker
    archive: Folder
    logged: io.StringIO
    slept: list[float]
    folder: Path
    numbers: Iterator[int]

    def film(self, *blobs: BlobPx, study: int | None = None, instance: int = 1) -> Path:
        """A film, of a new study unless one is given."""
        return film(self.folder, study or next(self.numbers), *blobs, instance=instance)

    def rows(self, table: Table, job: Job) -> list[Any]:
        return [row for row in rows(self.service.engine, table) if row.job_id == job.job_id]

    def accept(self, path: Path) -> Accepted:
        with self.service.store.incoming() as incoming:
            read_file(path, incoming)
            return self.service.intake.accept(incoming, Sender("clinic", Origin.HTTP))

    def ask(self, *paths: Path, request: JobRequest = QUESTION) -> Job:
        ids = [self.accept(path).instance_id for path in paths]
        with writing(self.service.engine) as connection:
            made = self.service.jobs.submit(
                connection,
                tenant="clinic",
                instance_ids=ids,
                request=request,
                model_sha256=self.reader.sha256,
                origin="http",
                requested_by="t",
            )
            self.service.deliveries.order(connection, made, request.deliver_to)
        return self.service.jobs.get(made)

    def answer(self, job: Job) -> Job:
        self.worker.answer(job.job_id, job.attempt)
        return self.service.jobs.get(job.job_id)

    def result(self, job: Job) -> GroundingResult:
        digest = self.service.results.digest(job.job_id, "clinic", "json")
        return GroundingResult.model_validate_json(self.service.store.read(digest))

    def file(self, job: Job, kind: str, number: int = 1) -> bytes:
        return self.service.store.read(self.service.results.digest(job.job_id, "clinic", kind, number))

    def audited(self, job: Job, action: Action = Action.GROUNDED) -> list[tuple[Outcome, dict[str, Any]]]:
        entries = self.service.audit.read(Selection(object_id=job.job_id, action=action))
        return [(one.event.outcome, dict(one.event.details)) for one in entries]


class _Instead:
    """See `instead`."""

    def __init__(self, inner: Any, methods: dict[str, Callable[..., object]]) -> None:
        self._inner, self._methods = inner, methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._inner, name)


def instead(inner: Any, **methods: Callable[..., object]) -> Any:
    """A part of a service with a few of its methods taken by others; it may stand wherever the part may."""
    return _Instead(inner, methods)
