"""What the service answers with, as far as a client reads it; what it does not know it leaves aside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from medground.schema.result import Finding


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Problem(_Part):
    """Why a job failed."""

    kind: str
    detail: str


class Delivery(_Part):
    """A result on its way to an archive."""

    destination: str
    state: str
    attempts: int
    problem: Problem | None


class Job(_Part):
    """Where a job stands: queued, running, done, failed or cancelled."""

    id: str
    state: str
    study: str
    queries: tuple[str, ...]
    images_done: int
    images: int
    problem: Problem | None
    deliveries: tuple[Delivery, ...]
    created: datetime
    updated: datetime


class Stored(_Part):
    """What became of files that were sent."""

    studies: tuple[str, ...]
    accepted: int
    new: int
    refused: dict[str, int]


class Study(_Part):
    """A study in the work list."""

    study: str
    study_instance_uid: str
    patient_name: str
    patient_id: str
    study_date: str
    accession_number: str
    description: str
    modalities: tuple[str, ...]
    images: int
    status: str
    received: datetime


class StudyPage(_Part):
    """A page of the work list."""

    studies: tuple[Study, ...]
    next: str | None


class Result(_Part):
    """A result about a study; the newest comes first, and none ever replaces another."""

    job: str
    study: str
    model_name: str
    model_version: str
    model_sha256: str
    queries: tuple[str, ...]
    goes_beyond: str | None
    created: datetime
    reports: int
    signed_reports: int
    presentation_states: int
    overlays: int


class ReviewedFinding(_Part):
    """A finding with what became of it."""

    finding_id: str
    status: str
    finding: Finding | None
    entry: dict[str, Any] | None
    revision: int


class ReviewState(_Part):
    """What stands after all entries about a result."""

    job: str
    revision: int
    entries: tuple[dict[str, Any], ...]
    findings: tuple[ReviewedFinding, ...]
    is_signed: bool


class Signed(_Part):
    """A signed report."""

    job: str
    revision: int
    sop_instance_uid: str
    findings: int
    destinations: tuple[str, ...]
