"""Studies of an archive through us: found, fetched and asked, and what is said of an archive that does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pydicom
import pytest

from medground.serving.access.scope import Scope
from medground.serving.config import Destination
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from tests.serving.dicom_receiver.web_server import Asked, WebServer, respond, web_server
from tests.serving.http.answers import QUESTION, post, problem, result_of
from tests.serving.running import NODULE, Running, film, running

STUDY_INSTANCE_UID, PATIENT_ID, PATIENT_NAME = "0020000D", "00100020", "00100010"


class Archive:
    """What it holds, and how it answers: with a film, or with a status of an archive in trouble."""

    def __init__(self, path: Path) -> None:
        self.content, self.status = path.read_bytes(), 200
        self.uid = str(pydicom.dcmread(path).StudyInstanceUID)

    def answer(self, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        if self.status != 200:
            respond(handler, self.status, "text/html", b"<p>Doe^Jane</p>")
        elif asked.path.startswith("/dicom-web/studies?"):
            found = {
                STUDY_INSTANCE_UID: {"vr": "UI", "Value": [self.uid]},
                PATIENT_ID: {"vr": "LO", "Value": ["P-1"]},
                PATIENT_NAME: {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
            }
            respond(handler, 200, "application/dicom+json", json.dumps([found]).encode())
        elif asked.path == f"/dicom-web/studies/{self.uid}":
            body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + self.content + b"\r\n--b--"
            respond(handler, 200, 'multipart/related; type="application/dicom"; boundary=b', body)
        else:
            respond(handler, 404)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(film(tmp_path_factory.mktemp("archive"), 4711, NODULE))


@pytest.fixture(scope="module")
def server(archive: Archive) -> Iterator[WebServer]:
    with web_server(archive.answer) as it:
        yield it


@pytest.fixture(scope="module")
def house(server: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    destinations: dict[str, Any] = {
        "pacs": Destination(dicomweb=ArchiveConfig(url=server.url), pull=True),
        "away": Destination(dicomweb=ArchiveConfig(url="http://127.0.0.1:1/dicom-web"), pull=True),
        "store": Destination(dicomweb=ArchiveConfig(url=server.url)),
        "theirs": Destination(dicomweb=ArchiveConfig(url=server.url), pull=True, tenant="other"),
    }
    with running(tmp_path_factory.mktemp("house"), destinations=destinations) as it:
        yield it


def test_archives_that_a_tenant_may_send_to(house: Running) -> None:
    assert house.client(Scope.READ).get("/v1/pacs/destinations").json() == ["away", "pacs", "store"]
    theirs = ["away", "pacs", "store", "theirs"]
    assert house.client(Scope.READ, tenant="other").get("/v1/pacs/destinations").json() == theirs


def test_archives_that_a_tenant_may_search(house: Running) -> None:
    assert house.client(Scope.READ).get("/v1/pacs/sources").json() == ["away", "pacs"]
    assert house.client(Scope.READ, tenant="other").get("/v1/pacs/sources").json() == ["away", "pacs", "theirs"]
    assert house.client(Scope.READ, tenant="other").get("/v1/pacs/studies?source=theirs").status_code == 200
    problem(house.client(Scope.READ).get("/v1/pacs/studies?source=theirs"), 404, "not-found")


def test_a_study_is_found(house: Running, archive: Archive, server: WebServer) -> None:
    wanted = {"source": "pacs", "patient_id": "P-1", "study_date": "20260101-"}
    (found,) = house.client().post("/v1/pacs/studies/search", json=wanted).json()
    assert (found["study_instance_uid"], found["patient_id"], found["patient_name"]) == (archive.uid, "P-1", "Doe^Jane")
    assert "PatientID=P-1" in server.asked[-1].path
    (same,) = house.client().get("/v1/pacs/studies", params={"source": "pacs", "modality": "DX"}).json()
    assert same == found
    assert "ModalitiesInStudy=DX" in server.asked[-1].path


def test_a_study_is_fetched_once_and_asked(house: Running, archive: Archive) -> None:
    client, wanted = house.client(), {"source": "pacs", "study_instance_uid": archive.uid}
    first, again = (client.post("/v1/pacs/studies/pull", json=wanted) for _ in range(2))
    assert (first.status_code, first.json()["accepted"], first.json()["new"], again.json()["new"]) == (201, 1, 1, 0)
    (study,) = first.json()["studies"]
    by_key = post(client, study=study)
    by_uid = post(client, **wanted)
    assert len(result_of(by_uid).studies[0].answers[0].findings) == 1
    assert by_uid.headers["location"] == by_key.headers["location"]


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/v1/pacs/studies/search", {}),
        ("/v1/pacs/studies/pull", {"study_instance_uid": "1.2.3"}),
        ("/v1/ground", {"study_instance_uid": "1.2.3", "query": QUESTION}),
    ],
)
def test_what_an_archive_does_not_give(house: Running, archive: Archive, url: str, body: dict[str, str]) -> None:
    def ask(source: str) -> Any:
        wanted = {"source": source, **body}
        given: dict[str, Any] = {"data": wanted} if url == "/v1/ground" else {"json": wanted}
        return house.client().post(url, **given)

    problem(ask("away"), 502, "archive", "is not reached")
    for source in ("nowhere", "store"):
        problem(ask(source), 404, "not-found", "no archive of that name with `pull`")
    archive.status = 500
    try:
        told = problem(ask("pacs"), 502, "archive", "HTTP status 500")
    finally:
        archive.status = 200
    assert "Doe" not in told["detail"]
    if "study_instance_uid" in body:
        problem(ask("pacs"), 404, "not-found", "the archive has no such study")
