"""DICOMweb with servers that send too much, too little, or what was not asked for; `tests/archive` has an Orthanc."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
)

from medground.schema.errors import PeerError
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.dicom_receiver.found_study import StudyFilter
from tests.serving.dicom_receiver.archives import STUDY, images, web_archive
from tests.serving.dicom_receiver.web_server import Asked, respond, web_server


def test_credentials_go_to_the_archive_and_nowhere_else() -> None:
    def answer(asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        respond(handler, 302, Location="/elsewhere")

    with web_server(answer) as server:
        for credentials, expected in (
            ({"kind": "bearer", "token": "sesame"}, "Bearer sesame"),
            ({"kind": "basic", "user": "Jürgen", "password": "pass:word"}, "Basic SsO8cmdlbjpwYXNzOndvcmQ="),
            (None, None),
        ):
            web = web_archive(server.url, credentials=credentials)
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
        web = web_archive(server.url)
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
        web = web_archive(server.url)
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
            web = web_archive(server.url)
            with pytest.raises(PeerError, match=problem):
                web.fetch_study("1.2.3", tmp_path)
            web.close()
        assert list(tmp_path.iterdir()) == []
    for body, problem in ((b"<html>", "else than JSON"), (b'{"a": 1}', "else than a list"), (b"[" * 9000, "JSON")):
        with web_server(lambda _, h, b=body: respond(h, 200, "application/dicom+json", b)) as server:
            web = web_archive(server.url)
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
        web = web_archive(server.url, max_study_bytes=2**20, max_text_bytes=2**20)
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
            web = web_archive(server.url, **changes)
            with pytest.raises(PeerError, match=problem) as raised:
                web.find_studies(StudyFilter())
            assert raised.value.is_transient
            web.close()
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_there(tmp_path: Path) -> None:
    (sent,) = images(tmp_path / "sent", f"{STUDY}.8", ExplicitVRLittleEndian)
    web = web_archive("http://127.0.0.1:1/dicom-web")
    with pytest.raises(PeerError, match="is not reached") as raised:
        web.find_studies(StudyFilter())
    assert raised.value.is_transient
    assert [one.delivery for one in web.stow([sent])] == [Delivery.TRANSIENT]
    web.close()


def test_files_that_were_there_before_stay(tmp_path: Path) -> None:
    body = b"--xx\r\n\r\nsomething\r\n--xx--"
    (tmp_path / "1.dcm").write_text("mine")
    with web_server(lambda _, handler: respond(handler, 200, "multipart/related; boundary=xx", body)) as server:
        web = web_archive(server.url)
        with pytest.raises(FileExistsError):
            web.fetch_study("1.2.3", tmp_path)
        web.close()
    assert (tmp_path / "1.dcm").read_text() == "mine"
