"""`/v1/reviews`: what people say of a result, entry by entry."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from medground.audit.event import Action, ObjectKind
from medground.schema.result import BoxPx, Finding, GroundingResult
from medground.serving.access.scope import Principal
from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.security import MayRead, MayReview, ServiceOf, address_of
from medground.serving.result_file import JSON, files_of
from medground.serving.reviews import (
    FindingStatus,
    ReviewAction,
    ReviewedFinding,
    ReviewEntry,
    ReviewRow,
    standing,
)
from medground.serving.service import Service
from medground.serving.times import time_of

router = APIRouter(prefix="/v1/reviews", tags=["reviews"])
JobId = Annotated[str, Query(pattern="^[0-9a-f]{40}$", description="job whose result is reviewed")]


class NewReview(BaseModel):
    """An entry to add: what is said, and the last revision that its author saw (0 if none)."""

    model_config = {"extra": "forbid"}
    job: str = Field(pattern="^[0-9a-f]{40}$")
    seen_revision: int = Field(ge=0, le=100_000)
    entry: ReviewEntry


class ReviewView(BaseModel):
    """An entry as it is kept."""

    job: str
    revision: int
    entry: ReviewEntry
    reviewer: str
    reviewer_name: str
    at: datetime


class StandingView(BaseModel):
    """A finding with what became of it."""

    finding_id: str
    status: FindingStatus
    finding: Finding | None
    entry: ReviewEntry | None
    revision: int


class ReviewState(BaseModel):
    """All entries about a result, and what stands after them."""

    job: str
    revision: int
    entries: tuple[ReviewView, ...]
    findings: tuple[StandingView, ...]
    is_signed: bool


@router.get("", responses=problems(404, 422))
def review(request: Request, service: ServiceOf, who: MayRead, job: JobId) -> ReviewState:
    """What people said of a result."""
    state = _state(service, who, job)
    about = (ObjectKind.RESULT, job)
    service.record(who, Action.RESULT_READ, source=address_of(request), about=about, format="review")
    return state


@router.post("", responses=problems(400, 404, 409, 413, 422), status_code=201)
def add(request: Request, service: ServiceOf, who: MayReview, new: NewReview) -> ReviewState:
    """Add an entry; refused if somebody else has added one since."""
    result = read_result(service, who, new.job)
    before = standing(result, service.reviews.of_result(new.job, who.tenant))
    entry = _checked(service, new, result, before)
    record = partial(
        service.record,
        who,
        Action.REVIEWED,
        source=address_of(request),
        about=(ObjectKind.RESULT, new.job),
        revision=new.seen_revision + 1,
        kind=entry.action.value,
        reason=entry.reason.value if entry.reason else "none",
    )
    service.reviews.add(
        new.job,
        who.tenant,
        entry,
        seen=new.seen_revision,
        reviewer=(who.subject, who.name),
        then=lambda connection: record(connection=connection),
    )
    return _state(service, who, new.job)


def read_result(service: Service, who: Principal, job: str) -> GroundingResult:
    """The result of a job.

    Raises:
        ResultNotFoundError: there is none.
    """
    digest = service.results.digest(job, who.tenant, JSON)
    return GroundingResult.model_validate_json(service.store.read(digest))


_ABOUT_ONE = frozenset({ReviewAction.ACCEPT, ReviewAction.EDIT, ReviewAction.REJECT})


def _checked(
    service: Service, new: NewReview, result: GroundingResult, before: Sequence[ReviewedFinding]
) -> ReviewEntry:
    """The entry, about something that is there; an added finding gets its id here."""
    entry = new.entry
    if entry.action is ReviewAction.SIGN:
        raise ProblemError(422, "invalid-request", "a result is signed by POST /v1/studies/{study}/sign")
    if entry.concept is not None and entry.concept not in {c.key for c in service.model.vocabulary.concepts}:
        raise ProblemError(422, "invalid-request", "entry.concept is no finding that is known here")
    about = {one.finding_id: one for one in before}.get(entry.finding_id or "")
    if entry.action in _ABOUT_ONE and about is None:
        raise ProblemError(422, "invalid-request", "entry.finding_id is no finding of this result or its review")
    if entry.action is ReviewAction.EDIT and entry.box_xyxy_px is not None and about is not None:
        _check_box(service, new.job, entry.box_xyxy_px, *_image_of(about))
    images = {one.sop_instance_uid for s in result.studies for a in s.answers for one in a.examined}
    if entry.action is ReviewAction.ADD:
        if entry.sop_instance_uid not in images:
            raise ProblemError(422, "invalid-request", "entry.sop_instance_uid is no image of this result")
        if entry.box_xyxy_px is not None:
            _check_box(service, new.job, entry.box_xyxy_px, entry.sop_instance_uid or "", entry.frame)
        return entry.model_copy(update={"finding_id": f"added-{secrets.token_hex(8)}"})
    return entry


def _image_of(about: ReviewedFinding) -> tuple[str, int]:
    """UID and frame of the image that a finding lies on."""
    if about.finding is not None:
        return about.finding.sop_instance_uid or "", about.finding.frame
    return (about.entry.sop_instance_uid or "", about.entry.frame) if about.entry else ("", 1)


def _check_box(service: Service, job: str, box: BoxPx, sop_uid: str, frame: int) -> None:
    """Refuse a box that leaves its image now, while its author is there, and not when somebody signs."""
    (image,) = (one for one in files_of(service.engine, service.store, job) if one.source == sop_uid)
    header = service.untrusted.open(image.path).header
    if frame > header.frames:
        raise ProblemError(422, "invalid-request", f"entry.frame: the image has {header.frames} frame(s)")
    if box[2] > header.columns or box[3] > header.rows:
        size = f"{header.columns} x {header.rows}"
        raise ProblemError(422, "invalid-request", f"entry.box_xyxy_px leaves its image, which has {size} pixels")


def _state(service: Service, who: Principal, job: str) -> ReviewState:
    result = read_result(service, who, job)
    rows = service.reviews.of_result(job, who.tenant)
    return ReviewState(
        job=job,
        revision=rows[-1].revision if rows else 0,
        entries=tuple(_view(row) for row in rows),
        findings=tuple(
            StandingView(
                finding_id=one.finding_id,
                status=one.status,
                finding=one.finding,
                entry=one.entry,
                revision=one.revision,
            )
            for one in standing(result, rows)
        ),
        is_signed=bool(rows) and rows[-1].entry.action is ReviewAction.SIGN,
    )


def _view(row: ReviewRow) -> ReviewView:
    return ReviewView(
        job=row.job_id,
        revision=row.revision,
        entry=row.entry,
        reviewer=row.reviewer,
        reviewer_name=row.reviewer_name,
        at=time_of(row.at_us),
    )
