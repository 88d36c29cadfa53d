"""Client: the service's routes as methods; everything it sends may be sent again."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx
from pydantic import RootModel, ValidationError

from medground.client.batches import MAX_REQUEST_BYTES, batches, send_all
from medground.client.connection import Connection, Token, no_service
from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.client.parts import (
    AuditPage,
    Card,
    Case,
    FoundStudy,
    FrameReading,
    Job,
    Me,
    Model,
    Result,
    ReviewState,
    Series,
    Signed,
    Stored,
    Study,
    StudyPage,
)
from medground.schema.errors import UsageError
from medground.schema.result import GroundingResult

_FILES, _PIXELS, _PAGE = ("application/dicom", "image/png"), ("application/octet-stream",), ("text/html",)
_PICTURE, _JSON, _LINES = ("image/png",), ("application/json",), ("application/x-ndjson",)
_Results = RootModel[tuple[Result, ...]]
_AllSeries = RootModel[tuple[Series, ...]]
_Found = RootModel[tuple[FoundStudy, ...]]
_Names = RootModel[tuple[str, ...]]


class Client:
    """A connection to a service.

    ::

        with Client("http://127.0.0.1:8080", token) as client:
            result = client.ground([Path("film.dcm")], ["is there a nodule?"])

    Args:
        base: root of the service.
        token: bearer token with the scopes that the calls need, or what gives the one that counts now.
        timeout_s: for one answer; `ground` waits longer for a result.
        transport: for tests.
    """

    def __init__(
        self, base: str, token: Token, *, timeout_s: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._service = Connection(base, token, timeout_s=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._service.close()

    def me(self) -> Me:
        """Whose token it is, and what it opens."""
        return self._service.read(Me, "GET", "/v1/me")

    def model(self) -> Model:
        """What answers, and how far it can be believed."""
        return self._service.read(Model, "GET", "/v1/model")

    def card(self) -> Card:
        """The model's card: whether it was verified, whose key signed it, and every number of it."""
        return self._service.read(Card, "GET", "/v1/model/card")

    def card_page(self) -> bytes:
        """The same as a page (HTML); refused with kind `no-card` where there is no verified one."""
        return self._service.content(_PAGE, "GET", "/v1/model/card.html").content

    def drift(self, *, weeks: int = 26) -> bytes:
        """Scores and acceptance by finding and week (JSON of `medground.cards.drift.Drift`; scope `audit`)."""
        return self._service.content(_JSON, "GET", "/v1/model/drift", params={"weeks": weeks}).content

    def export_reviews(self, since: datetime | None = None) -> Iterator[bytes]:
        """What people made of results, an `ImageRecord` in JSON each (scope `review`).

        Args:
            since: only results with an entry since then; with its offset from UTC.
        """
        params = {} if since is None else {"since": since.isoformat()}
        yield from self._service.content(_LINES, "GET", "/v1/reviews/export", params=params).content.splitlines()

    def case(self, case: str) -> Case:
        """What is known of a case that a finding looks like, by the id in its `similar`."""
        return self._service.read(Case, "GET", f"/v1/model/cases/{case}")

    def case_thumbnail(self, case: str) -> bytes:
        """The picture of a case, PNG; refused with kind `no-thumbnail` where none is kept."""
        return self._service.content(_PICTURE, "GET", f"/v1/model/cases/{case}/thumbnail").content

    def ground(
        self,
        images: Sequence[Path] | str,
        queries: Sequence[str],
        *,
        timeout_s: float = 600.0,
        **options: float | int | Sequence[str],
    ) -> GroundingResult:
        """Ask questions and wait for the answer.

        Args:
            images: DICOM files or ZIPs of one study, or the key of a study that is there.
            queries: the questions.
            timeout_s: how long to wait.
            options: `min_score`, `max_boxes`, `top_k`, `deliver_to`.

        Raises:
            ServiceError: refused, or the job failed.
            ServiceUnreachableError: no answer in time.
        """
        return self.wait(self.submit(images, queries, **options).id, timeout_s=timeout_s)

    def submit(
        self, images: Sequence[Path] | str, queries: Sequence[str], **options: float | int | Sequence[str]
    ) -> Job:
        """Ask questions and return at once, with the job."""
        data: dict[str, Any] = {"query": list(queries)}
        data |= {name: [*map(str, v)] if isinstance(v, list | tuple) else str(v) for name, v in options.items()}
        headers = {"Prefer": "respond-async", "Idempotency-Key": uuid.uuid4().hex}
        if isinstance(images, str):
            data["study"] = images
            answer = self._service.send("POST", "/v1/ground", data=data, headers=headers)
        else:
            with _opened(images) as files:
                answer = self._service.send("POST", "/v1/ground", data=data, files=_parts(files), headers=headers)
        return self.job(answer.headers.get("location", "").rpartition("/")[2])

    def wait(self, job: str, *, timeout_s: float = 600.0) -> GroundingResult:
        """The result of a job once it is there.

        Raises:
            ServiceError: the job failed or was cancelled.
            ServiceUnreachableError: it has not ended in time.
        """
        until, pause = time.monotonic() + timeout_s, 0.05
        while time.monotonic() < until:
            found = self.job(job)
            if found.state == "done":
                return self.result(job)
            if found.problem is not None:
                raise ServiceError(422, "job-failed", found.problem.detail)
            if found.state == "cancelled":
                raise ServiceError(409, "job-ended", "the job was cancelled")
            time.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        raise ServiceUnreachableError(f"the job has not ended in {timeout_s:g} s; it goes on: ask for it again")

    def job(self, job: str) -> Job:
        """Where a job stands."""
        return self._service.read(Job, "GET", f"/v1/jobs/{job}")

    def cancel(self, job: str) -> Job:
        """Cancel a job."""
        return self._service.read(Job, "POST", f"/v1/jobs/{job}/cancel")

    def result(self, job: str) -> GroundingResult:
        """The result of a finished job."""
        return self._service.read(GroundingResult, "GET", f"/v1/jobs/{job}/result")

    def file(self, job: str, kind: str, number: int | None = None) -> bytes:
        """A file of a result: `sr`, `gsps`, `overlay.png` (the first), or `signed` (the newest), else by its number."""
        params = {} if number is None else {"number": number}
        return self._service.content(_FILES, "GET", f"/v1/jobs/{job}/{kind}", params=params).content

    def store(self, images: Sequence[Path], *, max_request_bytes: int = MAX_REQUEST_BYTES) -> Stored:
        """Store images without asking anything; what is too much for one request goes in several.

        Args:
            images: DICOM files or ZIPs, sent in this order, each whole.
            max_request_bytes: that the service takes at once (its `http.max_body_bytes`).

        Raises:
            UsageError: a file is larger than a request.
        """

        def send(paths: Sequence[Path]) -> Stored:
            with _opened(paths) as files:
                return self._store(files)

        return send_all(batches([(path, path.stat().st_size) for path in images], max_request_bytes), send)

    def store_files(self, files: Sequence[IO[bytes]], *, max_request_bytes: int = MAX_REQUEST_BYTES) -> Stored:
        """Store images that are open already, for example uploads of a page; else as `store`.

        Args:
            files: DICOM files or ZIPs, each read from its beginning; they stay open.
            max_request_bytes: as for `store`.
        """
        return send_all(batches([(file, file.seek(0, os.SEEK_END)) for file in files], max_request_bytes), self._store)

    def _store(self, files: Sequence[IO[bytes]]) -> Stored:
        for file in files:
            file.seek(0)
        return self._service.read(Stored, "POST", "/v1/studies", files=_parts(files))

    def sources(self) -> tuple[str, ...]:
        """Names of the archives that studies may be looked for in and fetched from."""
        return self._service.read(_Names, "GET", "/v1/pacs/sources").root

    def destinations(self) -> tuple[str, ...]:
        """Names of the archives that results may be sent to."""
        return self._service.read(_Names, "GET", "/v1/pacs/destinations").root

    def search_archive(
        self,
        source: str,
        *,
        patient_id: str | None = None,
        accession_number: str | None = None,
        study_date: str | None = None,
        modality: str | None = None,
        at_most: int = 100,
    ) -> tuple[FoundStudy, ...]:
        """Studies of an archive; what is left out does not matter.

        Args:
            source: one of `sources`.
            patient_id: the whole of it, or with `*`.
            accession_number: as `patient_id`.
            study_date: YYYYMMDD, or from and to with `-` between, one of them left out or none.
            modality: of one series at least.
            at_most: how many.
        """
        wanted = {
            "patient_id": patient_id,
            "accession_number": accession_number,
            "study_date": study_date,
            "modality": modality,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        body = {"source": source, "at_most": at_most, **given}
        return self._service.read(_Found, "POST", "/v1/pacs/studies/search", json=body).root

    def pull(self, source: str, study_instance_uid: str) -> Stored:
        """Fetch a study from an archive and store it."""
        body = {"source": source, "study_instance_uid": study_instance_uid}
        return self._service.read(Stored, "POST", "/v1/pacs/studies/pull", json=body)

    def studies(self, *, search: str = "", after: str | None = None, limit: int = 50) -> StudyPage:
        """A page of the work list; with `search`, of those with these words in name, patient id or accession number."""
        params: dict[str, str | int] = {"limit": limit} | ({} if after is None else {"after": after})
        if search:
            return self._service.read(StudyPage, "POST", "/v1/studies/search", json={"words": search, **params})
        return self._service.read(StudyPage, "GET", "/v1/studies", params=params)

    def all_studies(self, *, search: str = "") -> Iterator[Study]:
        """The whole work list, page by page."""
        after = None
        while True:
            page = self.studies(search=search, after=after, limit=200)
            yield from page.studies
            if page.next is None:
                return
            after = page.next

    def study(self, study: str) -> Study:
        """A study of the work list."""
        return self._service.read(Study, "GET", f"/v1/studies/{study}")

    def series(self, study: str) -> tuple[Series, ...]:
        """The series of a study, each in viewing order."""
        return self._service.read(_AllSeries, "GET", f"/v1/studies/{study}/series").root

    def frame(self, study: str, instance: int, frame: int = 1) -> tuple[FrameReading, bytes]:
        """How to read a frame, and its pixels: 16 bits, little endian, row by row.

        Args:
            study: its key.
            instance: id of the image, from `series`.
            frame: counted from 1.
        """
        url = f"/v1/studies/{study}/instances/{instance}/frames/{frame}"
        answer = self._service.content(_PIXELS, "GET", url)
        try:
            reading = FrameReading.model_validate_json(answer.headers.get("x-frame", ""))
        except ValidationError:
            raise no_service(answer) from None
        if len(answer.content) != 2 * reading.rows * reading.columns * reading.samples:
            raise no_service(answer)
        return reading, answer.content

    def report(self, study: str, job: str | None = None) -> str:
        """The report of a study as a page (HTML), of all its results or of one."""
        params = {} if job is None else {"job": job}
        return self._service.content(_PAGE, "GET", f"/v1/studies/{study}/report", params=params).text

    def results(self, study: str) -> tuple[Result, ...]:
        """What was answered of a study, newest first."""
        return self._service.read(_Results, "GET", f"/v1/studies/{study}/results").root

    def review(self, job: str) -> ReviewState:
        """What people said of a result."""
        return self._service.read(ReviewState, "GET", "/v1/reviews", params={"job": job})

    def add_review(self, job: str, seen_revision: int, entry: Mapping[str, Any]) -> ReviewState:
        """Add an entry; refused with kind `stale-review` if somebody else was faster."""
        body = {"job": job, "seen_revision": seen_revision, "entry": dict(entry)}
        return self._service.read(ReviewState, "POST", "/v1/reviews", json=body)

    def sign(
        self,
        study: str,
        job: str,
        seen_revision: int,
        person_name: str,
        *,
        allow_unreviewed: bool = False,
        deliver_to: Sequence[str] = (),
    ) -> Signed:
        """Sign a reviewed result; the report goes where the result went, and to `deliver_to`."""
        body = {"job": job, "seen_revision": seen_revision, "person_name": person_name}
        more = {"allow_unreviewed": allow_unreviewed, "deliver_to": list(deliver_to)}
        return self._service.read(Signed, "POST", f"/v1/studies/{study}/sign", json={**body, **more})

    def audit(self, *, limit: int = 100, before: int | None = None) -> AuditPage:
        """A page of the tenant's audit log, newest first; `before` is `next` of the page before it."""
        params = {"limit": limit} | ({} if before is None else {"before": before})
        return self._service.read(AuditPage, "GET", "/v1/audit", params=params)


@contextmanager
def _opened(images: Sequence[Path]) -> Iterator[Sequence[IO[bytes]]]:
    with ExitStack() as stack:
        yield [stack.enter_context(path.open("rb")) for path in images]


def _parts(files: Sequence[IO[bytes]]) -> list[tuple[str, tuple[str, IO[bytes]]]]:
    """Files for a form; their names stay at home."""
    if not files:
        raise UsageError("there is no file to send")
    return [("file", (f"{number}", file)) for number, file in enumerate(files)]
