"""`/v1/studies`: what is here, and what was answered of it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from medground.audit.event import Action, ObjectKind
from medground.serving.access.scope import Principal
from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.security import MayAdmin, MayGround, MayRead, ServiceOf, address_of
from medground.serving.http.uploads import read_form, receive, record_stored, refuse_if_nothing
from medground.serving.http.views import ResultView, StoredView, StudyPage, StudyView
from medground.serving.intake import Origin, Sender
from medground.serving.result_file import SIGNED
from medground.serving.service import Service
from medground.serving.times import time_of
from medground.serving.worklist import ListedStudy

router = APIRouter(prefix="/v1/studies", tags=["studies"])
StudyKey = Annotated[
    str, Path(pattern="^[0-9a-f]{24}$", description="key of a study, as the work list gives it: no UID in any URL")
]
_PLACE = re.compile(r"(\d{1,18})\.([0-9a-f]{24})")
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}


class StudySearch(BaseModel):
    """What to look for in the work list. In a body, so that no URL names a patient."""

    model_config = {"extra": "forbid"}
    words: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f]*$",
        description="part of name, patient id or accession number",
    )
    limit: int = Field(default=50, ge=1, le=200)
    after: str | None = Field(default=None, max_length=200, description="`next` of the page before")


@router.get("", responses=problems(422))
def studies(
    request: Request,
    service: ServiceOf,
    who: MayRead,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(max_length=200, description="`next` of the page before")] = None,
) -> StudyPage:
    """The work list, newest first."""
    return _page(request, service, who, limit, after, "")


@router.post("/search", responses=problems(400, 413, 422))
def search(request: Request, service: ServiceOf, who: MayRead, wanted: StudySearch) -> StudyPage:
    """Studies of the work list by patient or accession number, newest first."""
    return _page(request, service, who, wanted.limit, wanted.after, wanted.words)


def _page(request: Request, service: Service, who: Principal, limit: int, after: str | None, words: str) -> StudyPage:
    listed = service.worklist.page(who.tenant, at_most=limit + 1, after=_place(after), words=words)
    service.record(who, Action.STUDIES_SEARCHED, source=address_of(request), studies=min(len(listed), limit))
    page = listed[:limit]
    more = _next(page[-1]) if len(listed) > limit else None
    return StudyPage(studies=tuple(_view(study) for study in page), next=more)


@router.post("", openapi_extra=_UPLOAD, responses=problems(400, 409, 413, 415, 422), status_code=201)
async def store(request: Request, service: ServiceOf, who: MayGround) -> StoredView:
    """Store images without asking anything."""
    form = await read_form(request, service)
    try:
        received = await receive(form, service, Sender(who.tenant, Origin.HTTP))
    finally:
        await form.close()
    refuse_if_nothing(received)
    await anyio.to_thread.run_sync(record_stored, received, service, who, address_of(request))
    new = sum(one.is_new for one in received.accepted)
    return StoredView(studies=received.study_keys, accepted=len(received.accepted), new=new, refused=received.refused)


@router.get("/{study}", responses=problems(404, 422))
def study(request: Request, service: ServiceOf, who: MayRead, study: StudyKey) -> StudyView:
    """A study."""
    found = service.worklist.get(who.tenant, study)
    service.record(who, Action.STUDY_READ, source=address_of(request), about=(ObjectKind.STUDY, study))
    return _view(found)


@router.delete("/{study}", responses=problems(404, 422), status_code=204)
def delete(request: Request, service: ServiceOf, who: MayAdmin, study: StudyKey) -> None:
    """Delete a study with everything that was answered of it (scope `admin`); the audit log keeps that it was here."""
    service.worklist.get(who.tenant, study)
    service.record(who, Action.DELETE, source=address_of(request), about=(ObjectKind.STUDY, study))
    service.retention.forget(who.tenant, study)


@router.get("/{study}/results", responses=problems(404, 422))
def results(request: Request, service: ServiceOf, who: MayRead, study: StudyKey) -> tuple[ResultView, ...]:
    """Every result about a study, newest first: those of an earlier model stand beside the new ones."""
    service.worklist.get(who.tenant, study)
    service.record(who, Action.STUDY_READ, source=address_of(request), about=(ObjectKind.STUDY, study))
    views = []
    for row in service.results.of_study(study, who.tenant):
        counts = service.results.counts(row.job_id)
        views.append(
            ResultView(
                job=row.job_id,
                study=study,
                model_name=row.model_name,
                model_version=row.model_version,
                model_sha256=row.model_sha256,
                queries=service.jobs.get(row.job_id).request.queries,
                goes_beyond=row.replaces or None,
                created=time_of(row.created_us),
                reports=counts.get("sr", 0),
                signed_reports=counts.get(SIGNED, 0),
                presentation_states=counts.get("gsps", 0),
                overlays=counts.get("overlay", 0),
            )
        )
    return tuple(views)


def _view(listed: ListedStudy) -> StudyView:
    row = listed.row
    return StudyView(
        study=row.study_key,
        study_instance_uid=row.study_uid,
        patient_name=row.patient_name,
        patient_id=row.patient_id,
        study_date=row.study_date,
        accession_number=row.accession_number,
        description=row.description,
        modalities=tuple(row.modalities.split("\\")) if row.modalities else (),
        body_parts=tuple(row.body_parts.split("\\")) if row.body_parts else (),
        images=row.images,
        status=listed.status.value,
        received=time_of(row.last_received_us),
    )


def _next(last: ListedStudy) -> str:
    place = f"{last.row.last_received_us}.{last.row.study_key}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _place(after: str | None) -> tuple[int, str] | None:
    if after is None:
        return None
    try:
        place = _PLACE.fullmatch(base64.urlsafe_b64decode(after.encode("ascii", "replace")).decode("ascii"))
    except (ValueError, binascii.Error):
        place = None
    if place is None:
        raise ProblemError(422, "invalid-request", "after is no `next` of a page; leave it out for the first")
    return int(place[1]), place[2]
