"""Jobs: what is to be answered, once for each set of images, questions, model and settings.

A job's id is the digest of what its answer depends on, so asking twice is asking once::

    queued -> running -> done
       |         |-----> failed        an answer that says why there is none
       |---------|-----> cancelled     by whoever asked

Only a person brings a job back from `failed` or `cancelled`, by asking again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select

from medground.audit.event import ObjectKind
from medground.inference.request import Request
from medground.schema.config import StrictConfig
from medground.schema.errors import MedgroundError, UsageError
from medground.serving.database import batches, insert_new, instances, job_instances, jobs, workers, writing
from medground.serving.missing import MissingError

Then = Callable[[Connection], object]
"""What else belongs to a transaction, last of all: the entry in the audit log."""


def nothing(connection: Connection) -> None:
    """Nothing else belongs to the transaction."""
    del connection


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})


class JobNotFoundError(MissingError):
    """No such job, or it is another tenant's."""


class JobRequest(StrictConfig):
    """What is asked, and where the answer goes: see `medground.inference.ground.Request`.

    Attributes:
        queries: the questions, in order.
        min_score: boxes below it are not shown; None for the model's own.
        max_boxes, top_k: how many boxes and descriptions an answer has at most.
        deliver_to: names of destinations; no part of the job's id, since the answer does not depend on them.
    """

    queries: tuple[str, ...] = Field(min_length=1, max_length=64)
    min_score: float | None = Field(default=None, ge=0, le=1)
    max_boxes: int = Field(default=300, ge=1, le=1000)
    top_k: int = Field(default=10, ge=0, le=300)
    deliver_to: tuple[str, ...] = ()

    @property
    def question_key(self) -> str:
        """Digest of everything that is asked."""
        asked = self.model_dump(mode="json", exclude={"deliver_to"})
        return _digest(asked)

    def to_request(self) -> Request:
        """The same for `medground.inference`."""
        return Request(self.queries, self.min_score, self.max_boxes, self.top_k)


class Problem(StrictConfig):
    """Why a job failed: the kind of error, and a sentence without anything from the images."""

    kind: str
    detail: str

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """An error as it may be kept and shown; of one that is not ours only the kind."""
        if isinstance(error, MedgroundError):
            return cls(kind=type(error).__name__, detail=str(error)[:500])
        return cls(kind="InternalError", detail=f"the service failed ({type(error).__name__}); the log has more")


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the jobs."""

    job_id: str
    tenant: str
    study_key: str
    question_key: str
    request: JobRequest
    origin: str
    requested_by: str
    state: State
    attempt: int
    done: int
    total: int
    problem: Problem | None
    created_us: int
    updated_us: int

    @property
    def run_id(self) -> str:
        """Of the workflow: another attempt is another one, and so is a deleted job that is asked for again."""
        return f"{self.job_id}-{self.created_us}-{self.attempt}"


def job_id(tenant: str, digests: Sequence[str], request: JobRequest, model_sha256: str) -> str:
    """The id that a job has wherever and whenever it is asked for.

    Args:
        tenant: whose it is; two tenants never share a job.
        digests: SHA-256 of the images' files, in any order.
        request: what is asked.
        model_sha256: of the bundle.
    """
    return _digest([tenant, sorted(digests), request.question_key, model_sha256])


def _digest(part: object) -> str:
    return hashlib.sha256(json.dumps(part, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:40]


class Jobs:
    """The jobs in the database.

    Args:
        engine: the database.
        now_us: microseconds since 1970, UTC.
    """

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine, self.now_us = engine, now_us

    def submit(
        self,
        connection: Connection,
        *,
        tenant: str,
        instance_ids: Sequence[int],
        request: JobRequest,
        model_sha256: str,
        origin: str,
        requested_by: str,
    ) -> str:
        """Ask, in the caller's transaction; what failed or was cancelled is tried anew.

        Returns:
            The job's id.

        Raises:
            UsageError: no image, images of another tenant, or of several studies.
        """
        wanted = sorted(set(instance_ids))
        mine = (
            select(instances.c.id, instances.c.sha256, instances.c.study_key)
            .where(instances.c.tenant == tenant)
            .with_for_update(read=True, key_share=True)  # nobody deletes them before the job is there
        )
        some = [connection.execute(mine.where(instances.c.id.in_(ids))).all() for ids in batches(wanted)]
        rows = [row for found in some for row in found]
        if not rows or len(rows) != len(wanted) or len({row.study_key for row in rows}) != 1:
            raise UsageError("a job is about one or more images of one study")
        digests = [row.sha256 for row in rows]
        made = job_id(tenant, digests, request, model_sha256)
        now = self.now_us()
        values = {
            "job_id": made,
            "tenant": tenant,
            "study_key": rows[0].study_key,
            "instance_set": _digest(sorted(digests)),
            "question_key": request.question_key,
            "model_sha256": model_sha256,
            "request": request.model_dump_json(),
            "origin": origin,
            "requested_by": requested_by,
            "state": State.QUEUED,
            "attempt": 1,
            "done": 0,
            "total": 0,
            "problem": "",
            "created_us": now,
            "updated_us": now,
        }
        if insert_new(connection, jobs, values):
            connection.execute(job_instances.insert(), [{"job_id": made, "instance_id": row.id} for row in rows])
        else:
            connection.execute(
                jobs.update()
                .where(jobs.c.job_id == made, jobs.c.state.in_((State.FAILED, State.CANCELLED)))
                .values(state=State.QUEUED, attempt=jobs.c.attempt + 1, problem="", done=0, updated_us=now)
            )
        return made

    def get(self, job: str, tenant: str | None = None) -> Job:
        """A job.

        Args:
            job: its id.
            tenant: whose it must be; None for the service itself.

        Raises:
            JobNotFoundError: there is none.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(jobs).where(jobs.c.job_id == job)).one_or_none()
        if row is None or (tenant is not None and row.tenant != tenant):
            foreign = None if row is None else (ObjectKind.JOB, job)
            raise JobNotFoundError("there is no such job; ids are given by POST /v1/ground", foreign)
        return _job(row)

    def waiting(self, model_sha256: str, at_most: int = 1000) -> list[Job]:
        """Jobs that are queued for a model, oldest first."""
        return self._listed(jobs.c.state == State.QUEUED, jobs.c.model_sha256 == model_sha256, at_most=at_most)

    def orphans(self, before_us: int, at_most: int = 1000) -> list[Job]:
        """Jobs queued since before a time for a model that no worker has."""
        kept = select(workers.c.model_sha256)
        queued = (jobs.c.state == State.QUEUED) & (jobs.c.updated_us < before_us)
        return self._listed(queued, jobs.c.model_sha256.not_in(kept), at_most=at_most)

    def in_state(self, *states: State, at_most: int = 1000) -> list[Job]:
        """Jobs in some states, oldest first."""
        return self._listed(jobs.c.state.in_(states), at_most=at_most)

    def _listed(self, *which: ColumnElement[bool], at_most: int) -> list[Job]:
        statement = select(jobs).where(*which).order_by(jobs.c.created_us).limit(at_most)
        with self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(statement)]

    def counts(self) -> dict[State, int]:
        """How many jobs are in each state."""
        with self._engine.connect() as connection:
            found = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
        return dict.fromkeys(State, 0) | {State(state): count for state, count in found}

    def begin(self, job: Job) -> bool:
        """Mark a job as running; False if it has ended meanwhile or is another attempt's."""
        return self._move(job, (State.QUEUED, State.RUNNING), state=State.RUNNING)

    def progress(self, job: Job, done: int, total: int) -> bool:
        """Note how far it is; False if it has ended meanwhile, and the rest of the work is for nothing."""
        return self._move(job, (State.RUNNING,), done=done, total=total)

    def fail(self, job: Job, problem: Problem, then: Then = nothing) -> bool:
        """End a job with a reason; False if it had ended."""
        return self._end(job, then, state=State.FAILED, problem=problem.model_dump_json())

    def cancel(self, job: Job, then: Then = nothing) -> bool:
        """End a job on request; False if it had ended."""
        return self._end(job, then, state=State.CANCELLED)

    def _end(self, job: Job, then: Then, **values: object) -> bool:
        with writing(self._engine) as connection:
            has_ended = self._move_in(connection, job, (State.QUEUED, State.RUNNING), **values)
            if has_ended:
                then(connection)
        return has_ended

    def finish(self, connection: Connection, job: Job) -> bool:
        """End a job in the transaction that writes its result; False if it was cancelled or is another attempt's."""
        return self._move_in(connection, job, (State.RUNNING,), state=State.DONE)

    def _move(self, job: Job, before: Sequence[State], **values: object) -> bool:
        with writing(self._engine) as connection:
            return self._move_in(connection, job, before, **values)

    def _move_in(self, connection: Connection, job: Job, before: Sequence[State], **values: object) -> bool:
        moved = connection.execute(
            jobs.update()
            .where(jobs.c.job_id == job.job_id, jobs.c.attempt == job.attempt, jobs.c.state.in_(before))
            .values(updated_us=self.now_us(), **values)
        )
        return moved.rowcount == 1


def _job(row: Row[tuple[object, ...]]) -> Job:
    return Job(
        job_id=row.job_id,
        tenant=row.tenant,
        study_key=row.study_key,
        question_key=row.question_key,
        request=JobRequest.model_validate_json(row.request),
        origin=row.origin,
        requested_by=row.requested_by,
        state=State(row.state),
        attempt=row.attempt,
        done=row.done,
        total=row.total,
        problem=Problem.model_validate_json(row.problem) if row.problem else None,
        created_us=row.created_us,
        updated_us=row.updated_us,
    )
