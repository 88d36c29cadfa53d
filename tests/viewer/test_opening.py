"""Opening studies: what is said of files, days as an archive is asked for them, and opening on the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from medground.client.client import Client
from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.schema.errors import MedgroundError, UsageError
from medground.serving.config import Destination
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from medground.viewer.opening import date_range, refused_words, unsent_words
from tests.serving.dicom_receiver.web_server import web_server
from tests.serving.http.test_pacs import Archive
from tests.serving.running import BODY_LIMIT, NODULE, film, running
from tests.viewer.conftest import New, Opened
from tests.viewer.people import People

FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (None, None, None),
        (FIRST, None, "20260101-"),
        (None, LAST, "-20261231"),
        (FIRST, LAST, "20260101-20261231"),
        (FIRST, FIRST, "20260101-20260101"),
    ],
)
def test_days_as_dicom_matches_them(first: date | None, last: date | None, words: str | None) -> None:
    assert date_range(first, last) == words


def test_why_files_were_not_taken() -> None:
    words = refused_words({"UnreadableFileError": 2, "DecodeError": 1, "SomethingNew": 3})
    assert words == (
        "Not every file was taken: 1 have pixels that cannot be decoded; 3 cannot be read; "
        "2 are no DICOM, or are cut short. Check that the study was exported whole."
    )


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        (UsageError("a file is too large"), "Nothing was stored. "),
        (ServiceError(422, "unreadable-input", "no image"), "Nothing was stored. "),
        (ServiceError(503, "unavailable", "a fault"), "Not everything was stored; sending it again is safe. "),
        (ServiceUnreachableError("broken off"), "Not everything was stored; sending it again is safe. "),
    ],
)
def test_what_became_of_files_whose_sending_broke_off(error: MedgroundError, stored: str) -> None:
    assert unsent_words(error).startswith(stored)


def test_a_request_that_is_refused_does_not_say_that_nothing_was_stored(opened: Opened) -> None:
    """A request before it may have been taken."""
    page = opened()
    (uploader,) = page.app.file_uploader
    uploader.set_value([("a.dcm", bytes(BODY_LIMIT + 1), "application/dicom")]).run()
    page.press("Send 1 file")
    (told,) = page.errors
    assert told.startswith("Not everything was stored; sending it again is safe. ")


def test_files_are_sent_and_opened(opened: Opened, client: Client, new_film: New) -> None:
    path = new_film(NODULE, PatientName="Sent^Ann")
    page = opened()
    (uploader,) = page.app.file_uploader
    uploader.set_value([("a name.dcm", path.read_bytes(), "application/dicom")]).run()
    page.press("Send 1 file")
    assert page.shows("Sent Ann")
    assert page.memory.study == client.studies(search="sent").studies[0].study


def test_files_of_which_some_are_no_images(opened: Opened, new_film: New) -> None:
    page = opened()
    (uploader,) = page.app.file_uploader
    film = ("a.dcm", new_film(NODULE).read_bytes(), "application/dicom")
    uploader.set_value([film, ("b.txt", b"no image", "text/plain")]).run()
    page.press("Send 2 files")
    assert page.shows("Not every file was taken: 1 ")
    page.press("Open what was stored")
    assert page.memory.study is not None
    assert page.stage["series"]["label"] == "DX, PA, 1 image"


def test_what_was_stored_is_held_no_longer(opened: Opened, new_film: New) -> None:
    page = opened()
    assert page.shows("At most 512 MiB at once, in one file or in all. Send more by DICOM C-STORE")
    (before,) = page.app.file_uploader
    before.set_value([("a.dcm", new_film(NODULE).read_bytes(), ""), ("b.txt", b"no image", "")]).run()
    assert len(page.app.file_uploader[0].value) == 2
    page.press("Send 2 files")
    page.memory.study = None
    page.again()
    (after,) = page.app.file_uploader
    assert (after.value, after.id != before.id) == ([], True)
    assert "Send 2 files" not in page.labels


def test_files_that_are_no_images(opened: Opened) -> None:
    page = opened()
    (uploader,) = page.app.file_uploader
    uploader.set_value([("b.txt", b"no image", "text/plain")]).run()
    page.press("Send 1 file")
    assert page.errors[0].startswith("Nothing was stored. ") or page.shows("Not every file was taken: 1 ")
    assert page.memory.study is None


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(film(tmp_path, 4711, NODULE))


@pytest.fixture
def clinic(archive: Archive, tmp_path: Path) -> Iterator[People]:
    """A service that may search an archive, and one that is away."""
    with web_server(archive.answer) as server:
        destinations = {
            "pacs": Destination(dicomweb=ArchiveConfig(url=server.url), pull=True),
            "away": Destination(dicomweb=ArchiveConfig(url="http://127.0.0.1:1/dicom-web"), pull=True),
        }
        with running(tmp_path / "house", destinations=destinations) as house, People(house) as people:
            yield people


def test_a_study_of_an_archive_is_found_and_fetched(opened: Opened, clinic: People, archive: Archive) -> None:
    page = opened(session=clinic.session())
    assert page.app.selectbox[-1].options == ["away", "pacs"]
    page.app.selectbox[-1].set_value("pacs")
    page.write("Patient ID", " P-1 ")
    page.press("Search")
    assert page.shows("Doe Jane, P-1")
    page.press("", key=f"fetch-{archive.uid}")
    assert page.errors == []
    assert page.session is not None
    assert page.memory.study == page.session.client.studies().studies[0].study
    assert page.stage["series"]["label"] == "DX, PA, 1 image"


def test_an_archive_that_is_away(opened: Opened, clinic: People, archive: Archive) -> None:
    page = opened(session=clinic.session())
    page.app.selectbox[-1].set_value("away")
    page.press("Search")
    assert len(page.errors) == 1
    assert page.memory.study is None
    page.app.selectbox[-1].set_value("pacs")
    page.press("Search")
    assert page.errors == []
    archive.status = 503
    page.press("", key=f"fetch-{archive.uid}")
    assert len(page.errors) == 1
    assert "Doe^Jane" not in page.errors[0]
    assert page.memory.study is None


def test_without_an_archive_there_is_none_to_search(opened: Opened) -> None:
    assert [one.label for one in opened().app.expander] == ["Open files"]
