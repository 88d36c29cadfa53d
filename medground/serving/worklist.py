"""The work list: studies with where each stands, newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, Row, func, or_, select, tuple_

from medground.audit.event import ObjectKind
from medground.serving.database import instances, jobs, results, reviews, studies
from medground.serving.jobs import State
from medground.serving.missing import MissingError
from medground.serving.reviews import ReviewAction


class StudyStatus(StrEnum):
    """Where a study stands; the first that fits. It is signed if nothing was said of a result since it was signed."""

    RECEIVING = "receiving"
    WORKING = "working"
    SIGNED = "signed"
    IN_REVIEW = "in_review"
    ANSWERED = "answered"
    NEW = "new"


class StudyNotFoundError(MissingError):
    """No such study, or it is another tenant's."""


@dataclass(frozen=True, slots=True)
class ListedStudy:
    """A study with its status; `row` is its row in the table."""

    row: Row[tuple[object, ...]]
    status: StudyStatus


@dataclass(frozen=True, slots=True)
class ListedInstance:
    """An image object of a study, as it is here."""

    instance_id: int
    sop_uid: str
    series_uid: str
    modality: str
    frames: int
    sha256: str


class WorkList:
    """The studies of a tenant.

    Args:
        engine: the database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def page(
        self, tenant: str, *, at_most: int, after: tuple[int, str] | None = None, words: str = ""
    ) -> list[ListedStudy]:
        """Studies, newest first.

        Args:
            tenant: whose.
            at_most: how many.
            after: `last_received_us` and key of the last study of the page before.
            words: part of the patient's name, of the patient id or the accession number; empty for all.
        """
        statement = select(studies).where(studies.c.tenant == tenant)
        if after is not None:
            statement = statement.where(tuple_(studies.c.last_received_us, studies.c.study_key) < after)
        if words:
            columns = (studies.c.patient_name, studies.c.patient_id, studies.c.accession_number)
            statement = statement.where(or_(*(column.icontains(words, autoescape=True) for column in columns)))
        statement = statement.order_by(studies.c.last_received_us.desc(), studies.c.study_key.desc()).limit(at_most)
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        return self._with_status(tenant, rows)

    def get(self, tenant: str, study_key: str) -> ListedStudy:
        """A study.

        Raises:
            StudyNotFoundError: there is none.
        """
        statement = select(studies).where(studies.c.tenant == tenant, studies.c.study_key == study_key)
        with self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
            elsewhere = select(studies.c.tenant).where(studies.c.study_key == study_key)
            is_elsewhere = row is None and connection.scalar(elsewhere) is not None
        if row is None:
            foreign = (ObjectKind.STUDY, study_key) if is_elsewhere else None
            raise StudyNotFoundError("there is no such study; GET /v1/studies lists them", foreign)
        return self._with_status(tenant, [row])[0]

    def instances(self, tenant: str, study_key: str) -> list[ListedInstance]:
        """The image objects of a study, by series and UID."""
        statement = (
            select(instances)
            .where(instances.c.tenant == tenant, instances.c.study_key == study_key)
            .order_by(instances.c.series_uid, instances.c.sop_uid)
        )
        with self._engine.connect() as connection:
            return [_instance(row) for row in connection.execute(statement)]

    def instance(self, tenant: str, study_key: str, instance_id: int) -> ListedInstance | None:
        """An image object of a study; None if the study has none of that id."""
        statement = select(instances).where(
            instances.c.tenant == tenant, instances.c.study_key == study_key, instances.c.id == instance_id
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        return None if row is None else _instance(row)

    def _with_status(self, tenant: str, rows: Sequence[Row[tuple[object, ...]]]) -> list[ListedStudy]:
        keys = [row.study_key for row in rows]
        working = select(jobs.c.study_key).where(
            jobs.c.tenant == tenant, jobs.c.study_key.in_(keys), jobs.c.state.in_((State.QUEUED, State.RUNNING))
        )
        answered = select(results.c.study_key).where(results.c.tenant == tenant, results.c.study_key.in_(keys))
        here = select(results.c.job_id).where(results.c.tenant == tenant, results.c.study_key.in_(keys))
        newest = select(reviews.c.job_id, func.max(reviews.c.revision).label("revision")).group_by(reviews.c.job_id)
        last = newest.where(reviews.c.job_id.in_(here)).subquery()
        reviewed = (
            select(results.c.study_key, reviews.c.action)
            .join(reviews, reviews.c.job_id == results.c.job_id)
            .join(last, (last.c.job_id == reviews.c.job_id) & (last.c.revision == reviews.c.revision))
            .where(results.c.tenant == tenant, results.c.study_key.in_(keys))
            .distinct()
        )
        with self._engine.connect() as connection:
            busy, done = set(connection.scalars(working)), set(connection.scalars(answered))
            looked_at = {(row.study_key, row.action) for row in connection.execute(reviewed)}
        seen = {key for key, _ in looked_at}

        def status(row: Row[tuple[object, ...]]) -> StudyStatus:
            if row.is_open:
                return StudyStatus.RECEIVING
            if row.study_key in busy:
                return StudyStatus.WORKING
            if (row.study_key, ReviewAction.SIGN) in looked_at:
                return StudyStatus.SIGNED
            if row.study_key in seen:
                return StudyStatus.IN_REVIEW
            return StudyStatus.ANSWERED if row.study_key in done else StudyStatus.NEW

        return [ListedStudy(row, status(row)) for row in rows]


def _instance(row: Row[tuple[object, ...]]) -> ListedInstance:
    return ListedInstance(row.id, row.sop_uid, row.series_uid, row.modality, row.frames, row.sha256)
