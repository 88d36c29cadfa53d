"""The judges judge: each flags a report that is broken in its own way, and lets the unbroken one pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from medground.dicom.sr import write_sr
from medground.schema.errors import UsageError
from medground.schema.result import StudyResult
from pipelines.judges import dciodvfy, pixelmed, read_back
from pipelines.judges.complaint import program
from pipelines.judges.ohif import hydrate
from pipelines.judges.random_results import Case, random_case


@pytest.fixture(scope="module")
def case() -> Case:
    """The first random result of a few boxes, one of which runs through a volume."""
    cases = (random_case(3, index) for index in range(2, 50))
    return next(case for case in cases if any(f.extent for a in case.study.answers for f in a.findings))


@pytest.fixture(scope="module")
def file(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sr") / "report.dcm"
    write_sr(case.study, case.model, case.settings, case.images).save_as(path, enforce_file_format=True)
    return path


def _broken(file: Path, damage: Callable[[Dataset], object], target: Path) -> Path:
    dataset = pydicom.dcmread(file)
    damage(dataset)
    dataset.save_as(target)
    return target


def _groups(report: Dataset) -> list[Dataset]:
    measurements = next(i for i in report.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")
    return list(measurements.ContentSequence)


def _region(report: Dataset) -> Dataset:
    """The coordinates of the first measurement group."""
    return next(item for item in _groups(report)[0].ContentSequence if item.ValueType == "SCOORD")


@pytest.mark.judge("dicom3tools")
def test_dciodvfy(file: Path, tmp_path: Path) -> None:
    bad = _broken(file, lambda report: report.__delitem__("CompletionFlag"), tmp_path / "bad.dcm")
    assert dciodvfy.judge([file], iod="ComprehensiveSR") == []
    complaints = dciodvfy.judge([file, bad], iod="ComprehensiveSR")
    assert {complaint.file for complaint in complaints} == {bad}
    assert any("CompletionFlag" in one.text and one.judge == "dciodvfy" for one in complaints)
    (unknown,) = dciodvfy.judge([file], iod="Comprehensive3DSR")
    assert unknown.text == "not recognised as Comprehensive3DSR"


@pytest.mark.judge("libpixelmed-java", "default-jdk-headless")
def test_pixelmed(file: Path, tmp_path: Path) -> None:
    def wrong_relationship(report: Dataset) -> None:
        tracking = next(
            i for i in _groups(report)[0].ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "112039"
        )
        tracking.RelationshipType = "CONTAINS"

    def a_point(report: Dataset) -> None:
        _region(report).GraphicType = "POINT"

    def no_value(report: Dataset) -> None:
        del next(item for item in _groups(report)[0].ContentSequence if item.ValueType == "NUM").MeasuredValueSequence

    damages = {damage.__name__: damage for damage in (wrong_relationship, a_point, no_value)}
    files = {name: _broken(file, damage, tmp_path / f"{name}.dcm") for name, damage in damages.items()}
    files["nothing"] = tmp_path / "nothing.dcm"
    files["nothing"].write_bytes(b"nothing")
    complaints = {one.file: one.text for one in pixelmed.judge([file, *files.values()])}
    assert set(complaints) == set(files.values())
    for name, words in {"wrong_relationship": "112039", "a_point": "SCOORD", "no_value": "Missing value"}.items():
        assert complaints[files[name]].startswith("Error")
        assert words in complaints[files[name]]
    assert complaints[files["nothing"]].startswith("the validator did not say: ")
    assert pixelmed.judge([]) == []


@pytest.mark.judge("nodejs", "npm")
def test_ohif(case: Case, file: Path, tmp_path: Path) -> None:
    """A rectangle moved, one that is no rectangle, one hidden by a number without coordinates, one of another frame."""

    def moved(report: Dataset) -> None:
        region = _region(report)
        for item in _groups(report)[0].ContentSequence:
            for graphic in [item, *(item.get("ContentSequence") or ())]:
                if "GraphicData" in graphic:
                    graphic.GraphicData = [edge + 0.02 for edge in region.GraphicData]

    def open_polyline(report: Dataset) -> None:
        region = _region(report)
        region.GraphicData = list(region.GraphicData)[:6]

    def number_first(report: Dataset) -> None:
        number = next(i for i in _groups(report)[0].ContentSequence if i.ValueType == "NUM")
        del number.ContentSequence

    def other_image(report: Dataset) -> None:
        for item in _groups(report)[0].ContentSequence:
            for graphic in [item, *(item.get("ContentSequence") or ())]:
                if "GraphicData" in graphic:
                    graphic.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"

    damages = {damage.__name__: damage for damage in (moved, open_polyline, number_first, other_image)}
    files = {name: _broken(file, damage, tmp_path / f"{name}.dcm") for name, damage in damages.items()}
    reports = [hydrate.Report(path, case.study, case.images) for path in (file, *files.values())]
    complaints = hydrate.judge(reports)
    assert {complaint.file for complaint in complaints} == set(files.values())
    texts = [complaint.text for complaint in complaints if complaint.file == files["moved"]]
    assert sorted(text.split(" ")[:3] for text in texts) == [["a", "rectangle", "too"], ["no", "rectangle", "for"]]
    assert hydrate.judge([]) == []


@pytest.mark.judge("nodejs", "npm")
def test_ohif_misses_what_was_not_written(case: Case, file: Path) -> None:
    answers = tuple(answer.model_copy(update={"findings": ()}) for answer in case.study.answers)
    nothing = case.study.model_copy(update={"answers": answers})
    complaints = hydrate.judge([hydrate.Report(file, nothing, case.images)])
    assert len(complaints) == len(hydrate.rectangles_of(case.study))
    assert all(complaint.text.startswith("a rectangle too many") for complaint in complaints)


def _changed_answer(study: StudyResult, **changes: object) -> StudyResult:
    index = next(i for i, answer in enumerate(study.answers) if answer.findings)
    answers = list(study.answers)
    answers[index] = answers[index].model_copy(update=changes)
    return study.model_copy(update={"answers": tuple(answers)})


def _changed_finding(study: StudyResult, **changes: object) -> StudyResult:
    findings = list(next(answer.findings for answer in study.answers if answer.findings))
    findings[0] = findings[0].model_copy(update=changes)
    return _changed_answer(study, findings=tuple(findings))


def _with(case: Case, study: StudyResult) -> Case:
    return Case(study, case.model, case.settings, case.images)


def test_our_reader(case: Case, file: Path) -> None:
    assert read_back.judge(file, case) == []
    finding = next(answer.findings[0] for answer in case.study.answers if answer.findings)
    x1, y1, x2, y2 = finding.box_xyxy_px
    cases = {
        "query of answer": _changed_answer(case.study, query="another?"),
        "presence of answer": _changed_answer(case.study, presence=0.123456789),
        "score changed": _changed_finding(case.study, score=finding.score / 2 + 0.1),
        "a box moved by": _changed_finding(case.study, box_xyxy_px=(x1, y1, x2, y2 + 0.02)),
        "description changed": _changed_finding(
            case.study, description=finding.description.model_copy(update={"text": "else"})
        ),
        "warnings of the study": case.study.model_copy(update={"warnings": ("else",)}),
        "findings came back": _changed_answer(case.study, findings=()),
        "answers came back": case.study.model_copy(update={"answers": ()}),
    }
    for words, study in cases.items():
        (complaint,) = read_back.judge(file, _with(case, study))
        assert words in complaint.text
    moved_little = _changed_finding(case.study, box_xyxy_px=(x1, y1, x2, y2 + 0.005))
    assert read_back.judge(file, _with(case, moved_little)) == []


def test_a_report_that_cannot_be_read(case: Case, file: Path, tmp_path: Path) -> None:
    def without_regions(report: Dataset) -> None:
        report.ContentSequence = [
            i for i in report.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue != "126010"
        ]

    (complaint,) = read_back.judge(_broken(file, without_regions, tmp_path / "bad.dcm"), case)
    assert complaint.text.startswith("not read: ")


def test_a_judge_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="comes with the Debian package some-package"):
        program("no-such-program", "some-package")
