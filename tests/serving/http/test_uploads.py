"""What comes in a form: DICOM files and ZIPs of them, and everything else that may be in one."""

from __future__ import annotations

import io
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.dicom.limits import Limits
from medground.serving.access.scope import Scope
from medground.serving.database import instances, studies
from medground.serving.http import uploads
from medground.serving.http.gate import MAX_TEXT_BYTES
from tests.full_disk import no_file_longer_than
from tests.inference.drawn import write_sr_like
from tests.serving.http.answers import post, problem
from tests.serving.running import PART_LIMIT, Running, film

New = Callable[..., Path]
STORE = "/v1/studies"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def aside(house: Running) -> list[Path]:
    """What lies beside the store, on its way in."""
    return list((house.service.config.state / "objects" / "incoming").iterdir())


def files(house: Running) -> set[str]:
    return {path.name for path in (house.service.config.state / "objects").rglob("*") if path.is_file()}


def test_files_are_stored_and_counted(house: Running, new_film: New, tmp_path: Path, numbers: Any) -> None:
    number = next(numbers)
    paths = [film(tmp_path, number), film(tmp_path, number, instance=2), new_film()]
    before = house.service.audit.head().sequence
    answer = post(house.client(Scope.GROUND), *paths, paths[0], b"nothing", url=STORE)
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert (stored["accepted"], stored["new"], stored["refused"]) == (4, 3, {"UnreadableFileError": 1})
    assert len(stored["studies"]) == 2
    assert {row.study_key: row.images for row in house.rows(studies) if row.study_key in stored["studies"]} == dict(
        zip(stored["studies"], (2, 1), strict=True)
    )
    entries = house.service.audit.read(Selection(action=Action.STUDY_STORED), after=before)
    assert [(one.event.object_id, one.event.details) for one in entries] == [
        (stored["studies"][0], {"images": 2}),
        (stored["studies"][1], {"images": 1}),
    ]
    again = post(house.client(), *paths, url=STORE).json()
    assert (again["studies"], again["accepted"], again["new"]) == (stored["studies"], 3, 0)


def test_the_members_of_a_zip(house: Running, tmp_path: Path, numbers: Any) -> None:
    number = next(numbers)
    one, other = (film(tmp_path, number, instance=instance).read_bytes() for instance in (1, 2))
    content = zipped({"../../a": one, "/etc/b.dcm": other, "folder/": b"", "read me.txt": b"hello", "DICOMDIR": b""})
    stored = post(house.client(), content, url=STORE).json()
    assert (stored["accepted"], stored["new"], len(stored["studies"])) == (2, 2, 1)
    assert sum(stored["refused"].values()) == 2
    assert aside(house) == []


def test_all_zips_of_a_request_have_one_limit(house: Running, new_film: New, monkeypatch: pytest.MonkeyPatch) -> None:
    films = [new_film().read_bytes() for _ in range(3)]
    monkeypatch.setattr(uploads, "ZIP_LIMITS", Limits(max_zip_bytes=len(films[0]) + len(films[1]) + 1000))
    stored = post(house.client(), *(zipped({"a": film}) for film in films), url=STORE).json()
    assert (stored["new"], stored["refused"]) == (2, {"LimitError": 1})


def test_a_large_member_is_never_held_as_a_whole(house: Running, new_film: New) -> None:
    """Zeros that deflate well: what stands in the header of the film says how many pixels there should be."""
    content = zipped({"a": new_film().read_bytes() + bytes(60 * 2**20)})
    tracemalloc.start()
    answer = post(house.client(), content, url=STORE)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 201, answer.text
    assert most < 30 * 2**20


def test_a_zip_that_is_stored_and_not_deflated(house: Running, new_film: New) -> None:
    content = zipped({"a": new_film().read_bytes()}, zipfile.ZIP_STORED)
    assert post(house.client(), content, url=STORE).json()["new"] == 1


def _encrypted(content: bytes) -> bytes:
    """A ZIP whose members claim to be encrypted."""
    marked = bytearray(zipped({"a": content}))
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        marked[marked.index(start) + flags] |= 1
    return bytes(marked)


def _sr() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_sr_like(Path(folder) / "sr.dcm").read_bytes()


BAD: dict[str, tuple[Callable[[bytes], bytes], int, str, str]] = {
    "empty": (lambda _: b"", 422, "unreadable-input", ""),
    "text": (lambda _: b"this is no DICOM" * 100, 422, "unreadable-input", ""),
    "a picture": (lambda _: b"\x89PNG\r\n\x1a\n" + bytes(500), 422, "unreadable-input", ""),
    "a report": (lambda _: _sr(), 422, "not-an-image", ""),
    "cut in its header": (lambda film: film[: film.index(b"Secret") + 3], 422, "unreadable-input", ""),
    "cut in its pixels": (lambda film: film[:5000], 422, "unreadable-input", ""),
    "a bomb": (lambda _: zipped({"a": bytes(65 * 2**20)}), 413, "too-large", "max_inflate_ratio"),
    "encrypted": (_encrypted, 422, "unreadable-input", "encrypted"),
    "another method": (lambda film: zipped({"a": film}, zipfile.ZIP_BZIP2), 422, "unreadable-input", "not deflated"),
    "a ZIP in a ZIP": (lambda film: zipped({"a.zip": zipped({"a": film})}), 422, "unreadable-input", ""),
    "an empty ZIP": (lambda _: zipped({}), 422, "not-an-image", "the ZIP is empty"),
    "a cut ZIP": (lambda film: zipped({"a": film})[:-30], 422, "unreadable-input", "ZIP"),
    "no ZIP at all": (lambda _: b"PK\x03\x04" + bytes(100), 422, "unreadable-input", "ZIP"),
    "a damaged member": (
        lambda film: zipped({"a": film}).replace(b"\x08\x00", b"\x00\x00"),
        422,
        "unreadable-input",
        "",
    ),
}


@pytest.mark.parametrize("url", [STORE, "/v1/ground"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(house: Running, new_film: New, name: str, url: str) -> None:
    make, status, kind, said = BAD[name]
    before = house.rows(instances), files(house)
    body = problem(post(house.client(), make(new_film().read_bytes()), url=url), status, kind, said)
    assert (house.rows(instances), files(house)) == before
    assert not {"Secret", "SECRET", "/tmp"} & set(body["detail"].replace(":", " ").split())
    assert str(house.folder) not in body["detail"]


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    in_zip=st.booleans(),
)
def test_whatever_is_in_a_file_the_service_stands(
    house: Running, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, int]], in_zip: bool
) -> None:
    base = film(tmp_path_factory.getbasetemp(), 900).read_bytes()[:2500]
    content = bytearray(zipped({"a": base}) if in_zip else base)
    for place, byte in changes:
        content[int(place * len(content))] = byte
    assert post(house.client(), bytes(content), url=STORE).status_code in (201, 409, 413, 422)


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "text/plain", "application/dicom", "application/octet-stream", "multipart/related", None],
)
@pytest.mark.parametrize("url", [STORE, "/v1/ground"])
def test_what_is_no_form(house: Running, media_type: str | None, url: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    problem(house.client().post(url, content=b"{}", headers=headers), 415, "media-type", "multipart/form-data")


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nbad header\r\n\r\nx\r\n--b--"),
    ],
)
def test_a_form_that_is_damaged(house: Running, media_type: str, body: bytes) -> None:
    answer = house.client().post(STORE, content=body, headers={"Content-Type": media_type})
    problem(answer, 400, "bad-request", "damaged or cut short")


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # of the parser, which leaves it to the collector
def test_a_form_that_is_cut_short(house: Running, new_film: New) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + new_film().read_bytes()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    problem(house.client().post(STORE, content=body, headers=headers), 422, "no-file")


def test_more_parts_than_are_taken(house: Running, new_film: New) -> None:
    client = house.client()
    assert post(client, *[b""] * (PART_LIMIT - 1), new_film(), url=STORE).status_code == 201
    problem(post(client, *[b""] * (PART_LIMIT + 1), url=STORE), 413, "too-many-parts", f"{PART_LIMIT} files")
    problem(post(client, *[b""] * 5000, url=STORE), 413, "too-many-parts")
    problem(post(client, query=["q"] * 5000), 413, "too-many-parts")
    fields = client.post("/v1/ground", data={f"field{n}": "x" for n in range(5000)})  # as a web page sends them
    problem(fields, 413, "too-many-parts")


def test_a_field_that_is_too_long(house: Running, new_film: New) -> None:
    client = house.client()
    problem(post(client, new_film(), query="x" * 900_000), 413, "too-large", "a field may have")
    problem(client.post("/v1/ground", data={"query": "x" * 900_000}), 413, "too-large", "a field may have")
    problem(client.post("/v1/ground", data={"q" * 900_000: "x"}), 413, "too-large", "a field may have")
    problem(post(client, new_film(), query="x" * MAX_TEXT_BYTES), 413, "too-large")


def test_while_the_disk_is_full_nothing_is_accepted(house: Running, new_film: New) -> None:
    path = new_film()
    before = house.rows(instances), files(house)
    with no_file_longer_than(60_000):
        answer = post(house.client(), path, url=STORE)
    problem(answer, 503, "storage-full", "try again later")
    assert answer.headers["retry-after"] == "60"
    assert (house.rows(instances), files(house)) == before
    assert post(house.client(), path, url=STORE).json()["new"] == 1
