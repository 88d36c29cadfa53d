"""`/v1/jobs`: where an answer stands, and everything that belongs to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection, select
from sse_starlette import EventSourceResponse, ServerSentEvent

from medground.audit.event import Action, ObjectKind
from medground.schema.result import GroundingResult
from medground.serving.access.scope import Principal, Scope
from medground.serving.database import deliveries
from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.security import MayAdmin, MayGround, MayRead, ServiceOf, address_of, still_may
from medground.serving.http.views import DeliveryView, JobView, ProblemView, job_view
from medground.serving.jobs import ENDED, Job, JobNotFoundError
from medground.serving.result_file import JSON, OVERLAY, SIGNED
from medground.serving.service import Service

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
JobId = Annotated[str, Path(pattern="^[0-9a-f]{40}$", description="of a job, as POST /v1/ground gives it")]
Number = Annotated[int, Query(ge=1, le=10_000, description="counted from 1")]
Newest = Annotated[int | None, Query(ge=1, le=10_000, description="counted from 1; the newest if left out")]
DICOM = "application/dicom"
EVENT_PAUSE_S = 1.0


@router.get("/{job}", responses=problems(404, 422))
def job(service: ServiceOf, who: MayRead, job: JobId) -> JobView:
    """Where a job stands."""
    return _view(service, service.jobs.get(job, who.tenant))


@router.get("/{job}/result", responses=problems(404, 422), response_model=GroundingResult)
def result(request: Request, service: ServiceOf, who: MayRead, job: JobId) -> Response:
    """The result of a finished job."""
    content = _file(request, service, who, job, JSON, 1)
    return Response(content, media_type="application/json")


@router.get("/{job}/sr", responses={200: {"content": {DICOM: {}}}, **problems(404, 422)}, response_class=Response)
def report(request: Request, service: ServiceOf, who: MayRead, job: JobId, number: Number = 1) -> Response:
    """A structured report of the result, as a DICOM file."""
    return Response(_file(request, service, who, job, "sr", number), media_type=DICOM)


@router.get("/{job}/signed", responses={200: {"content": {DICOM: {}}}, **problems(404, 422)}, response_class=Response)
def signed(request: Request, service: ServiceOf, who: MayRead, job: JobId, number: Newest = None) -> Response:
    """The signed report, with its reviewer as observer, as a DICOM file; the newest if no number is given."""
    newest = max(1, service.results.counts(job).get(SIGNED, 0))
    return Response(_file(request, service, who, job, SIGNED, number or newest), media_type=DICOM)


@router.get("/{job}/gsps", responses={200: {"content": {DICOM: {}}}, **problems(404, 422)}, response_class=Response)
def presentation(request: Request, service: ServiceOf, who: MayRead, job: JobId, number: Number = 1) -> Response:
    """A presentation state with the boxes of the result, as a DICOM file; there is none where nothing was found."""
    return Response(_file(request, service, who, job, "gsps", number), media_type=DICOM)


@router.get(
    "/{job}/overlay.png",
    responses={200: {"content": {"image/png": {}}}, **problems(404, 422)},
    response_class=Response,
)
def overlay(request: Request, service: ServiceOf, who: MayRead, job: JobId, number: Number = 1) -> Response:
    """A picture of the result: an image with its boxes and words."""
    return Response(_file(request, service, who, job, OVERLAY, number), media_type="image/png")


@router.get(
    "/{job}/events",
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 422)},
    response_class=Response,
)
async def events(request: Request, service: ServiceOf, who: MayRead, job: JobId) -> Response:
    """Where the job stands, told as it changes, until it has ended (server-sent events; data as for the job itself).

    It is looked at once a second. The stream ends with the credentials, too, and soon after they are revoked.
    """
    first = await anyio.to_thread.run_sync(service.jobs.get, job, who.tenant)
    return EventSourceResponse(_events(request, service, who, first), ping=15)


async def _events(request: Request, service: Service, who: Principal, first: Job) -> AsyncIterator[ServerSentEvent]:
    current: Job | None = first
    while current is not None:
        view = await anyio.to_thread.run_sync(_view, service, current)
        yield ServerSentEvent(data=view.model_dump_json(), event=view.state.value, id=str(current.updated_us))
        current = await _changed(request, service, who, current)


async def _changed(request: Request, service: Service, who: Principal, told: Job) -> Job | None:
    """The job once it has changed; None if it has ended or is gone, or nobody is to be told any more."""
    if told.state in ENDED:
        return None

    def look() -> Job | None:
        return service.jobs.get(told.job_id, who.tenant) if still_may(request, who, Scope.READ) else None

    current: Job | None = told
    while current == told and not service.ending.is_set():
        await anyio.sleep(EVENT_PAUSE_S)
        try:
            current = await anyio.to_thread.run_sync(look)
        except JobNotFoundError:
            return None
    return None if current == told else current


@router.post("/{job}/cancel", responses=problems(404, 409, 422))
def cancel(request: Request, service: ServiceOf, who: MayGround, job: JobId) -> JobView:
    """Cancel a job that has not ended; what of it is being worked on stops at the next image."""
    found = service.jobs.get(job, who.tenant)
    record = partial(
        service.record, who, Action.UPDATE, source=address_of(request), about=(ObjectKind.JOB, job), state="cancelled"
    )
    if not service.jobs.cancel(found, lambda connection: record(connection=connection)):
        raise ProblemError(409, "job-ended", f"the job is {service.jobs.get(job).state} and cannot be cancelled")
    return _view(service, service.jobs.get(job, who.tenant))


@router.delete("/{job}", responses=problems(404, 422), status_code=204)
def delete(request: Request, service: ServiceOf, who: MayAdmin, job: JobId) -> None:
    """Delete a job with its result and reviews (scope `admin`); the audit log keeps that it was here."""

    def record(connection: Connection) -> None:
        about = (ObjectKind.JOB, job)
        service.record(who, Action.DELETED, source=address_of(request), about=about, connection=connection)

    service.jobs.get(job, who.tenant)
    if not service.retention.forget_job(job, who.tenant, record):
        raise JobNotFoundError("there is no such job; ids are given by POST /v1/ground")


def _file(request: Request, service: Service, who: Principal, job: str, kind: str, number: int) -> bytes:
    digest = service.results.digest(job, who.tenant, kind, number)
    content = service.store.read(digest)
    about = (ObjectKind.RESULT, job)
    service.record(who, Action.RESULT_READ, source=address_of(request), about=about, format=kind)
    return content


def _view(service: Service, found: Job) -> JobView:
    statement = select(deliveries).where(deliveries.c.job_id == found.job_id).order_by(deliveries.c.destination)
    with service.engine.connect() as connection:
        rows = connection.execute(statement).all()
    return job_view(
        found,
        tuple(
            DeliveryView(
                destination=row.destination,
                state=row.state,
                attempts=row.attempts,
                problem=ProblemView(**json.loads(row.problem)) if row.problem else None,
            )
            for row in rows
        ),
    )
