"""Studies of an archive, through the client, the service and an archive on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from medground.client.client import Client
from medground.client.errors import ServiceError
from medground.serving.access.scope import Scope
from medground.serving.config import Destination
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from tests.serving.dicom_receiver.web_server import WebServer, web_server
from tests.serving.http.test_pacs import Archive
from tests.serving.running import NODULE, OTHER, Running, film, running


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(film(tmp_path_factory.mktemp("archive"), 4711, NODULE))


@pytest.fixture(scope="module")
def server(archive: Archive) -> Iterator[WebServer]:
    with web_server(archive.answer) as it:
        yield it


@pytest.fixture(scope="module")
def house(server: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    destinations = {
        "pacs": Destination(dicomweb=ArchiveConfig(url=server.url), pull=True),
        "theirs": Destination(dicomweb=ArchiveConfig(url=server.url), pull=True, tenant=OTHER),
        "store": Destination(dicomweb=ArchiveConfig(url=server.url)),
    }
    with running(tmp_path_factory.mktemp("house"), destinations=destinations) as it:
        yield it


def test_archives_that_may_be_searched(house: Running, client: Client) -> None:
    assert client.sources() == ("pacs",)
    assert client.destinations() == ("pacs", "store")
    with Client(house.url, house.token(Scope.READ, tenant=OTHER)) as other:
        assert other.sources() == ("pacs", "theirs")


def test_a_study_is_looked_for_fetched_and_asked(client: Client, archive: Archive, server: WebServer) -> None:
    (found,) = client.search_archive("pacs", patient_id="P-1", study_date="20260101-", modality="DX", at_most=5)
    assert (found.study_instance_uid, found.patient_id, found.patient_name) == (archive.uid, "P-1", "Doe^Jane")
    assert found.instances is None
    for part in ("PatientID=P-1", "StudyDate=20260101-", "ModalitiesInStudy=DX"):
        assert part in server.asked[-1].path
    assert client.search_archive("pacs", accession_number="A-7") == (found,)
    assert "AccessionNumber=A-7" in server.asked[-1].path
    stored = client.pull("pacs", found.study_instance_uid)
    assert (stored.accepted, stored.new, len(stored.studies)) == (1, 1, 1)
    assert client.pull("pacs", found.study_instance_uid).new == 0
    assert len(client.ground(stored.studies[0], ["is there a nodule?"]).studies[0].answers[0].findings) == 1


def test_what_an_archive_does_not_give(house: Running, client: Client) -> None:
    with pytest.raises(ServiceError, match="the archive has no such study") as absent:
        client.pull("pacs", "1.2.3")
    assert absent.value.kind == "not-found"
    with pytest.raises(ServiceError) as foreign:
        client.search_archive("theirs")
    assert foreign.value.kind == "not-found"
    with pytest.raises(ServiceError) as wrong:
        client.search_archive("pacs", study_date="yesterday")
    assert wrong.value.kind == "invalid-request"
    with Client(house.url, house.token(Scope.READ)) as reader, pytest.raises(ServiceError) as no:
        reader.pull("pacs", "1.2.3")
    assert no.value.kind == "forbidden"
