"""Reviews: what people said of a result, one entry after another, none ever changed.

What stands now follows from the entries in order. Whoever adds one says which was the last he saw; if another came
meanwhile he is refused, so nobody overwrites what he has not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import Connection, Engine, Row, func, select

from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.schema.result import Finding, GroundingResult
from medground.serving.database import insert_new, jobs, reviews, writing
from medground.serving.jobs import JobNotFoundError, Then


class ReviewAction(StrEnum):
    """What a review does."""

    ACCEPT = "accept"
    EDIT = "edit"
    REJECT = "reject"
    ADD = "add"
    UNDO = "undo"
    SIGN = "sign"


class Reason(StrEnum):
    """Why, in words from a list."""

    CONFIRMED = "confirmed"
    NOT_A_LESION = "not_a_lesion"
    ARTEFACT = "artefact"
    NORMAL_VARIANT = "normal_variant"
    WRONG_FINDING = "wrong_finding"
    WRONG_PLACE = "wrong_place"
    WRONG_SIZE = "wrong_size"
    WRONG_DESCRIPTION = "wrong_description"
    DUPLICATE = "duplicate"
    MISSED = "missed"
    KNOWN = "known"
    OTHER = "other"


class StaleReviewError(UsageError):
    """Somebody else has reviewed the result since."""


Text = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
FindingId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z-]{1,64}$")]


class ReviewEntry(StrictConfig):
    """One entry.

    Attributes:
        action: what it does; `sign` is written by signing alone.
        finding_id: which finding; of an added one its new id, given by the service.
        reason: why.
        text: why, in free words.
        box_xyxy_px: the box of an added finding, or the corrected one.
        concept: vocabulary key of an added finding, or the corrected one.
        sop_instance_uid, frame: the image of an added finding.
        statements: texts of the description in place of the model's; None says its name and who changed or added it.
        undoes: revision that an undo takes back.
        key: names the entry among those of its author about the result, so that it is added once however often it is
            sent; left out, each time it is sent is one.
    """

    action: ReviewAction
    finding_id: FindingId | None = None
    reason: Reason | None = None
    text: Text = ""
    box_xyxy_px: tuple[float, float, float, float] | None = None
    concept: str | None = Field(default=None, max_length=64)
    sop_instance_uid: str | None = Field(default=None, max_length=64)
    frame: int = Field(default=1, ge=1)
    statements: tuple[Text, ...] | None = Field(default=None, max_length=50)
    undoes: int | None = Field(default=None, ge=1)
    key: str | None = Field(default=None, pattern=r"^[0-9A-Za-z-]{1,64}$")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.action in (ReviewAction.ACCEPT, ReviewAction.REJECT, ReviewAction.EDIT) and self.finding_id is None:
            raise ValueError(f"to {self.action} takes a finding_id")
        if self.action is ReviewAction.REJECT and self.reason is None:
            raise ValueError("to reject takes a reason")
        if self.action is ReviewAction.ADD and (
            self.box_xyxy_px is None or self.concept is None or self.sop_instance_uid is None
        ):
            raise ValueError("to add takes a box_xyxy_px, a concept and a sop_instance_uid")
        if self.action is ReviewAction.UNDO and self.undoes is None:
            raise ValueError("to undo takes the revision that it undoes")
        if self.box_xyxy_px is not None:
            x1, y1, x2, y2 = self.box_xyxy_px
            if not (0 <= x1 < x2 <= 1e6 and 0 <= y1 < y2 <= 1e6):
                raise ValueError("a box is x1 < x2 and y1 < y2 in pixels of the image")
        return self


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """An entry as it is kept: who made it, when."""

    job_id: str
    revision: int
    entry: ReviewEntry
    reviewer: str
    reviewer_name: str
    at_us: int


class FindingStatus(StrEnum):
    """What became of a finding in review."""

    UNREVIEWED = "unreviewed"
    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class ReviewedFinding:
    """A finding with what people said of it.

    Attributes:
        finding_id: of the result's finding, or of an added one.
        finding: the model's; None for an added one.
        status: what became of it.
        entry: the last entry that counts, with what it goes on from: an edit from the edit before it, and everything
            said of an added finding from how it was added. None if nobody spoke of it.
        revision: of that entry.
    """

    finding_id: str
    finding: Finding | None
    status: FindingStatus
    entry: ReviewEntry | None = None
    revision: int = 0


_STATUS = {
    ReviewAction.ACCEPT: FindingStatus.ACCEPTED,
    ReviewAction.EDIT: FindingStatus.EDITED,
    ReviewAction.REJECT: FindingStatus.REJECTED,
    ReviewAction.ADD: FindingStatus.ADDED,
}


def standing(result: GroundingResult, rows: Sequence[ReviewRow]) -> list[ReviewedFinding]:
    """What stands after all entries: the result's findings in order, then the added ones.

    Args:
        result: what was reviewed.
        rows: its entries in order.
    """
    undone = {row.entry.undoes for row in rows if row.entry.action is ReviewAction.UNDO}
    found = {finding.id: finding for study in result.studies for answer in study.answers for finding in answer.findings}
    stands = {key: ReviewedFinding(key, finding, FindingStatus.UNREVIEWED) for key, finding in found.items()}
    added: dict[str, ReviewEntry] = {}
    for row in rows:
        key, action = row.entry.finding_id, row.entry.action
        if key is None or action not in _STATUS or row.revision in undone:
            continue
        if action is ReviewAction.ADD:
            added[key] = row.entry
        if key in found or key in added:
            entry = _onward(row.entry, stands.get(key), added.get(key))
            stands[key] = ReviewedFinding(key, found.get(key), _STATUS[action], entry, row.revision)
    return list(stands.values())


def _onward(entry: ReviewEntry, before: ReviewedFinding | None, added: ReviewEntry | None) -> ReviewEntry:
    """An entry with what it goes on from."""
    is_edit = entry.action is ReviewAction.EDIT
    goes_on = is_edit and before is not None and before.status is FindingStatus.EDITED
    base = before.entry if goes_on and before is not None else added
    if base is None or entry.action is ReviewAction.ADD:
        return entry
    kept = {name: getattr(base, name) for name in _CONTENT if not is_edit or getattr(entry, name) is None}
    if added is not None:
        kept |= {"sop_instance_uid": added.sop_instance_uid, "frame": added.frame}
    return entry.model_copy(update=kept)


_CONTENT = ("box_xyxy_px", "concept", "statements")


def check_seen(rows: Sequence[ReviewRow], seen: int) -> None:
    """Refuse what rests on an older state of a review.

    Args:
        rows: its entries in order.
        seen: revision of the last one that was seen; 0 if none.

    Raises:
        StaleReviewError: there are later entries, or that one is not there.
    """
    _check_last(rows[-1].revision if rows else 0, seen)


def _check_last(last: int, seen: int) -> None:
    if last != seen:
        raise StaleReviewError(f"the review is at revision {last}, not {seen}: read what was added, then decide")


class Reviews:
    """The reviews in the database.

    Args:
        engine: the database.
        now_us: microseconds since 1970, UTC.
    """

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine, self._now_us = engine, now_us

    def add(
        self, job_id: str, tenant: str, entry: ReviewEntry, *, seen: int, reviewer: tuple[str, str], then: Then
    ) -> ReviewRow:
        """Add an entry.

        Args:
            job_id: whose result.
            tenant: whose it is.
            entry: what is said.
            seen: revision of the last entry that the reviewer saw; 0 if none.
            reviewer: opaque id and name.
            then: what else belongs to the transaction.

        Returns:
            The entry as it is kept; the earlier one where its author has sent it before, by its key.

        Raises:
            JobNotFoundError: it was deleted meanwhile.
            StaleReviewError: there are later entries, or that one is not there.
            UsageError: an undo of what cannot be undone.
        """
        with writing(self._engine) as connection:
            mine = select(jobs.c.job_id).where(jobs.c.job_id == job_id, jobs.c.tenant == tenant)
            # Held until the end: whoever deletes the job waits, and deletes what is added here with it.
            if connection.scalar(mine.with_for_update(read=True, key_share=True)) is None:
                raise JobNotFoundError("that result is not here any more")
            before = _sent_before(connection, job_id, entry, reviewer[0])
            if before is not None:
                return before
            last = connection.scalar(select(func.max(reviews.c.revision)).where(reviews.c.job_id == job_id)) or 0
            _check_last(last, seen)
            if entry.action is ReviewAction.UNDO:
                undone = connection.execute(
                    select(reviews.c.action).where(
                        reviews.c.job_id == job_id, reviews.c.revision == entry.undoes, reviews.c.tenant == tenant
                    )
                ).scalar()
                if undone is None or undone in (ReviewAction.UNDO, ReviewAction.SIGN):
                    raise UsageError(f"revision {entry.undoes} is nothing that can be undone")
            now = self._now_us()
            row = {
                "job_id": job_id,
                "revision": last + 1,
                "tenant": tenant,
                "action": entry.action,
                "finding_id": entry.finding_id or "",
                "content": entry.model_dump_json(),
                "reviewer": reviewer[0],
                "reviewer_name": reviewer[1],
                "at_us": now,
            }
            if not insert_new(connection, reviews, row):
                raise StaleReviewError(f"the review is beyond revision {seen}: read what was added, then decide")
            then(connection)
        return ReviewRow(job_id, last + 1, entry, reviewer[0], reviewer[1], now)

    def of_result(self, job_id: str, tenant: str) -> list[ReviewRow]:
        """Entries about a result, in order."""
        statement = select(reviews).where(reviews.c.job_id == job_id, reviews.c.tenant == tenant)
        with self._engine.connect() as connection:
            return [_row(row) for row in connection.execute(statement.order_by(reviews.c.revision))]

    def of_tenant(self, tenant: str, *, since_us: int = 0, at_most: int = 1000) -> list[ReviewRow]:
        """Entries of a tenant from a time on, oldest first."""
        statement = (
            select(reviews)
            .where(reviews.c.tenant == tenant, reviews.c.at_us >= since_us)
            .order_by(reviews.c.at_us, reviews.c.job_id, reviews.c.revision)
            .limit(at_most)
        )
        with self._engine.connect() as connection:
            return [_row(row) for row in connection.execute(statement)]


def _sent_before(connection: Connection, job_id: str, entry: ReviewEntry, reviewer: str) -> ReviewRow | None:
    if entry.key is None:
        return None
    own = select(reviews).where(reviews.c.job_id == job_id, reviews.c.reviewer == reviewer)
    rows = map(_row, connection.execute(own.order_by(reviews.c.revision)))
    return next((row for row in rows if row.entry.key == entry.key), None)


def _row(row: Row[tuple[object, ...]]) -> ReviewRow:
    return ReviewRow(
        row.job_id,
        row.revision,
        ReviewEntry.model_validate_json(row.content),
        row.reviewer,
        row.reviewer_name,
        row.at_us,
    )
