"""`GET /v1/reviews/export`: reviews as training data."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime
from sqlalchemy import select

from medground.audit.event import Action
from medground.schema.errors import InputError
from medground.serving.access.scope import Principal
from medground.serving.database import instances
from medground.serving.http.problems import problems
from medground.serving.http.reviews import read_result
from medground.serving.http.security import MayReview, ServiceOf, address_of
from medground.serving.result_file import files_of
from medground.serving.review_export import pseudonym, reviewed_records
from medground.serving.reviews import ReviewAction, standing
from medground.serving.service import Service
from medground.serving.signing import open_study

router = APIRouter(prefix="/v1/reviews", tags=["reviews"])
NDJSON = "application/x-ndjson"


@router.get(
    "/export",
    responses={200: {"content": {NDJSON: {}}, "description": "one `ImageRecord` a line"}, **problems(422)},
    response_class=Response,
)
def export(
    request: Request,
    service: ServiceOf,
    who: MayReview,
    since: Annotated[AwareDatetime | None, Query(description="only results with an entry since then")] = None,
) -> Response:
    """What people confirmed, corrected and added, image by image, as training reads it.

    Patients have pseudonyms that hold within this export alone. Images are named by the SHA-256 of their files, which
    lie in the state folder; they are to be de-identified (`medground deidentify`) before they leave it.
    """
    since_us = int(since.timestamp() * 1e6) if since else 0
    rows = service.reviews.of_tenant(who.tenant, since_us=since_us, at_most=1_000_000)
    jobs = list(dict.fromkeys(row.job_id for row in rows))
    service.record(who, Action.EXPORTED, source=address_of(request), entries=len(jobs), format="records")
    return StreamingResponse(_lines(service, who, jobs), media_type=NDJSON)


def _lines(service: Service, who: Principal, jobs: Sequence[str]) -> Iterator[str]:
    salt = secrets.token_bytes(16)
    for job in jobs:
        result = read_result(service, who, job)
        entries = service.reviews.of_result(job, who.tenant)
        row = service.worklist.get(who.tenant, service.results.get(job, who.tenant).study_key).row
        try:
            study = open_study(files_of(service.engine, service.store, job), service.untrusted)
        except InputError as error:
            service.log.warning("review_not_exported", job=job, kind=type(error).__name__)
            continue
        records = reviewed_records(
            result,
            standing(result, entries),
            study,
            _digests(service, who.tenant, row.study_key),
            service.model.vocabulary,
            patient=pseudonym(who.tenant, row.patient_id or row.study_key, salt),
            is_signed=bool(entries) and entries[-1].entry.action is ReviewAction.SIGN,
        )
        for record in records:
            yield record.model_dump_json() + "\n"


def _digests(service: Service, tenant: str, study_key: str) -> dict[str, str]:
    statement = select(instances.c.sop_uid, instances.c.sha256).where(
        instances.c.tenant == tenant, instances.c.study_key == study_key
    )
    with service.engine.connect() as connection:
        return {row.sop_uid: row.sha256 for row in connection.execute(statement)}
