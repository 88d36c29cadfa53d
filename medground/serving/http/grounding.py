"""`POST /v1/ground`: images and questions in, a result or a job out."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from sqlalchemy import Connection, select
from starlette.datastructures import FormData

from medground.audit.event import Action, ObjectKind
from medground.inference.understand import understand
from medground.schema.result import GroundingResult
from medground.serving.access.scope import Principal
from medground.serving.database import idempotency, insert_new, instances, writing
from medground.serving.http.pacs import check_destinations, pull_study
from medground.serving.http.problems import ProblemError, problems, told
from medground.serving.http.security import MayGround, ServiceOf, address_of
from medground.serving.http.uploads import read_form, receive, record_stored, refuse_if_nothing
from medground.serving.http.views import JobView, job_view
from medground.serving.intake import Origin, Sender, study_key
from medground.serving.jobs import ENDED, Job, JobRequest, State
from medground.serving.result_file import JSON
from medground.serving.service import Service

router = APIRouter(tags=["ground"])
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,4})\"?")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_STUDY = re.compile(r"[0-9a-f]{24}")
_KEY = re.compile(r"^[!-~]{1,128}$")
_FIELDS = frozenset(
    {"file", "query", "study", "source", "study_instance_uid", "min_score", "max_boxes", "top_k", "deliver_to"}
)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["query"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "DICOM files of one study, or a ZIP of them; or name a `study` that is here",
                        },
                        "study": {"type": "string", "pattern": "^[0-9a-f]{24}$"},
                        "source": {
                            "type": "string",
                            "description": "archive with `pull` that `study_instance_uid` is fetched from first",
                        },
                        "study_instance_uid": {"type": "string", "pattern": "^[0-9.]{1,64}$"},
                        "query": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 64,
                            "items": {"type": "string", "minLength": 1, "maxLength": 1000},
                            "description": "questions in English or Chinese",
                        },
                        "min_score": {"type": "number", "minimum": 0, "maximum": 1},
                        "max_boxes": {"type": "integer", "minimum": 1, "maximum": 1000},
                        "top_k": {"type": "integer", "minimum": 0, "maximum": 300},
                        "deliver_to": {"type": "array", "items": {"type": "string"}},
                    },
                    "additionalProperties": False,
                },
                "example": {"query": ["is there a nodule?", "左肺有结节吗"], "study": "0123456789abcdef01234567"},
            }
        },
    }
}


def is_foreign(question: str) -> bool:
    """Whether a question is in neither the letters of English nor the characters of Chinese, for the most part."""
    letters = [letter for letter in question if letter.isalpha()]
    known = sum(unicodedata.name(letter, "").startswith(("LATIN", "CJK")) for letter in letters)
    return 2 * known < len(letters)


def preferred_wait_s(header: str | None, most_s: float) -> float:
    """How long to wait for an answer by what `Prefer` asks for (RFC 7240).

    Args:
        header: what of it is not known is left aside, as the RFC asks.
        most_s: the longest, in seconds; and for how long to wait if nothing is said of it.
    """
    asked = [one.split(";")[0].strip() for one in (header or "").lower().split(",")]
    waits = [float(wait[1]) for one in asked if (wait := _WAIT.fullmatch(one))]
    if waits:
        return min(waits[0], most_s)
    return 0.0 if "respond-async" in asked else most_s


@router.post(
    "/v1/ground",
    openapi_extra=_BODY,
    responses={
        200: {"description": "the answer", "model": GroundingResult},
        202: {"description": "not answered yet: ask the job in `Location`", "model": JobView},
        **problems(400, 404, 409, 413, 415, 422, 502),
    },
    response_class=JSONResponse,
)
async def ground(
    request: Request,
    service: ServiceOf,
    who: MayGround,
    prefer: Annotated[str | None, Header(description="`respond-async`, or `wait=5` (seconds)")] = None,
    idempotency_key: Annotated[str | None, Header(pattern=_KEY.pattern)] = None,
) -> Response:
    """Ask questions of a study.

    The images are sent along, or are here already (`study`). The same images, questions and model are answered once:
    asking again gives the same result. `Prefer: respond-async` does not wait for it.
    """
    form = await read_form(request, service)
    try:
        asked = _request_of(form, service, who)
        if "study" in form or "source" in form:
            ids, refused = await anyio.to_thread.run_sync(_images_of, request, form, service, who)
        else:
            received = await receive(form, service, Sender(who.tenant, Origin.HTTP))
            refuse_if_nothing(received)
            await anyio.to_thread.run_sync(record_stored, received, service, who, address_of(request))
            if len(received.study_keys) > 1:
                raise ProblemError(
                    422,
                    "several-studies",
                    f"the images are of {len(received.study_keys)} studies; they were kept: ask each by `study`",
                )
            ids, refused = [one.instance_id for one in received.accepted], sum(received.refused.values())
    finally:
        await form.close()
    submit = _Submission(service, who, sorted(set(ids)), asked, idempotency_key, address_of(request))
    job = await anyio.to_thread.run_sync(submit.run)
    service.nudge()
    job = await _wait_for(service, job, preferred_wait_s(prefer, service.config.http.max_wait_s))
    return await anyio.to_thread.run_sync(_answer, request, service, who, job, refused)


def _request_of(form: FormData, service: Service, who: Principal) -> JobRequest:
    unknown = sorted(set(form.keys()) - _FIELDS)
    if unknown:
        raise ProblemError(422, "invalid-request", f"the form has a field that is not known; known: {sorted(_FIELDS)}")
    if any(not isinstance(value, str) for name, value in form.multi_items() if name != "file"):
        raise ProblemError(422, "invalid-request", "only the field file takes files; the others take text")
    values: dict[str, Any] = {"queries": form.getlist("query"), "deliver_to": form.getlist("deliver_to")}
    for name in ("min_score", "max_boxes", "top_k"):
        if name in form:
            values[name] = form[name]
    try:
        asked = JobRequest.model_validate(values, strict=False)
    except ValidationError as cause:
        first = cause.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]).replace("queries", "query")
        said = "ask one question or more" if first["type"] == "too_short" else told(first["msg"])
        raise ProblemError(422, "invalid-request", f"{where}: {said}") from cause
    check_destinations(service, who, asked.deliver_to)
    for query in asked.queries:
        question = understand(query, service.model.vocabulary)  # QueryError before anything is kept
        if not (question.phrases or question.everything) and is_foreign(query):
            said = "a question is in a script that is not read here; ask in English or Chinese"
            raise ProblemError(422, "unknown-language", said)
    return asked


def _images_of(request: Request, form: FormData, service: Service, who: Principal) -> tuple[list[int], int]:
    """The images of a study that is here, or that an archive has; and how many of its files were refused."""
    refused = 0
    named = [str(name) for name in form.getlist("study")]
    sources = [str(name) for name in form.getlist("source")]
    if len(named) + len(sources) != 1 or "file" in form:
        raise ProblemError(422, "invalid-request", "give files, or one study, or one source")
    if sources:
        uid = str(form.get("study_instance_uid", ""))
        if not _UID.fullmatch(uid) or len(uid) > 64:
            raise ProblemError(422, "invalid-request", "study_instance_uid has digits and dots, at most 64")
        refused = sum(pull_study(request, service, who, sources[0], uid).refused.values())
        named = [study_key(who.tenant, uid)]  # and no other that the archive may have sent
    elif not _STUDY.fullmatch(named[0]):
        raise ProblemError(
            422, "invalid-request", "a study is named by 24 hexadecimal digits, as GET /v1/studies gives it"
        )
    with service.engine.connect() as connection:
        found = connection.scalars(
            select(instances.c.id).where(instances.c.tenant == who.tenant, instances.c.study_key == named[0])
        )
        ids = list(found)
    if not ids:
        service.worklist.get(who.tenant, named[0])
        raise ProblemError(404, "not-found", "this study has no image any more")
    return ids, refused


@dataclass(frozen=True, slots=True)
class _Submission:
    """A job to be asked for, in one transaction with its idempotency key and its entry in the audit log."""

    service: Service
    who: Principal
    ids: list[int]
    asked: JobRequest
    key: str | None
    address: str

    def run(self) -> Job:
        service = self.service
        with writing(service.engine) as connection:
            job_id = service.jobs.submit(
                connection,
                tenant=self.who.tenant,
                instance_ids=self.ids,
                request=self.asked,
                model_sha256=service.model.info.sha256,
                origin="http",
                requested_by=self.who.subject,
            )
            if self.key is not None:
                self._check_key(connection, job_id)
            service.deliveries.order(connection, job_id, self.asked.deliver_to)
            service.record(
                self.who,
                Action.EXECUTE,
                source=self.address,
                about=(ObjectKind.JOB, job_id),
                connection=connection,
                questions=len(self.asked.queries),
                images=len(self.ids),
            )
        return service.jobs.get(job_id)

    def _check_key(self, connection: Connection, job_id: str) -> None:
        """A key stands for one request; with another it is refused, and nothing of the other is done."""
        asked = hashlib.sha256(f"{job_id}\n{self.asked.model_dump_json()}".encode()).hexdigest()
        key = hashlib.sha256((self.key or "").encode()).hexdigest()
        row = {
            "tenant": self.who.tenant,
            "key_sha256": key,
            "request_sha256": asked,
            "job_id": job_id,
            "created_us": self.service.jobs.now_us(),
        }
        if not insert_new(connection, idempotency, row):
            here = (idempotency.c.tenant == self.who.tenant) & (idempotency.c.key_sha256 == key)
            if connection.scalar(select(idempotency.c.request_sha256).where(here)) != asked:
                raise ProblemError(
                    409, "idempotency-conflict", "this Idempotency-Key stands for another request; take a new one"
                )


async def _wait_for(service: Service, job: Job, seconds: float) -> Job:
    """The job once it has ended, or as it is after that time."""
    pause = 0.03
    with anyio.move_on_after(seconds):
        while job.state not in ENDED and not service.ending.is_set():
            await anyio.sleep(pause)
            pause = min(pause * 1.3, 0.5)
            job = await anyio.to_thread.run_sync(service.jobs.get, job.job_id)
    return job


def _answer(request: Request, service: Service, who: Principal, job: Job, refused: int) -> Response:
    headers = {"Location": f"/v1/jobs/{job.job_id}", "X-Refused-Files": str(refused)}
    if job.state is State.DONE:
        headers["Content-Location"] = f"/v1/jobs/{job.job_id}/result"
        digest = service.results.digest(job.job_id, job.tenant, JSON)
        content, about = service.store.read(digest), (ObjectKind.RESULT, job.job_id)
        service.record(who, Action.RESULT_READ, source=address_of(request), about=about, format=JSON)
        return Response(content, 200, headers, "application/json")
    if job.state is State.FAILED and job.problem is not None:
        is_ours = job.problem.kind == "InternalError"
        raise ProblemError(500 if is_ours else 422, "job-failed", job.problem.detail, headers)
    return JSONResponse(job_view(job).model_dump(mode="json"), 202, headers)
