"""Structured reports: judged by dciodvfy, boxes back out, the same bytes for the same input."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import UID

from medground.dicom.image import DicomImage, open_image
from medground.dicom.sr import read_sr_boxes, write_sr
from medground.schema.anatomy import Side, Zone
from medground.schema.errors import MedgroundError, UnreadableFileError, UsageError
from medground.schema.result import (
    Answer,
    Description,
    Finding,
    FindingConcept,
    ModelInfo,
    Report,
    Settings,
    SizeMm,
    SpacingSource,
    StudyResult,
    Understood,
    Verdict,
)
from medground.schema.vocabulary import Code

MODEL = ModelInfo(name="compact", version="1.0", sha256="ab" * 32, trained_on=("phantom",))
SETTINGS = Settings(min_score=0.5, max_boxes=300, top_k=10, image_size_px=256, mode="eager", code_version="0.1.0")
BOXES = [(0.0, 0.0, 1.25, 2.5), (1234.567, 3000.123, 2345.678, 3999.99), (10.1, 20.2, 30.3, 40.4)]


def _finding(image: DicomImage, number: int, box: tuple[float, float, float, float], **changes: Any) -> Finding:
    elements: dict[str, Any] = {
        "id": f"f{number}",
        "source": "film.dcm",
        "series_instance_uid": image.header.series_instance_uid,
        "sop_instance_uid": image.header.sop_instance_uid,
        "frame": 1,
        "box_xyxy_px": box,
        "size_mm": SizeMm(width=12.34, height=9.1, spacing_source=SpacingSource.DETECTOR),
        "score": 0.83,
        "concept": FindingConcept(
            key="nodule", name="nodule", code=Code(scheme="SCT", value="27925004", meaning="Nodule")
        ),
        "laterality": Side.LEFT,
        "zone": Zone.UPPER,
        "description": Description(text="Nodule in the left upper zone, 12 x 9 mm.", statements=()),
    }
    return Finding(**{**elements, **changes})


def _study(image: DicomImage, findings: Sequence[Finding], **changes: Any) -> StudyResult:
    verdict = Verdict.FOUND if findings else Verdict.NOT_FOUND
    common = {"understood": Understood(concepts=("nodule",)), "examined": ()}
    asked = {"id": "a1", "query": "左肺有结节吗", "language": "zh", "verdict": verdict, "presence": 0.9}
    found = {"findings": tuple(findings), "warnings": ("trained on phantoms only",)}
    other = {"id": "a2", "query": "fracture?", "language": "en", "verdict": Verdict.UNSUPPORTED, "presence": None}
    answers = (
        Answer.model_validate(common | asked | found),
        Answer.model_validate(common | other | {"findings": ()}),
    )
    report = Report(number_of_findings=len(findings), nothing_above_threshold=not findings, recommendations=())
    elements: dict[str, Any] = {"study_instance_uid": image.header.study_instance_uid, "sources": ("film.dcm",)}
    return StudyResult(**{**elements, "answers": answers, "report": report, **changes})


def _written(image: DicomImage, study: StudyResult, **changes: Any) -> bytes:
    stream = io.BytesIO()
    arguments = {"model": MODEL, "settings": SETTINGS, "images": {image.header.sop_instance_uid: image}, **changes}
    write_sr(study, **arguments).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture
def film(make_file: Callable[..., bytes]) -> DicomImage:
    return open_image(make_file(np.zeros((64, 64), np.uint16), BodyPartExamined="CHEST", StudyDate="20250102"))


def _errors(content: bytes, path: Path, program: str) -> list[str]:
    path.write_bytes(content)
    run = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (run.stdout + run.stderr).splitlines()
    assert any("ComprehensiveSR" in line for line in lines)
    return [line for line in lines if line.startswith("Error")]


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("number", [0, 1, 3])
def test_dciodvfy_finds_no_error(film: DicomImage, tmp_path: Path, dciodvfy: str, number: int) -> None:
    findings = [_finding(film, n, box) for n, box in enumerate(BOXES[:number])]
    content = _written(film, _study(film, findings, warnings=("the window is not valid",)))
    assert _errors(content, tmp_path / "sr.dcm", dciodvfy) == []


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize(
    "changes",
    [
        {"laterality": None, "zone": None, "size_mm": None},
        {"laterality": Side.BILATERAL, "zone": None, "score": 0.1},
        {"size_mm": SizeMm(width=1, height=2, depth=3, spacing_source=SpacingSource.PATIENT_PLANE), "score": 0.5},
        {"description": Description(text="肺结节" * 400, statements=())},
    ],
)
def test_dciodvfy_on_what_may_be_absent(
    film: DicomImage, tmp_path: Path, dciodvfy: str, changes: dict[str, Any]
) -> None:
    content = _written(film, _study(film, [_finding(film, 1, BOXES[2], **changes)]))
    assert _errors(content, tmp_path / "sr.dcm", dciodvfy) == []


@pytest.mark.judge("dicom3tools")
@pytest.mark.real_data
def test_reports_on_real_images(shared_data: Path, tmp_path: Path, dciodvfy: str) -> None:
    """On every image with UIDs: no error of dciodvfy but those that come from the image's own patient elements."""
    written = 0
    for path in sorted((shared_data / "dicom").rglob("*.dcm")):
        try:
            image = open_image(path)
        except MedgroundError:
            continue
        header = image.header
        uids = (header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid, header.sop_class_uid)
        if not all(uid and UID(uid).is_valid for uid in uids):
            continue
        if UID(header.sop_class_uid).is_retired:  # highdicom does not know what such an object is made of
            with pytest.raises(UnreadableFileError, match="cannot be written"):
                _written(image, _study(image, []))
            continue
        study = _study(image, [_finding(image, 1, (0, 0, 5, 5))])
        errors = _errors(_written(image, study), tmp_path / "sr.dcm", dciodvfy)
        if image.header.frames > 1:  # some have frames in a class that has none, or one younger than dciodvfy
            errors = [line for line in errors if "ReferencedFrameNumber" not in line]
        assert [line for line in errors if "Patient" not in line] == [], path.name
        written += 1
    assert written > 60


def test_boxes_come_back(film: DicomImage) -> None:
    findings = [_finding(film, n, box) for n, box in enumerate(BOXES)]
    content = _written(film, _study(film, findings))
    back = read_sr_boxes(pydicom.dcmread(io.BytesIO(content)))
    assert len(back) == len(BOXES)
    for number, (found, box) in enumerate(zip(back, BOXES, strict=True)):
        assert np.abs(np.subtract(found.box_xyxy_px, box)).max() < 0.01
        assert found.sop_instance_uid == film.header.sop_instance_uid
        assert (found.frame, found.concept, found.tracking_identifier) == (1, ("SCT", "27925004"), f"f{number}")


def test_the_frame_comes_back(make_file: Callable[..., bytes]) -> None:
    image = open_image(make_file(np.zeros((3, 8, 8), np.uint16), frames=3))
    content = _written(image, _study(image, [_finding(image, 1, (1, 1, 2, 2), frame=3)]))
    assert read_sr_boxes(pydicom.dcmread(io.BytesIO(content)))[0].frame == 3


def test_no_findings_no_boxes(film: DicomImage) -> None:
    dataset = pydicom.dcmread(io.BytesIO(_written(film, _study(film, []))))
    assert read_sr_boxes(dataset) == []
    assert read_sr_boxes(Dataset()) == []


def _items(dataset: Dataset) -> list[Dataset]:
    found = []
    for item in dataset.get("ContentSequence", []):
        found += [item, *_items(item)]
    return found


def test_questions_verdicts_score_and_site_are_in_it(film: DicomImage) -> None:
    dataset = pydicom.dcmread(io.BytesIO(_written(film, _study(film, [_finding(film, 1, BOXES[2])]))))
    items = _items(dataset)
    texts = [item.TextValue for item in items if item.ValueType == "TEXT"]
    for words in ("左肺有结节吗", "fracture?", "0.9000", "0.8300", "trained on phantoms only"):
        assert words in texts
    assert "Nodule in the left upper zone, 12 x 9 mm." in texts
    values = [item.ConceptCodeSequence[0].CodeValue for item in items if item.ValueType == "CODE"]
    for code in ("52101004", "unsupported", "27925004", "281392002", "7771000", "2931005"):
        assert code in values
    lengths = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item.MeasuredValueSequence[0].NumericValue
        for item in items
        if item.ValueType == "NUM" and "ContentSequence" in item
    }
    assert lengths == {"Width": 12.34, "Height": 9.1}
    assert (dataset.VerificationFlag, dataset.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert str(dataset.PatientName) == "Doe^Jane"


def test_the_first_number_of_a_group_leads_to_its_box(film: DicomImage) -> None:
    """Viewers look for the region under the first number of a group; there the box must be."""
    dataset = pydicom.dcmread(io.BytesIO(_written(film, _study(film, [_finding(film, 1, BOXES[2])]))))
    group = next(item for item in _items(dataset) if item.ConceptNameCodeSequence[0].CodeValue == "125007")
    first = next(item for item in group.ContentSequence if item.ValueType == "NUM")
    (outline,) = [item for item in first.ContentSequence if item.ValueType == "SCOORD"]
    assert outline.GraphicType == "POLYLINE"
    assert np.allclose(outline.GraphicData, [10.1, 20.2, 30.3, 20.2, 30.3, 40.4, 10.1, 40.4, 10.1, 20.2])


def test_same_input_same_bytes_other_input_other_uid(film: DicomImage, make_file: Callable[..., bytes]) -> None:
    study = _study(film, [_finding(film, 1, BOXES[2])])
    again = open_image(make_file(np.zeros((64, 64), np.uint16), BodyPartExamined="CHEST", StudyDate="20250102"))
    assert _written(film, study) == _written(again, study)
    uids = {
        pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID
        for content in (
            _written(film, study),
            _written(film, _study(film, [])),
            _written(film, study, model=MODEL.model_copy(update={"sha256": "cd" * 32})),
            _written(film, study, settings=SETTINGS.model_copy(update={"min_score": 0.6})),
        )
    }
    assert len(uids) == 4
    assert all(len(uid) <= 64 for uid in uids)


def test_what_no_report_can_be_written_about(film: DicomImage) -> None:
    study = _study(film, [])
    with pytest.raises(UsageError, match="needs a DICOM study"):
        _written(film, _study(film, [], study_instance_uid=None))
    with pytest.raises(UsageError, match="needs a DICOM study"):
        _written(film, study, images={})
    with pytest.raises(UsageError, match="is not of study"):
        _written(film, _study(film, [], study_instance_uid="9.9"))
    with pytest.raises(UsageError, match="not among the images"):
        _written(film, _study(film, [_finding(film, 1, BOXES[2], sop_instance_uid="9.9")]))
    with pytest.raises(UsageError, match="cannot be referred to"):
        _written(film, study, images={"": film})
