"""Results and images for the tests of structured reports."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from medground.dicom.image import DicomImage, open_image
from medground.dicom.sr import write_sr
from medground.schema.anatomy import Side, Zone
from medground.schema.result import (
    Answer,
    Description,
    Examined,
    Extent,
    Finding,
    FindingConcept,
    ModelInfo,
    Origin,
    Recommendation,
    Relation,
    Report,
    Settings,
    SizeMm,
    SliceBox,
    SpacingSource,
    Statement,
    StatementKind,
    StudyResult,
    Understood,
    Urgency,
    Verdict,
)
from medground.schema.vocabulary import Code
from tests.dicom.conftest import dicom_file

MODEL = ModelInfo(name="compact", version="1.0", sha256="ab" * 32, trained_on=("phantom", "ChestX-Det"))
SETTINGS = Settings(min_score=0.1 + 0.2, max_boxes=300, top_k=10, image_size_px=256, mode="eager", code_version="0.1.0")
BOXES = [(0.0, 0.0, 1.25, 2.5), (1234.567, 3000.123, 2345.678, 3999.99), (10.1, 20.2, 30.3, 40.4)]
NODULE = FindingConcept(
    key="nodule", name="nodule", code=Code(scheme="SCT", value="786838002", meaning="Nodule of lung")
)
PLACED = {"SOPInstanceUID": "1.2.3.1", "BodyPartExamined": "CHEST", "StudyDate": "20250102"}


def image(*, frames: int = 1, **elements: Any) -> DicomImage:
    """A small image; a chest radiograph unless elements say otherwise."""
    shape = (frames, 64, 64) if frames > 1 else (64, 64)
    return open_image(dicom_file(np.zeros(shape, np.uint16), frames=frames, **{**PLACED, **elements}))


def ct_slices(count: int) -> list[DicomImage]:
    """Slices of one chest CT series, 0.5 x 0.75 mm pixels."""
    return [
        image(
            SOPClassUID=CTImageStorage,
            SOPInstanceUID=f"1.2.3.4.{number}",
            Modality="CT",
            FrameOfReferenceUID="1.2.3.9",
            PixelSpacing=[0.5, 0.75],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[-10, -20, 3 * number],
        )
        for number in range(1, count + 1)
    ]


def by_uid(*images: DicomImage) -> dict[str, DicomImage]:
    return {one.header.sop_instance_uid: one for one in images}


def finding(on: DicomImage, number: int, box: tuple[float, float, float, float], **changes: Any) -> Finding:
    statements = (
        Statement(kind=StatementKind.FINDING, text="Nodule.", origin=Origin.MODEL),
        Statement(kind=StatementKind.SIZE, text="大小约 12 毫米。\nSee below.", origin=Origin.MEASURED),
    )
    elements: dict[str, Any] = {
        "id": f"f{number}",
        "source": "film.dcm",
        "series_instance_uid": on.header.series_instance_uid,
        "sop_instance_uid": on.header.sop_instance_uid,
        "frame": 1,
        "box_xyxy_px": box,
        "size_mm": SizeMm(width=37 / 3, height=9.1, spacing_source=SpacingSource.DETECTOR),
        "score": 0.1 + 0.7,
        "concept": NODULE,
        "laterality": Side.LEFT,
        "zone": Zone.UPPER,
        "description": Description(text="Nodule in the left upper zone, 12 x 9 mm.", statements=statements),
    }
    return Finding(**{**elements, **changes})


def volume_finding(slices: Sequence[DicomImage], number: int) -> Finding:
    """A finding through a volume, whose own image is the second slice."""
    boxes = [(10.0 + n, 12.25, 20.5 + n, 30.0) for n in range(len(slices))]
    places = tuple(
        SliceBox(sop_instance_uid=one.header.sop_instance_uid, frame=1, box_xyxy_px=box)
        for one, box in zip(slices, boxes, strict=True)
    )
    extent = Extent(frame_of_reference_uid="1.2.3.9", box_lps_mm=(-2.5, 1 / 3, 3.0, 9.1, 5.0, 12.0), slices=places)
    size = SizeMm(width=7.875, height=8.875, depth=0.1 + 0.2, spacing_source=SpacingSource.PATIENT_PLANE)
    return finding(slices[1], number, boxes[1], extent=extent, size_mm=size)


def study(on: DicomImage, findings: Sequence[Finding], **changes: Any) -> StudyResult:
    """Two answers: the findings in Chinese, and a question that the model was not trained for."""
    found = Answer(
        id="a1",
        query="左肺有结节吗",
        language="zh",
        understood=Understood(concepts=("nodule",), side=Side.LEFT, relation=Relation.LARGEST, unknown_words=("吗",)),
        examined=(
            Examined(
                source="film.dcm",
                series_instance_uid=on.header.series_instance_uid,
                sop_instance_uid=on.header.sop_instance_uid,
                frames=tuple(range(1, on.header.frames + 1)),
            ),
        ),
        verdict=Verdict.FOUND if findings else Verdict.NOT_FOUND,
        presence=0.9,
        findings=tuple(findings),
        warnings=("trained on phantoms only",),
    )
    other = Answer(
        id="a2",
        query="fracture?",
        language="en",
        understood=Understood(concepts=("fracture",)),
        examined=(),
        verdict=Verdict.UNSUPPORTED,
        presence=None,
        findings=(),
    )
    rule = Recommendation(
        finding_id="f1",
        urgency=Urgency.URGENT,
        next_step="Consider CT.",
        rule="nodule-ct-over-8mm",
        code=Code(scheme="99MEDGROUND", value="nodule-ct-over-8mm", meaning="Consider CT"),
        citation="Radiology 2017;284:228-243.",
    )
    report = Report(
        number_of_findings=len(findings),
        nothing_above_threshold=not findings,
        recommendations=(rule,) if findings else (),
    )
    elements: dict[str, Any] = {
        "study_instance_uid": on.header.study_instance_uid,
        "sources": ("film.dcm",),
        "answers": (found, other),
        "report": report,
    }
    return StudyResult(**{**elements, **changes})


def stored(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def written(on: DicomImage, about: StudyResult, **changes: Any) -> bytes:
    """The bytes of a report of `about` with `MODEL` and `SETTINGS` on the one image."""
    return stored(write_sr(about, **{"model": MODEL, "settings": SETTINGS, "images": by_uid(on), **changes}))


def loaded(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def items_of(dataset: Dataset) -> list[Dataset]:
    """All content items in document order."""
    return [below for item in dataset.get("ContentSequence", []) for below in (item, *items_of(item))]


def named(dataset: Dataset, value: str) -> list[Dataset]:
    """The content items with that value of the concept name."""
    return [item for item in items_of(dataset) if item.ConceptNameCodeSequence[0].get("CodeValue") == value]
