"""Results: what was answered, once per job, never changed and never replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, func, select

from medground.audit.event import ObjectKind
from medground.schema.result import ModelInfo
from medground.serving.database import insert_new, job_instances, jobs, result_files, results, writing
from medground.serving.jobs import Job, Jobs, Then
from medground.serving.missing import MissingError
from medground.serving.result_file import ResultFile


class ResultNotFoundError(MissingError):
    """No such result, or it is another tenant's, or the job has none (yet)."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A result of a job; `replaces` is the job whose result on fewer images of the same study it goes beyond."""

    job_id: str
    tenant: str
    study_key: str
    question_key: str
    model_name: str
    model_version: str
    model_sha256: str
    replaces: str
    created_us: int


class Results:
    """The results in the database.

    Args:
        engine: the database.
        jobs: of the same service.
        now_us: microseconds since 1970, UTC.
    """

    def __init__(self, engine: Engine, jobs: Jobs, now_us: Callable[[], int]) -> None:
        self._engine, self._jobs, self._now_us = engine, jobs, now_us

    def earlier(self, job: Job) -> ResultRow | None:
        """The newest result of the same question and model on the same study, on other images.

        It is what an answer names that late images have made necessary.
        """
        statement = (
            select(results)
            .where(
                results.c.tenant == job.tenant,
                results.c.study_key == job.study_key,
                results.c.question_key == job.question_key,
                results.c.job_id != job.job_id,
                results.c.model_sha256
                == select(jobs.c.model_sha256).where(jobs.c.job_id == job.job_id).scalar_subquery(),
            )
            .order_by(results.c.created_us.desc())
        )
        with self._engine.connect() as connection:
            mine = set(
                connection.scalars(select(job_instances.c.instance_id).where(job_instances.c.job_id == job.job_id))
            )
            for row in connection.execute(statement):
                of_it = select(job_instances.c.instance_id).where(job_instances.c.job_id == row.job_id)
                if set(connection.scalars(of_it)) < mine:
                    return _result(row)
        return None

    def write(self, job: Job, files: Sequence[ResultFile], model: ModelInfo, replaces: str, then: Then) -> bool:
        """Write the result of a job and end it, in one transaction.

        Args:
            job: what was asked.
            files: of the result, in the store.
            model: that answered.
            replaces: see `ResultRow`; empty for a first result.
            then: what else belongs to the transaction.

        Returns:
            False if the job was cancelled or its result was there already; then nothing changed.
        """
        with writing(self._engine) as connection:
            if not self._jobs.finish(connection, job):
                return False
            row = {
                "job_id": job.job_id,
                "tenant": job.tenant,
                "study_key": job.study_key,
                "question_key": job.question_key,
                "model_name": model.name,
                "model_version": model.version,
                "model_sha256": model.sha256,
                "replaces": replaces,
                "created_us": self._now_us(),
            }
            if not insert_new(connection, results, row):
                return False
            connection.execute(
                result_files.insert(),
                [
                    {
                        "job_id": job.job_id,
                        "kind": file.kind,
                        "number": file.number,
                        "sop_uid": file.sop_uid,
                        "sha256": file.stored.sha256,
                        "size_bytes": file.stored.size_bytes,
                    }
                    for file in files
                ],
            )
            then(connection)
        return True

    def add_file(self, connection: Connection, job_id: str, file: ResultFile) -> None:
        """Add what came of a review to a result, in the caller's transaction."""
        row = {
            "job_id": job_id,
            "kind": file.kind,
            "number": file.number,
            "sop_uid": file.sop_uid,
            "sha256": file.stored.sha256,
            "size_bytes": file.stored.size_bytes,
        }
        insert_new(connection, result_files, row)

    def get(self, job_id: str, tenant: str) -> ResultRow:
        """A result.

        Raises:
            ResultNotFoundError: there is none.
        """
        with self._engine.connect() as connection:
            row = connection.execute(
                select(results).where(results.c.job_id == job_id, results.c.tenant == tenant)
            ).one_or_none()
            foreign = _foreign(connection, job_id, tenant) if row is None else None
        if row is None:
            raise ResultNotFoundError("there is no such result", foreign)
        return _result(row)

    def of_study(self, study_key: str, tenant: str) -> list[ResultRow]:
        """Results about a study, newest first."""
        statement = (
            select(results)
            .where(results.c.tenant == tenant, results.c.study_key == study_key)
            .order_by(results.c.created_us.desc(), results.c.job_id)
        )
        with self._engine.connect() as connection:
            return [_result(row) for row in connection.execute(statement)]

    def digest(self, job_id: str, tenant: str, kind: str, number: int = 1) -> str:
        """SHA-256 of a file of a result.

        Raises:
            ResultNotFoundError: there is none.
        """
        statement = (
            select(result_files.c.sha256)
            .join(results, results.c.job_id == result_files.c.job_id)
            .where(
                results.c.tenant == tenant,
                result_files.c.job_id == job_id,
                result_files.c.kind == kind,
                result_files.c.number == number,
            )
        )
        with self._engine.connect() as connection:
            found = connection.scalar(statement)
            foreign = _foreign(connection, job_id, tenant) if found is None else None
        if found is None:
            raise ResultNotFoundError(f"this result has no {kind} number {number}", foreign)
        return str(found)

    def counts(self, job_id: str) -> dict[str, int]:
        """How many files of each kind a result has."""
        statement = (
            select(result_files.c.kind, func.count())
            .where(result_files.c.job_id == job_id)
            .group_by(result_files.c.kind)
        )
        with self._engine.connect() as connection:
            return {row.kind: row[1] for row in connection.execute(statement)}


def _foreign(connection: Connection, job_id: str, tenant: str) -> tuple[ObjectKind, str] | None:
    """The job, if it is another tenant's."""
    owner = connection.scalar(select(jobs.c.tenant).where(jobs.c.job_id == job_id))
    return None if owner in (None, tenant) else (ObjectKind.JOB, job_id)


def _result(row: Row[tuple[object, ...]]) -> ResultRow:
    return ResultRow(
        job_id=row.job_id,
        tenant=row.tenant,
        study_key=row.study_key,
        question_key=row.question_key,
        model_name=row.model_name,
        model_version=row.model_version,
        model_sha256=row.model_sha256,
        replaces=row.replaces,
        created_us=row.created_us,
    )
