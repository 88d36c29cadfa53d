"""Parts of answers and of listings, made without a service."""

from __future__ import annotations

from typing import Any

from medground.client.parts import (
    Concept,
    Edges,
    Instance,
    Model,
    ModelScope,
    ReviewedFinding,
    ReviewState,
    Series,
    Study,
    Trained,
)
from medground.schema.result import (
    Answer,
    BoxPx,
    Description,
    Extent,
    Finding,
    FindingConcept,
    GroundingResult,
    ModelInfo,
    Origin,
    Report,
    Settings,
    SliceBox,
    Statement,
    StatementKind,
    StudyResult,
    Understood,
    Verdict,
)
from medground.schema.vocabulary import Code

INFO = ModelInfo(name="blobs", version="1", sha256="ab" * 32, trained_on=("drawn images",))
CODE = Code(scheme="SCT", value="1", meaning="something")
UPRIGHT = Edges(left="R", right="L", top="H", bottom="F")


def instance(number: int = 1, **changes: Any) -> Instance:
    usual: dict[str, Any] = {
        "id": number,
        "sop_instance_uid": f"1.2.{number}",
        "frames": 1,
        "rows": 256,
        "columns": 200,
        "position_mm": None,
        "edges": UPRIGHT,
        "spacing_mm": (0.5, 0.25),
        "spacing_source": "detector",
        "windows": (),
        "image_laterality": None,
        "view_position": None,
    }
    return Instance(**(usual | changes))


def series(*instances: Instance, **changes: Any) -> Series:
    usual: dict[str, Any] = {
        "series_instance_uid": "1.2",
        "stack": 1,
        "is_volume": False,
        "modality": "DX",
        "description": "",
        "number": None,
        "instances": instances,
    }
    return Series(**(usual | changes))


def study(**changes: Any) -> Study:
    usual: dict[str, Any] = {
        "study": "0" * 24,
        "study_instance_uid": "1.2",
        "patient_name": "Doe^Ann",
        "patient_id": "P-1",
        "study_date": "20261130",
        "accession_number": "",
        "description": "Chest",
        "modalities": ("CT",),
        "images": 120,
        "status": "new",
        "received": "2026-11-30T12:00:00Z",
    }
    return Study(**(usual | changes))


def trained(concept: str, domain: str, boxes: int, *, real: int = 10, synthetic_only: bool = False) -> Trained:
    return Trained(
        concept=concept,
        domain=domain,
        images=boxes,
        boxes=boxes,
        real_boxes=real,
        synthetic_only=synthetic_only,
        described=True,
        words=(),
    )


def model(*learned: Trained, names: dict[str, dict[str, tuple[str, ...]]] | None = None) -> Model:
    scope = ModelScope(
        trained=learned,
        found_threshold=0.7,
        not_found_threshold=0.2,
        default_min_score=0.3,
        min_familiarity=0.1,
        min_domain_probability=0.5,
        min_side_px=64,
    )
    known = names or {one.concept: {"en": (one.concept.replace("_", " "),)} for one in learned}
    concepts = [
        Concept(key=key, names=by_language, code_scheme="SCT", code="1", code_meaning=key)
        for key, by_language in known.items()
    ]
    return Model(info=INFO, intended_use="Research.", scope=scope, concepts=tuple(concepts))


def finding(
    key: str = "f1",
    concept: str = "nodule",
    *,
    box: BoxPx = (10, 20, 30, 60),
    score: float = 0.8,
    sop: str | None = "1.2.1",
    slices: tuple[SliceBox, ...] = (),
    statements: tuple[tuple[str, Origin], ...] = (),
) -> Finding:
    said = [Statement(kind=StatementKind.FINDING, text=words, origin=origin) for words, origin in statements]
    extent = Extent(frame_of_reference_uid=None, box_lps_mm=(0, 0, 0, 1, 1, 1), slices=slices) if slices else None
    return Finding(
        id=key,
        source=sop or "film.png",
        series_instance_uid="1.2",
        sop_instance_uid=sop,
        frame=1,
        box_xyxy_px=box,
        extent=extent,
        size_mm=None,
        score=score,
        concept=FindingConcept(key=concept, name=concept.replace("_", " "), code=CODE),
        laterality=None,
        zone=None,
        description=Description(text=" ".join(one.text for one in said), statements=tuple(said)),
    )


def answer(
    query: str, *findings: Finding, verdict: Verdict = Verdict.FOUND, presence: float | None = 0.9, **changes: Any
) -> Answer:
    return Answer(
        id=f"answer-{query}",
        query=query,
        language="en",
        understood=Understood(concepts=("nodule",)),
        examined=(),
        verdict=verdict,
        presence=presence,
        findings=findings,
        **changes,
    )


def result(*answers: Answer) -> GroundingResult:
    report = Report(number_of_findings=0, nothing_above_threshold=False, recommendations=())
    settings = Settings(min_score=0.3, max_boxes=10, top_k=1, image_size_px=512, mode="fast", code_version="1")
    one = StudyResult(study_instance_uid="1.2", sources=("1.2.1",), answers=answers, report=report)
    return GroundingResult(result_id="r", model=INFO, settings=settings, studies=(one,))


def reviewed(
    one: Finding | None, status: str = "unreviewed", key: str = "", entry: dict[str, Any] | None = None
) -> ReviewedFinding:
    name = key or (one.id if one else "added-1")
    return ReviewedFinding(finding_id=name, status=status, finding=one, entry=entry, revision=0 if entry is None else 1)


def review(
    *findings: ReviewedFinding, entries: tuple[dict[str, Any], ...] = (), is_signed: bool = False
) -> ReviewState:
    return ReviewState(job="1" * 40, revision=len(entries), entries=entries, findings=findings, is_signed=is_signed)


def entry(revision: int, action: str, **more: Any) -> dict[str, Any]:
    """An entry as the service lists it."""
    return {"revision": revision, "reviewer_name": "Ann Example", "entry": {"action": action, "undoes": None, **more}}
