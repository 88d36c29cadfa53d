"""DICOMweb with a real Orthanc, and with servers that send too much, too little, or what was not asked for."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
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
from medground.serving.dicom_receiver.delivery import Delivery, Outcome
from medground.serving.dicom_receiver.dicom_web import DicomWebArchive
from medground.serving.dicom_receiver.found_study import FoundStudy, StudyFilter
from tests.archive.orthanc import Orthanc
from tests.serving.dicom_receiver.running import write_image
from tests.serving.dicom_receiver.test_receiver import data_set_bytes
from tests.serving.dicom_receiver.web_server import Asked, web_server

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
]
ARRIVED = Outcome(Delivery.ARRIVED, 0)
STUDY = "1.2.826.0.1.3680043.8.498.900"
judged = pytest.mark.judge("orthanc", "orthanc-dicomweb")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def archive(url: str, **changes: Any) -> DicomWebArchive:
    return DicomWebArchive(ArchiveConfig(url=url, **{"silence_seconds": 20, **changes}))


def images(folder: Path, study: str, *syntaxes: str, **elements: Any) -> list[Path]:
    folder.mkdir(exist_ok=True)
    number = int(study.rsplit(".", maxsplit=1)[1]) * 100
    own = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", **elements}
    return [
        write_image(folder / f"{one}.dcm", number + one, syntax=syntax, **own) for one, syntax in enumerate(syntaxes, 1)
    ]


@judged
def test_there_and_back(orthanc: Orthanc, tmp_path: Path) -> None:
    study = f"{STUDY}.1"
    sent = images(tmp_path / "sent", study, *SYNTAXES)
    (tmp_path / "back").mkdir()
    web = archive(orthanc.dicomweb_url)
    assert web.stow(sent) == (ARRIVED,) * len(sent)
    assert web.stow(sent[:1]) == (ARRIVED,)
    back = web.fetch_study(study, tmp_path / "back")
    web.close()
    assert sorted(path.name for path in back) == [f"{number}.dcm" for number in range(1, len(sent) + 1)]
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == sorted(path.name for path in back)
    kept = {str(pydicom.dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in back}
    assert kept == {str(pydicom.dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in sent}


@judged
def test_found(orthanc: Orthanc, tmp_path: Path) -> None:
    own = {"PatientID": "FIND-1", "AccessionNumber": "A-77", "StudyDate": "20260131", "StudyDescription": "CHEST"}
    one = images(tmp_path / "one", f"{STUDY}.2", ExplicitVRLittleEndian, ExplicitVRLittleEndian, **own)
    other = images(tmp_path / "other", f"{STUDY}.3", ExplicitVRLittleEndian, **{**own, "StudyDate": "20260201"})
    web = archive(orthanc.dicomweb_url)
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


@judged
def test_what_orthanc_does_not_take(orthanc: Orthanc, tmp_path: Path) -> None:
    (good,) = images(tmp_path / "good", f"{STUDY}.4", ExplicitVRLittleEndian)
    (cut,) = images(tmp_path / "cut", f"{STUDY}.5", ExplicitVRLittleEndian)
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) - len(data_set_bytes(cut))] + b"\xff" * 40)
    text = tmp_path / "text.dcm"
    text.write_text("no DICOM")
    web = archive(orthanc.dicomweb_url, request_bytes=1)  # a request to each
    outcomes = web.stow([text, good, cut])
    web.close()
    assert [one.delivery for one in (outcomes[0], outcomes[1])] == [Delivery.PERMANENT, Delivery.ARRIVED]
    assert outcomes[2].delivery is not Delivery.ARRIVED
    assert orthanc.get("/statistics")["CountInstances"] > 0


@judged
@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"max_study_bytes": 20_000}, "max_study_bytes"),
        ({"max_instances": 2}, "max_instances"),
        ({"max_instance_bytes": 5000}, "max_instance_bytes"),
    ],
)
def test_no_more_is_taken_than_the_limits_allow(
    orthanc: Orthanc, tmp_path: Path, limits: dict[str, int], name: str
) -> None:
    study = f"{STUDY}.6"
    sent = images(tmp_path / "sent", study, *[ExplicitVRLittleEndian] * 3)
    (tmp_path / "back").mkdir()
    web = archive(orthanc.dicomweb_url, **limits)
    assert web.stow(sent) == (ARRIVED,) * 3
    with pytest.raises(PeerError, match=name):
        web.fetch_study(study, tmp_path / "back")
    web.close()
    assert list((tmp_path / "back").iterdir()) == []


@judged
def test_a_study_that_is_not_there(orthanc: Orthanc, tmp_path: Path) -> None:
    web = archive(orthanc.dicomweb_url)
    assert web.fetch_study("1.2.3.4.5.6", tmp_path) == ()
    assert web.find_studies(StudyFilter(patient_id="NOBODY")) == ()
    with pytest.raises(UsageError, match="no Study Instance UID"):
        web.fetch_study("../../instances", tmp_path)
    web.close()
    assert list(tmp_path.iterdir()) == []


@judged
def test_neither_names_nor_credentials_are_logged(
    orthanc: Orthanc, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = {"kind": "bearer", "token": "sesame-QUAILWREN"}
    web = archive(orthanc.dicomweb_url, credentials=credentials)
    (sent,) = images(tmp_path / "sent", f"{STUDY}.7", ExplicitVRLittleEndian, PatientID="SECRET-1")
    assert web.stow([sent]) == (ARRIVED,)
    assert len(web.find_studies(StudyFilter(patient_id="SECRET-1"))) == 1
    web.close()
    assert caplog.records
    assert not any(secret in caplog.text for secret in ("SECRET", "Doe", "sesame", "QUAILWREN"))
    assert "sesame" not in repr(ArchiveConfig(url=orthanc.dicomweb_url, credentials=credentials))


def respond(handler: BaseHTTPRequestHandler, status: int, kind: str = "", body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def test_credentials_go_to_the_archive_and_nowhere_else() -> None:
    def answer(asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        respond(handler, 302, Location="/elsewhere")

    with web_server(answer) as server:
        for credentials, expected in (
            ({"kind": "bearer", "token": "sesame"}, "Bearer sesame"),
            ({"kind": "basic", "user": "Jürgen", "password": "pass:word"}, "Basic SsO8cmdlbjpwYXNzOndvcmQ="),
            (None, None),
        ):
            web = archive(server.url, credentials=credentials)
            with pytest.raises(PeerError, match="HTTP status 302") as raised:
                web.find_studies(StudyFilter())
            web.close()
            assert not raised.value.is_transient
            assert server.asked[-1].headers.get("authorization") == expected
        assert [one.path for one in server.asked] == ["/dicom-web/studies?limit=200"] * 3


@pytest.mark.parametrize(
    ("status", "is_transient"), [(400, False), (401, False), (403, False), (429, True), (500, True), (503, True)]
)
def test_failures_by_their_status(tmp_path: Path, status: int, is_transient: bool) -> None:
    (sent,) = images(tmp_path / "sent", f"{STUDY}.8", ExplicitVRLittleEndian)
    with web_server(lambda _, handler: respond(handler, status, "text/html", b"<p>Doe^Jane</p>")) as server:
        web = archive(server.url)
        for call in (lambda: web.find_studies(StudyFilter()), lambda: web.fetch_study("1.2.3", tmp_path)):
            with pytest.raises(PeerError, match=f"HTTP status {status}") as raised:
                call()
            assert (raised.value.is_transient, "Doe" in str(raised.value)) == (is_transient, False)
        (outcome,) = web.stow([sent])
        web.close()
    assert outcome.delivery is (Delivery.TRANSIENT if is_transient else Delivery.PERMANENT)


def test_what_the_archive_says_of_each_instance(tmp_path: Path) -> None:
    sent = images(tmp_path / "sent", f"{STUDY}.9", *[ExplicitVRLittleEndian] * 5)
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in sent]

    def failed(uid: str, reason: int) -> dict[str, Any]:
        return {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}

    told = {
        "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uids[0]]}}]},
        "00081198": {
            "vr": "SQ",
            "Value": [failed(uids[1], 0xA700), failed(uids[2], 0x0110), failed(uids[3], 0xC000)],
        },
    }
    answer = json.dumps(told).encode()
    with web_server(lambda _, handler: respond(handler, 409, "application/dicom+json", answer)) as server:
        web = archive(server.url)
        outcomes = web.stow(sent)
        web.close()
        (asked,) = server.asked
    assert [(one.delivery, one.status) for one in outcomes] == [
        (Delivery.ARRIVED, 0),
        (Delivery.TRANSIENT, 0xA700),
        (Delivery.TRANSIENT, 0x0110),
        (Delivery.PERMANENT, 0xC000),
        (Delivery.TRANSIENT, None),
    ]
    assert (asked.method, asked.path) == ("POST", "/dicom-web/studies")
    assert int(asked.headers["content-length"]) == len(asked.body)
    assert all(path.read_bytes() in asked.body for path in sent)


def test_answers_that_are_none(tmp_path: Path) -> None:
    related = "multipart/related; boundary=xx"
    whole = b"--xx\r\nContent-Type: application/dicom\r\n\r\nsomething"
    for kind, body, headers, problem in (
        ("application/dicom", b"something", {}, "something else than multipart"),
        ("multipart/related", b"something", {}, "with a boundary"),
        (related, whole, {}, "ends in the middle"),
        (related, b"nothing", {}, "ends in the middle"),
        (related, b"--xx\r\n" + b"a" * 20_000, {}, "too long a head"),
        (related, whole + b"\r\n--xx--", {"Content_Encoding": "gzip"}, "compresses its answer"),
    ):
        with web_server(lambda _, h, b=body, k=kind, e=headers: respond(h, 200, k, b, **e)) as server:
            web = archive(server.url)
            with pytest.raises(PeerError, match=problem):
                web.fetch_study("1.2.3", tmp_path)
            web.close()
        assert list(tmp_path.iterdir()) == []
    for body, problem in ((b"<html>", "else than JSON"), (b'{"a": 1}', "else than a list"), (b"[" * 9000, "JSON")):
        with web_server(lambda _, h, b=body: respond(h, 200, "application/dicom+json", b)) as server:
            web = archive(server.url)
            with pytest.raises(PeerError, match=problem):
                web.find_studies(StudyFilter())
            web.close()


def test_answers_without_an_end(tmp_path: Path) -> None:
    def endless(_: Asked, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/related; boundary=xx")
        handler.end_headers()
        handler.wfile.write(b"--xx\r\n\r\n")
        for _ in range(10_000):
            handler.wfile.write(b"\0" * 2**16)

    def slow(_: Asked, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.1)

    with web_server(endless) as server:
        web = archive(server.url, max_study_bytes=2**20, max_text_bytes=2**20)
        with pytest.raises(PeerError, match="max_study_bytes"):
            web.fetch_study("1.2.3", tmp_path)
        with pytest.raises(PeerError, match="max_text_bytes"):
            web.find_studies(StudyFilter())
        web.close()
    with web_server(slow) as server:
        for changes, problem in (
            ({"answer_seconds": 0.5}, "takes too long"),
            ({"silence_seconds": 0.05}, "does not answer in time"),
        ):
            web = archive(server.url, **changes)
            with pytest.raises(PeerError, match=problem) as raised:
                web.find_studies(StudyFilter())
            assert raised.value.is_transient
            web.close()
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_there(tmp_path: Path) -> None:
    (sent,) = images(tmp_path / "sent", f"{STUDY}.8", ExplicitVRLittleEndian)
    with web_server(lambda _, handler: respond(handler, 200)) as server:
        url = server.url
    web = archive(url)
    with pytest.raises(PeerError, match="is not reached") as raised:
        web.find_studies(StudyFilter())
    assert raised.value.is_transient
    assert [one.delivery for one in web.stow([sent])] == [Delivery.TRANSIENT]
    web.close()


def test_files_that_were_there_before_stay(tmp_path: Path) -> None:
    body = b"--xx\r\n\r\nsomething\r\n--xx--"
    (tmp_path / "1.dcm").write_text("mine")
    with web_server(lambda _, handler: respond(handler, 200, "multipart/related; boundary=xx", body)) as server:
        web = archive(server.url)
        with pytest.raises(FileExistsError):
            web.fetch_study("1.2.3", tmp_path)
        web.close()
    assert (tmp_path / "1.dcm").read_text() == "mine"
