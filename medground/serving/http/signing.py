"""Signing off: `POST /v1/studies/{study}/sign` and the report of a study for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from medground.audit.event import Action, ObjectKind
from medground.serving.http.pacs import check_destinations
from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.reviews import read_result
from medground.serving.http.security import MayRead, MaySign, ServiceOf, address_of
from medground.serving.http.studies import StudyKey
from medground.serving.report import ReportedResult, report_html
from medground.serving.result_file import SIGNED, ResultFile, files_of
from medground.serving.reviews import ReviewAction, ReviewEntry, check_seen, standing
from medground.serving.signing import Signature, check_reviewed, open_study, signed_report
from medground.serving.times import time_of

router = APIRouter(prefix="/v1/studies", tags=["reviews"])
SIGNED_JSON = "signed-json"


class NewSignature(BaseModel):
    """What is signed, and by whom; the name stands in the report as DICOM writes names (Family^Given)."""

    model_config = {"extra": "forbid"}
    job: str = Field(pattern="^[0-9a-f]{40}$")
    seen_revision: int = Field(ge=0, le=100_000)
    person_name: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f\\]+$")
    allow_unreviewed: bool = False
    deliver_to: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(), max_length=20, description="archives that the report goes to, besides those that the result went to"
    )


class SignedView(BaseModel):
    """The signed report."""

    job: str
    revision: int
    sop_instance_uid: str
    findings: int
    destinations: tuple[str, ...]


@router.post("/{study}/sign", responses=problems(400, 404, 409, 413, 422), status_code=201)
def sign(request: Request, service: ServiceOf, who: MaySign, study: StudyKey, new: NewSignature) -> SignedView:
    """Sign a reviewed result: a verified report is made and goes where the result went.

    Refused if somebody has reviewed it since, or if findings were not reviewed and that is not expressly allowed.
    """
    service.worklist.get(who.tenant, study)
    row = service.results.get(new.job, who.tenant)
    if row.study_key != study:
        raise ProblemError(404, "not-found", "that result is about another study")
    check_destinations(service, who, new.deliver_to)
    counts = service.results.counts(new.job)
    if not counts.get("sr"):
        raise ProblemError(409, "no-report", "of this result no report could be written, so none can be signed")
    result = read_result(service, who, new.job)
    rows = service.reviews.of_result(new.job, who.tenant)
    check_seen(rows, new.seen_revision)
    reviewed = standing(result, rows)
    if not new.allow_unreviewed:
        check_reviewed(reviewed)
    images = open_study(files_of(service.engine, service.store, new.job), service.untrusted)
    follows = (SIGNED, counts[SIGNED]) if SIGNED in counts else ("sr", 1)
    before = service.store.read(service.results.digest(new.job, who.tenant, *follows))
    signature = Signature(new.person_name, service.config.organization, datetime.now(UTC))
    answered, document, uid = signed_report(result, reviewed, images, before, service.model.vocabulary, signature)
    number = counts.get(SIGNED, 0) + 1
    files = [
        ResultFile(SIGNED, number, uid, service.store.add(document)),
        ResultFile(SIGNED_JSON, number, "", service.store.add(answered.model_dump_json(indent=2).encode())),
    ]
    destinations: list[str] = []

    def also(connection: Connection) -> None:
        for file in files:
            service.results.add_file(connection, new.job, file)
        before_now = service.deliveries.destinations(connection, new.job)
        destinations.extend(dict.fromkeys([*before_now, *new.deliver_to]))
        service.deliveries.order(connection, new.job, destinations, again=True)
        service.record(
            who,
            Action.SIGNED,
            source=address_of(request),
            about=(ObjectKind.RESULT, new.job),
            connection=connection,
            revision=new.seen_revision + 1,
        )

    signed = service.reviews.add(
        new.job,
        who.tenant,
        ReviewEntry(action=ReviewAction.SIGN, text=uid),
        seen=new.seen_revision,
        reviewer=(who.subject, who.name),
        then=also,
    )
    service.nudge()
    return SignedView(
        job=new.job,
        revision=signed.revision,
        sop_instance_uid=uid,
        findings=answered.report.number_of_findings,
        destinations=tuple(destinations),
    )


@router.get(
    "/{study}/report",
    responses={200: {"content": {"text/html": {}}}, **problems(404, 422)},
    response_class=Response,
)
def report(
    request: Request,
    service: ServiceOf,
    who: MayRead,
    study: StudyKey,
    job: Annotated[
        str | None, Query(pattern="^[0-9a-f]{40}$", description="one result; all of the study if left out")
    ] = None,
) -> Response:
    """The report of a study as a page: what was asked, found and said of it in review, and what nobody has reviewed."""
    listed = service.worklist.get(who.tenant, study)
    rows = [row for row in service.results.of_study(study, who.tenant) if job in (None, row.job_id)]
    if job is not None and not rows:
        raise ProblemError(404, "not-found", "there is no such result of this study")
    parts = []
    for row in rows:
        result = read_result(service, who, row.job_id)
        entries = service.reviews.of_result(row.job_id, who.tenant)
        parts.append(ReportedResult(result, standing(result, entries), tuple(entries), time_of(row.created_us)))
    about = (ObjectKind.STUDY, study)
    service.record(who, Action.EXPORTED, source=address_of(request), about=about, format="html")
    page = report_html(listed, parts, service.model.vocabulary)
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
    return Response(page, media_type="text/html; charset=utf-8", headers=policy)
