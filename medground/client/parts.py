"""What the service answers with, as far as a client reads it; what it does not know it leaves aside."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from medground.schema.result import Finding, ModelInfo


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


class Me(_Part):
    """Whose token it is, and what it opens; `expires` is None if it does not end."""

    name: str
    tenant: str
    scopes: tuple[str, ...]
    kind: str
    expires: datetime | None


class Trained(_Part):
    """A finding that the model learned on one kind of image: from how many images and boxes, and how many real ones."""

    concept: str
    domain: str
    images: int
    boxes: int
    real_boxes: int
    synthetic_only: bool
    described: bool
    words: tuple[str, ...]


class ModelScope(_Part):
    """What the model answers about, and the thresholds of its verdicts."""

    trained: tuple[Trained, ...]
    found_threshold: float
    not_found_threshold: float
    default_min_score: float
    min_familiarity: float
    min_domain_probability: float
    min_side_px: int


class Concept(_Part):
    """A finding that can be asked for; names by language."""

    key: str
    names: dict[str, tuple[str, ...]]
    code_scheme: str
    code: str
    code_meaning: str


class Case(_Part):
    """A lesion that the model learnt from; `box_xyxy_px` is its box on the thumbnail, None without one."""

    id: str
    concept: str
    domain: str
    side: str | None
    zone: str | None
    longest_mm: float | None
    appearance: tuple[str, ...]
    source: str
    synthetic: bool
    has_thumbnail: bool
    why_no_thumbnail: str
    box_xyxy_px: tuple[float, float, float, float] | None


class CardStanding(_Part):
    """What is known of the model's card.

    `state` is verified, absent, not_verified or other_model; `signer`, `fingerprint` and `exported_at` are empty unless
    it was verified.
    """

    state: str
    words: str
    signer: str
    fingerprint: str
    exported_at: str


class Card(CardStanding):
    """The model's card; `facts` is None unless it was verified."""

    facts: dict[str, Any] | None


class Model(_Part):
    """The model of a service; services before cards say nothing of one."""

    info: ModelInfo
    intended_use: str
    scope: ModelScope
    concepts: tuple[Concept, ...]
    card: CardStanding | None = None


class Edges(_Part):
    """The patient's sides at the edges of an image: R, L, A, P, H, F or several of them; empty where unknown."""

    left: str
    right: str
    top: str
    bottom: str


class Window(_Part):
    """A window in the values of frames; `low` equals `high` in a threshold."""

    name: str
    low: float
    high: float


class Instance(_Part):
    """An image object; positions are along the normal, spacing between rows and between columns.

    `frame_positions_mm` is that of each frame of several; empty where unknown.
    """

    id: int
    sop_instance_uid: str
    frames: int
    rows: int
    columns: int
    position_mm: float | None
    edges: Edges
    spacing_mm: tuple[float, float] | None
    spacing_source: str | None
    windows: tuple[Window, ...]
    image_laterality: str | None
    view_position: str | None
    is_colour: bool = False
    frame_positions_mm: tuple[float | None, ...] = ()


class Series(_Part):
    """A series in viewing order; one that mixes stacks of slices comes as several, with `stack` 1, 2, ..."""

    series_instance_uid: str
    stack: int
    is_volume: bool
    modality: str
    description: str
    number: int | None
    instances: tuple[Instance, ...]


class FrameReading(_Part):
    """How to read a frame: value = slope * pixel + intercept; if `inverted`, the highest is shown black."""

    rows: int
    columns: int
    samples: int
    slope: float
    intercept: float
    lowest: float
    highest: float
    inverted: bool
    spacing_mm: tuple[float, float] | None


class FoundStudy(_Part):
    """A study that an archive has."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_date: str
    description: str
    modalities: tuple[str, ...]
    instances: int | None


class AuditEntry(_Part):
    """An entry of the audit log."""

    sequence: int
    time: datetime
    action: str
    outcome: str
    actor_kind: str
    actor: str
    tenant: str
    source: str
    object_kind: str
    object_id: str
    details: dict[str, Any]
    hash: str


class AuditPage(_Part):
    """A page of the audit log, newest first."""

    entries: tuple[AuditEntry, ...]
    next: int | None
