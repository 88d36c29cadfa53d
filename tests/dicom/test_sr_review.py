"""A reviewed report: a new instance that names its predecessor and the person."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydicom import Dataset

from medground.dicom.sr import Review, SrKind, read_sr, write_sr
from medground.schema.errors import UsageError
from tests.dicom.sr_results import BOXES, MODEL, SETTINGS, by_uid, finding, image, loaded, named, stored, study

AT = datetime(2025, 3, 4, 5, 6, 7, 890, tzinfo=timezone(timedelta(hours=8)))


@pytest.fixture
def first() -> Dataset:
    film = image()
    return write_sr(study(film, [finding(film, n, box) for n, box in enumerate(BOXES)]), MODEL, SETTINGS, by_uid(film))


def _reviewed(review: Review, *, kept: int = 1, kind: SrKind = SrKind.COMPREHENSIVE) -> Dataset:
    film = image()
    about = study(film, [finding(film, n, BOXES[n]) for n in range(kept)])
    return write_sr(about, MODEL, SETTINGS, by_uid(film), kind=kind, review=review)


def test_it_names_predecessor_and_person(first: Dataset) -> None:
    review = Review(first, "Wang^Xiao=王^小", "Radiology, 第一医院", AT)
    dataset = loaded(stored(_reviewed(review)))
    (before,) = dataset.PredecessorDocumentsSequence
    (series,) = before.ReferencedSeriesSequence
    assert before.StudyInstanceUID == dataset.StudyInstanceUID
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPClassUID == first.SOPClassUID
    assert (dataset.VerificationFlag, dataset.CompletionFlag, dataset.PreliminaryFlag) == (
        "VERIFIED",
        "COMPLETE",
        "FINAL",
    )
    (verifying,) = dataset.VerifyingObserverSequence
    assert str(verifying.VerifyingObserverName) == "Wang^Xiao=王^小"
    assert verifying.VerifyingOrganization == "Radiology, 第一医院"
    assert verifying.VerificationDateTime == "20250304050607.000890+0800"
    assert (dataset.ContentDate, dataset.ContentTime) == ("20250304", "050607.000890")
    assert (dataset.InstanceNumber, first.InstanceNumber) == (2, 1)
    observers = [item.ConceptCodeSequence[0].CodeMeaning for item in named(dataset, "121005")]
    assert observers == ["Device", "Person"]
    assert str(named(dataset, "121008")[0].PersonName) == "Wang^Xiao=王^小"
    assert len(read_sr(dataset).studies[0].answers[0].findings) == 1


def test_it_is_a_new_instance_and_the_findings_are_the_same(first: Dataset) -> None:
    review = Review(first, "Doe^Ann", "Radiology", AT)
    reports = [
        _reviewed(review),
        _reviewed(review, kept=2),
        _reviewed(replace(review, person_name="Roe^Jo")),
        _reviewed(replace(review, reviewed_at=AT.astimezone(UTC) + timedelta(seconds=1))),
        _reviewed(review, kind=SrKind.COMPREHENSIVE_3D),
    ]
    reports.append(_reviewed(replace(review, predecessor=reports[0])))
    assert len({report.SOPInstanceUID for report in (first, *reports)}) == len(reports) + 1
    assert _reviewed(review).SOPInstanceUID == reports[0].SOPInstanceUID
    assert reports[-1].InstanceNumber == 3
    tracked = [item.UID for item in named(first, "112040")]
    assert [item.UID for item in named(reports[1], "112040")] == tracked[:2]


@pytest.mark.judge("dicom3tools")
@pytest.mark.parametrize("kind", list(SrKind))
@pytest.mark.parametrize("moment", [AT, AT.replace(tzinfo=None, microsecond=0)])
def test_dciodvfy_finds_no_error(first: Dataset, tmp_path: Path, dciodvfy: str, kind: SrKind, moment: datetime) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(stored(_reviewed(Review(first, "Doe^Ann", "Radiology", moment), kind=kind)))
    run = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
    lines = (run.stdout + run.stderr).splitlines()
    assert "ComprehensiveSR" in lines or "Comprehensive3DSR" in lines
    assert [line for line in lines if line.startswith("Error")] == []


def test_what_is_no_review(first: Dataset) -> None:
    for name in (" ", "^^", "Doe\\Ann", "Doe\n", "x" * 65, "a^b^c^d^e^f", "a=b=c=d"):
        with pytest.raises(UsageError, match="name"):
            Review(first, name, "Radiology", AT)
    with pytest.raises(UsageError, match="organization"):
        Review(first, "Doe^Ann", "x" * 65, AT)
    with pytest.raises(UsageError, match="SOPClassUID"):
        Review(Dataset(), "Doe^Ann", "Radiology", AT)
    first.StudyInstanceUID = "9.9"
    with pytest.raises(UsageError, match=r"about study 9\.9"):
        _reviewed(Review(first, "Doe^Ann", "Radiology", AT))
