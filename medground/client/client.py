"""Client: the service's routes as methods; everything it sends may be sent again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, RootModel, ValidationError

from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.client.parts import Job, Result, ReviewState, Signed, Stored, Study, StudyPage
from medground.schema.errors import UsageError
from medground.schema.result import GroundingResult

_PROBLEM = "urn:medground:problem:"
_FILES = ("application/dicom", "image/png")
Read = TypeVar("Read", bound=BaseModel)
_Results = RootModel[tuple[Result, ...]]


class Client:
    """A connection to a service.

    ::

        with Client("http://127.0.0.1:8080", token) as client:
            result = client.ground([Path("film.dcm")], ["is there a nodule?"])

    Args:
        base: root of the service.
        token: bearer token with the scopes that the calls need.
        timeout_s: for one answer; `ground` waits longer for a result.
        transport: for tests.
    """

    def __init__(
        self, base: str, token: str, *, timeout_s: float = 60.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {token.strip()}"}
        self._http = httpx.Client(base_url=base, headers=headers, timeout=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

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
            answer = self._send("POST", "/v1/ground", data=data, headers=headers)
        else:
            answer = self._with_files("/v1/ground", images, data=data, headers=headers)
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
        return _read(Job, self._send("GET", f"/v1/jobs/{job}"))

    def cancel(self, job: str) -> Job:
        """Cancel a job."""
        return _read(Job, self._send("POST", f"/v1/jobs/{job}/cancel"))

    def result(self, job: str) -> GroundingResult:
        """The result of a finished job."""
        return _read(GroundingResult, self._send("GET", f"/v1/jobs/{job}/result"))

    def file(self, job: str, kind: str, number: int | None = None) -> bytes:
        """A file of a result: `sr`, `gsps`, `overlay.png` (the first), or `signed` (the newest), else by its number."""
        params = {} if number is None else {"number": number}
        answer = self._send("GET", f"/v1/jobs/{job}/{kind}", params=params)
        if not answer.headers.get("content-type", "").startswith(_FILES):
            raise ServiceError(answer.status_code, "unknown", _no_service(answer))
        return answer.content

    def store(self, images: Sequence[Path]) -> Stored:
        """Store images without asking anything."""
        return _read(Stored, self._with_files("/v1/studies", images, data={}, headers={}))

    def studies(self, *, search: str = "", after: str | None = None, limit: int = 50) -> StudyPage:
        """A page of the work list; with `search`, of those with these words in name, patient id or accession number."""
        params: dict[str, str | int] = {"limit": limit} | ({} if after is None else {"after": after})
        if search:
            return _read(StudyPage, self._send("POST", "/v1/studies/search", json={"words": search, **params}))
        return _read(StudyPage, self._send("GET", "/v1/studies", params=params))

    def all_studies(self, *, search: str = "") -> Iterator[Study]:
        """The whole work list, page by page."""
        after = None
        while True:
            page = self.studies(search=search, after=after, limit=200)
            yield from page.studies
            if page.next is None:
                return
            after = page.next

    def results(self, study: str) -> tuple[Result, ...]:
        """What was answered of a study, newest first."""
        return _read(_Results, self._send("GET", f"/v1/studies/{study}/results")).root

    def review(self, job: str) -> ReviewState:
        """What people said of a result."""
        return _read(ReviewState, self._send("GET", "/v1/reviews", params={"job": job}))

    def add_review(self, job: str, seen_revision: int, entry: Mapping[str, Any]) -> ReviewState:
        """Add an entry; refused with kind `stale-review` if somebody else was faster."""
        body = {"job": job, "seen_revision": seen_revision, "entry": dict(entry)}
        return _read(ReviewState, self._send("POST", "/v1/reviews", json=body))

    def sign(
        self, study: str, job: str, seen_revision: int, person_name: str, *, allow_unreviewed: bool = False
    ) -> Signed:
        """Sign a reviewed result."""
        body = {"job": job, "seen_revision": seen_revision, "person_name": person_name}
        body_with = {**body, "allow_unreviewed": allow_unreviewed}
        return _read(Signed, self._send("POST", f"/v1/studies/{study}/sign", json=body_with))

    def _with_files(self, url: str, images: Sequence[Path], *, data: Any, headers: Mapping[str, str]) -> httpx.Response:
        if not images:
            raise UsageError("there is no file to send")
        opened = [path.open("rb") for path in images]
        try:
            files = [("file", (f"{number}", file)) for number, file in enumerate(opened)]  # names stay at home
            return self._send("POST", url, data=data, files=files, headers=headers)
        finally:
            for file in opened:
                file.close()

    def _send(self, method: str, url: str, **parts: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, url, **parts)
        except httpx.HTTPError as cause:
            raise ServiceUnreachableError(
                f"the service does not answer ({type(cause).__name__}); asking again is safe"
            ) from cause
        if answer.status_code >= 400:
            raise _problem_of(answer)
        return answer


def _read(kind: type[Read], answer: httpx.Response) -> Read:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError:
        raise ServiceError(answer.status_code, "unknown", _no_service(answer)) from None  # the cause quotes the answer


def _no_service(answer: httpx.Response) -> str:
    return f"the answer was {answer.status_code} and nothing that is known: is it a medground service?"


def _problem_of(answer: httpx.Response) -> ServiceError:
    try:
        body = answer.json()
        kind, detail = str(body["type"]).removeprefix(_PROBLEM), str(body["detail"])
    except (ValueError, KeyError, TypeError):
        kind, detail = "unknown", _no_service(answer)
    return ServiceError(answer.status_code, kind, detail)
