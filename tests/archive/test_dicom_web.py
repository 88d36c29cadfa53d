"""DICOMweb with a real Orthanc: what is sent, found and fetched."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from medground.schema.errors import PeerError, UsageError
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.dicom_receiver.found_study import FoundStudy, StudyFilter
from tests.archive.orthanc import Orthanc
from tests.serving.dicom_receiver.archives import ARRIVED, STUDY, images, web_archive
from tests.serving.dicom_receiver.senders import data_set_bytes

pytestmark = pytest.mark.judge("orthanc", "orthanc-dicomweb")
SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
]


def test_there_and_back(archive: Orthanc, tmp_path: Path) -> None:
    study = f"{STUDY}.1"
    sent = images(tmp_path / "sent", study, *SYNTAXES)
    (tmp_path / "back").mkdir()
    web = web_archive(archive.dicomweb_url)
    assert web.stow(sent) == (ARRIVED,) * len(sent)
    assert web.stow(sent[:1]) == (ARRIVED,)
    back = web.fetch_study(study, tmp_path / "back")
    web.close()
    assert sorted(path.name for path in back) == [f"{number}.dcm" for number in range(1, len(sent) + 1)]
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == sorted(path.name for path in back)
    kept = {str(pydicom.dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in back}
    assert kept == {str(pydicom.dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in sent}


def test_found(archive: Orthanc, tmp_path: Path) -> None:
    own = {"PatientID": "FIND-1", "AccessionNumber": "A-77", "StudyDate": "20260131", "StudyDescription": "CHEST"}
    one = images(tmp_path / "one", f"{STUDY}.2", ExplicitVRLittleEndian, ExplicitVRLittleEndian, **own)
    other = images(tmp_path / "other", f"{STUDY}.3", ExplicitVRLittleEndian, **{**own, "StudyDate": "20260201"})
    web = web_archive(archive.dicomweb_url)
    assert web.stow([*one, *other]) == (ARRIVED,) * 3
    (found,) = web.find_studies(StudyFilter(study_instance_uid=f"{STUDY}.2"))
    assert found == FoundStudy(f"{STUDY}.2", "FIND-1", "Doe^Jane", "A-77", "20260131", found.description, ("CT",), 2)

    def uids(**filters: Any) -> set[str]:
        return {study.study_instance_uid for study in web.find_studies(StudyFilter(**filters))}

    assert uids(patient_id="FIND-1") == uids(accession_number="A-77") == {f"{STUDY}.2", f"{STUDY}.3"}
    assert uids(patient_id="FIND-1", study_date="20260201") == {f"{STUDY}.3"}
    assert uids(patient_id="FIND-1", study_date="20260101-20260131") == {f"{STUDY}.2"}
    assert uids(patient_id="FIND-1", modality="MR") == set()
    assert len(uids(patient_id="FIND-1", at_most=1)) == 1
    web.close()


def test_what_orthanc_does_not_take(archive: Orthanc, tmp_path: Path) -> None:
    (good,) = images(tmp_path / "good", f"{STUDY}.4", ExplicitVRLittleEndian)
    (cut,) = images(tmp_path / "cut", f"{STUDY}.5", ExplicitVRLittleEndian)
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) - len(data_set_bytes(cut))] + b"\xff" * 40)
    text = tmp_path / "text.dcm"
    text.write_text("no DICOM")
    web = web_archive(archive.dicomweb_url, request_bytes=1)  # a request to each
    outcomes = web.stow([text, good, cut])
    web.close()
    assert [one.delivery for one in (outcomes[0], outcomes[1])] == [Delivery.PERMANENT, Delivery.ARRIVED]
    assert outcomes[2].delivery is not Delivery.ARRIVED
    assert archive.get("/statistics")["CountInstances"] > 0


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"max_study_bytes": 20_000}, "max_study_bytes"),
        ({"max_instances": 2}, "max_instances"),
        ({"max_instance_bytes": 5000}, "max_instance_bytes"),
    ],
)
def test_no_more_is_taken_than_the_limits_allow(
    archive: Orthanc, tmp_path: Path, limits: dict[str, int], name: str
) -> None:
    study = f"{STUDY}.6"
    sent = images(tmp_path / "sent", study, *[ExplicitVRLittleEndian] * 3)
    (tmp_path / "back").mkdir()
    web = web_archive(archive.dicomweb_url, **limits)
    assert web.stow(sent) == (ARRIVED,) * 3
    with pytest.raises(PeerError, match=name):
        web.fetch_study(study, tmp_path / "back")
    web.close()
    assert list((tmp_path / "back").iterdir()) == []


def test_a_study_that_is_not_there(archive: Orthanc, tmp_path: Path) -> None:
    web = web_archive(archive.dicomweb_url)
    assert web.fetch_study("1.2.3.4.5.6", tmp_path) == ()
    assert web.find_studies(StudyFilter(patient_id="NOBODY")) == ()
    with pytest.raises(UsageError, match="no Study Instance UID"):
        web.fetch_study("../../instances", tmp_path)
    web.close()
    assert list(tmp_path.iterdir()) == []


def test_neither_names_nor_credentials_are_logged(
    archive: Orthanc, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = {"kind": "bearer", "token": "sesame-QUAILWREN"}
    web = web_archive(archive.dicomweb_url, credentials=credentials)
    (sent,) = images(tmp_path / "sent", f"{STUDY}.7", ExplicitVRLittleEndian, PatientID="SECRET-1")
    assert web.stow([sent]) == (ARRIVED,)
    assert len(web.find_studies(StudyFilter(patient_id="SECRET-1"))) == 1
    web.close()
    assert caplog.records
    assert not any(secret in caplog.text for secret in ("SECRET", "Doe", "sesame", "QUAILWREN"))
    assert "sesame" not in repr(ArchiveConfig(url=archive.dicomweb_url, credentials=credentials))
