"""What the HTTP side answers with, besides results: jobs, studies, series."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from medground.serving.jobs import Job, State
from medground.serving.times import time_of


class ProblemView(BaseModel):
    """Why a job failed."""

    kind: str
    detail: str


class DeliveryView(BaseModel):
    """A result on its way to an archive."""

    destination: str
    state: str
    attempts: int
    problem: ProblemView | None


class JobView(BaseModel):
    """A job: what is asked of one study, and where the answer stands."""

    id: str = Field(examples=["5f0c6a1d0e2b4c3d9a8b7c6d5e4f3a2b1c0d9e8f"])
    state: State
    study: str
    queries: tuple[str, ...]
    images_done: int
    images: int
    problem: ProblemView | None = None
    deliveries: tuple[DeliveryView, ...] = ()
    created: datetime
    updated: datetime
    result: str | None = Field(default=None, examples=["/v1/jobs/5f0c.../result"])


class ResultView(BaseModel):
    """A result in a list; the newest of a question and model comes first, and none ever replaces another."""

    job: str
    study: str
    model_name: str
    model_version: str
    model_sha256: str
    queries: tuple[str, ...]
    goes_beyond: str | None = Field(description="job whose result was about fewer images of the same study")
    created: datetime
    reports: int
    signed_reports: int
    presentation_states: int
    overlays: int


class StudyView(BaseModel):
    """A study in the work list."""

    study: str
    study_instance_uid: str
    patient_name: str
    patient_id: str
    study_date: str
    accession_number: str
    description: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    images: int
    status: str = Field(description="receiving, new, working, answered, in_review or signed")
    received: datetime


class StudyPage(BaseModel):
    """A page of the work list; `next` is what to ask for after it."""

    studies: tuple[StudyView, ...]
    next: str | None


class StoredView(BaseModel):
    """What became of files that were sent."""

    studies: tuple[str, ...]
    accepted: int
    new: int
    refused: dict[str, int]


def job_view(job: Job, deliveries: tuple[DeliveryView, ...] = ()) -> JobView:
    """A job as answers have it."""
    problem = ProblemView(kind=job.problem.kind, detail=job.problem.detail) if job.problem else None
    return JobView(
        id=job.job_id,
        state=job.state,
        study=job.study_key,
        queries=job.request.queries,
        images_done=job.done,
        images=job.total,
        problem=problem,
        deliveries=deliveries,
        created=time_of(job.created_us),
        updated=time_of(job.updated_us),
        result=f"/v1/jobs/{job.job_id}/result" if job.state is State.DONE else None,
    )
