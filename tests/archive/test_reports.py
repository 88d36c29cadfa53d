"""Our reports through a real archive: in by STOW-RS and C-STORE, found by QIDO-RS, and back unchanged."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.dicom.image import DicomImage, open_image
from medground.dicom.sr import Review, read_sr, read_sr_boxes, write_sr
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Request
from medground.schema.result import GroundingResult, Verdict
from tests.archive.clients import by_pynetdicom, by_storescu, by_stow, fetched, web
from tests.archive.orthanc import Orthanc
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import drawn, write_dx

pytestmark = pytest.mark.judge("orthanc", "orthanc-dicomweb", "dcmtk")

Sender = Callable[[Orthanc, Path], None]
SENDERS: list[Sender] = [by_stow, by_storescu, by_pynetdicom]
LEFT_NODULE, RIGHT_NODULE = (380, 100, 420, 140), (60, 200, 100, 240)
QUESTIONS = ("find the lung nodule", "左肺有结节吗", "is there a pneumothorax?")
VERDICTS = [Verdict.FOUND, Verdict.FOUND, Verdict.NOT_FOUND]


def asked(film: Path, *questions: str) -> tuple[GroundingResult, dict[str, DicomImage]]:
    """The answers about a film, and the film as reports refer to it."""
    image = open_image(film)
    return ground(gather([film]), Request(questions), BlobReader()).result, {image.header.sop_instance_uid: image}


def report(result: GroundingResult, images: dict[str, DicomImage], review: Review | None = None) -> Dataset:
    (study,) = result.studies
    return write_sr(study, result.model, result.settings, images, review=review)


def saved(document: Dataset, path: Path) -> Path:
    document.save_as(path, enforce_file_format=True)
    return path


def reports_found(archive: Orthanc, study_uid: str) -> set[str]:
    """SOP Instance UIDs of the study's structured reports, by QIDO-RS over the archive and over the study."""
    with web(archive) as client:
        everywhere = client.search_for_instances(search_filters={"StudyInstanceUID": study_uid, "Modality": "SR"})
        within = client.search_for_instances(study_uid, search_filters={"Modality": "SR"})
    uids = {Dataset.from_json(found).SOPInstanceUID for found in everywhere}
    assert uids == {Dataset.from_json(found).SOPInstanceUID for found in within}
    return uids


@pytest.mark.parametrize("send", SENDERS)
def test_a_report_is_found_and_comes_back_unchanged(archive: Orthanc, tmp_path: Path, send: Sender) -> None:
    number = 11 + SENDERS.index(send)
    film = write_dx(tmp_path / "film.dcm", drawn([LEFT_NODULE, RIGHT_NODULE]), study=number, PatientID=f"SR-{number}")
    result, images = asked(film, *QUESTIONS)
    sent = report(result, images)
    send(archive, film)
    send(archive, saved(sent, tmp_path / "sr.dcm"))

    assert reports_found(archive, sent.StudyInstanceUID) == {sent.SOPInstanceUID}
    back = pydicom.dcmread(io.BytesIO(fetched(archive, sent)))
    assert back == pydicom.dcmread(tmp_path / "sr.dcm")
    boxes = read_sr_boxes(back)
    nodules = [found for answer in result.studies[0].answers for found in answer.findings]
    assert len(boxes) == len(nodules) == 3
    for box, nodule in zip(boxes, nodules, strict=True):
        assert box.box_xyxy_px == pytest.approx(nodule.box_xyxy_px, abs=0.01)
        assert box.sop_instance_uid == open_image(film).header.sop_instance_uid
    (study,) = read_sr(back).studies
    assert [answer.query for answer in study.answers] == list(QUESTIONS)
    assert [answer.verdict for answer in study.answers] == VERDICTS
    assert [answer.presence for answer in study.answers] == [answer.presence for answer in result.studies[0].answers]
    read = [found for answer in study.answers for found in answer.findings]
    assert [(one.score, one.description) for one in read] == [(one.score, one.description) for one in nodules]


def test_sent_again_and_again_is_one_instance(archive: Orthanc, tmp_path: Path) -> None:
    film = write_dx(tmp_path / "film.dcm", drawn([LEFT_NODULE]), study=21, PatientID="SR-21")
    paths = [saved(report(*asked(film, *QUESTIONS)), tmp_path / f"{number}.dcm") for number in (1, 2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    before = archive.instances()
    for send in SENDERS:
        for path in paths:
            send(archive, path)
    assert archive.instances() == before + 1
    sent = pydicom.dcmread(paths[0])
    assert reports_found(archive, sent.StudyInstanceUID) == {sent.SOPInstanceUID}


def test_a_reviewed_report_stands_beside_its_predecessor(archive: Orthanc, tmp_path: Path) -> None:
    film = write_dx(tmp_path / "film.dcm", drawn([LEFT_NODULE]), study=22, PatientID="SR-22")
    result, images = asked(film, *QUESTIONS)
    first = report(result, images)
    reviewed = report(result, images, Review(first, "Reader^Rita", "Test hospital", datetime(2026, 1, 2, 3, 4, 5)))
    before = archive.instances()
    for number, document in enumerate((first, reviewed, first, reviewed)):
        by_stow(archive, saved(document, tmp_path / f"{number}.dcm"))
    assert archive.instances() == before + 2
    assert reports_found(archive, first.StudyInstanceUID) == {first.SOPInstanceUID, reviewed.SOPInstanceUID}
    back = pydicom.dcmread(io.BytesIO(fetched(archive, reviewed)))
    (study,) = back.PredecessorDocumentsSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert back.VerificationFlag == "VERIFIED"


@pytest.mark.slow
def test_from_the_archive_through_the_shipped_model_and_back(archive: Orthanc, tmp_path: Path) -> None:
    (path,) = write_radiograph_study(chest_radiograph(51, size_px=512, findings=["nodule"]), tmp_path / "sent")
    by_storescu(archive, path)
    sent = pydicom.dcmread(path)
    with web(archive) as client:
        study = client.retrieve_study(sent.StudyInstanceUID, media_types=(("application/dicom", "*"),))
    (tmp_path / "fetched").mkdir()
    for number, instance in enumerate(study):
        saved(instance, tmp_path / "fetched" / f"{number}.dcm")
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from medground.cli.main import run; run()", "ground", str(tmp_path / "fetched")]
    command += ["--query", "lung nodule?", "--query", "左肺有结节吗", "--out", str(out)]
    command += ["--min-score", "0", "--max-boxes", "5"]  # boxes to carry, however good the model is
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    by_stow(archive, out / "sr" / "1.dcm")
    written = pydicom.dcmread(out / "sr" / "1.dcm")
    assert reports_found(archive, sent.StudyInstanceUID) == {written.SOPInstanceUID}
    (read,) = read_sr(pydicom.dcmread(io.BytesIO(fetched(archive, written)))).studies
    (answered,) = GroundingResult.model_validate_json((out / "results.json").read_bytes()).studies
    for back, answer in zip(read.answers, answered.answers, strict=True):
        assert (back.query, back.verdict, back.presence) == (answer.query, answer.verdict, answer.presence)
        assert len(back.findings) == len(answer.findings)
        for found, finding in zip(back.findings, answer.findings, strict=True):
            assert found.box_xyxy_px == pytest.approx(finding.box_xyxy_px, abs=0.01)
            assert (found.sop_instance_uid, found.score) == (sent.SOPInstanceUID, finding.score)
    assert any(answer.findings for answer in answered.answers)
