"""A DICOMweb archive: instances go to it by STOW-RS, studies are found by QIDO-RS and fetched by WADO-RS.

Written over httpx and not with dicomweb-client, which holds a whole study in memory, decodes every instance and encodes
it anew, so that other bytes are kept than the archive sent, and takes as many bytes as the other side cares to send.

httpx is used at its transport: its client would log every URL, and that of a search names the patient. A transport also
follows no redirect, to which credentials could be carried along, and knows no proxy of the environment.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self
from urllib.parse import urlencode

import httpx

from medground.schema.errors import InputError, PeerError, UsageError
from medground.serving.dicom_receiver.archive_config import ArchiveConfig, BearerToken, Credentials
from medground.serving.dicom_receiver.commands import is_uid
from medground.serving.dicom_receiver.delivery import Delivery, Outcome, outcome_of
from medground.serving.dicom_receiver.found_study import (
    FoundStudy,
    StudyFilter,
    read_json,
    read_studies,
    text_at,
    values_at,
)
from medground.serving.dicom_receiver.multipart import DicomParts, boundary_of, pieces
from medground.serving.dicom_receiver.part10 import read_part10_head
from medground.serving.dicom_receiver.tls import client_context

_JSON: Final = "application/dicom+json"
_AS_KEPT: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_MAY_PASS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_STORED, _NOT_STORED, _REASON, _INSTANCE = "00081199", "00081198", "00081197", "00081155"
_UNTOLD: Final = Outcome(Delivery.TRANSIENT, None, "the archive does not say what became of it")


class DicomWebArchive:
    """An archive; to be closed.

    Args:
        config: where it is, and how much it may send.
        transport: what carries requests; one over TCP and TLS if None.
        clock: seconds that never go back.

    Raises:
        UsageError: the TLS files cannot be used.
    """

    def __init__(
        self,
        config: ArchiveConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._clock = config, clock
        self._transport = transport or httpx.HTTPTransport(verify=client_context(config.tls), trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._transport.close()

    def stow(self, files: Sequence[Path]) -> tuple[Outcome, ...]:
        """Send instances by STOW-RS (PS3.18 section 10.5).

        Args:
            files: in the format of PS3.10.

        Returns:
            What became of each, in their order.
        """
        outcomes: dict[int, Outcome] = {}
        uids: dict[int, str] = {}
        for number, path in enumerate(files):
            try:
                uids[number] = read_part10_head(path).sop_instance_uid
            except InputError as error:
                outcomes[number] = Outcome(Delivery.PERMANENT, None, str(error))
        for some in self._batches({number: files[number] for number in uids}):
            try:
                told = self._store([files[number] for number in some])
                outcomes |= {number: told.get(uids[number], _UNTOLD) for number in some}
            except (PeerError, OSError) as error:
                is_transient = not isinstance(error, PeerError) or error.is_transient
                delivery = Delivery.TRANSIENT if is_transient else Delivery.PERMANENT
                problem = (
                    str(error) if isinstance(error, PeerError) else f"a file cannot be read ({type(error).__name__})"
                )
                outcomes |= dict.fromkeys(some, Outcome(delivery, None, problem))
        return tuple(outcomes[number] for number in range(len(files)))

    def find_studies(self, filters: StudyFilter) -> tuple[FoundStudy, ...]:
        """Search by QIDO-RS (PS3.18 section 10.6).

        Args:
            filters: which are wanted.

        Raises:
            PeerError: the archive does not answer, or not as it should.
        """
        path = f"/studies?{urlencode(filters.query())}"
        with self._answer("GET", path, {"Accept": _JSON}) as answer:
            if answer.status_code == httpx.codes.NO_CONTENT:
                return ()
            _require_ok(answer)
            return read_studies(self._text(answer))

    def fetch_study(self, study_instance_uid: str, into: Path) -> tuple[Path, ...]:
        """Fetch all instances of a study by WADO-RS, in the transfer syntaxes they are kept in (PS3.18 section 10.4).

        Args:
            study_instance_uid: of the study.
            into: a folder that is there; files are called `1.dcm`, `2.dcm`, ..., and taken away again if it fails.

        Returns:
            The files; none if the archive has no such study.

        Raises:
            UsageError: that is no UID.
            PeerError: the archive does not answer, or not as it should, or sends more than it may.
            OSError: there is no room for the files.
        """
        if not is_uid(study_instance_uid):
            raise UsageError("that is no Study Instance UID, which has digits and dots and at most 64 characters")
        files: list[Path] = []
        try:
            with self._answer("GET", f"/studies/{study_instance_uid}", {"Accept": _AS_KEPT}) as answer:
                if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.NO_CONTENT):
                    return ()
                _require_ok(answer)
                self._write(answer, into, files)
        except BaseException:
            for path in files:
                path.unlink(missing_ok=True)
            raise
        return tuple(files)

    def _write(self, answer: httpx.Response, into: Path, files: list[Path]) -> None:
        config = self._config
        body = self._received(answer, config.max_study_bytes, "max_study_bytes")
        size = 0
        with _NumberedFiles(into, files) as writer:
            for number, data in pieces(body, boundary_of(answer.headers.get("content-type", ""))):
                if number > config.max_instances:
                    raise PeerError(f"the study has more than {config.max_instances} instances (max_instances)")
                size = len(data) if number > len(files) else size + len(data)
                if size > config.max_instance_bytes:
                    raise PeerError(f"an instance has more than {config.max_instance_bytes} bytes (max_instance_bytes)")
                writer.write(number, data)

    def _store(self, files: Sequence[Path]) -> dict[str, Outcome]:
        """What the archive says of each instance that it mentions, by SOP Instance UID."""
        parts = DicomParts(files, secrets.token_hex(16))
        headers = {"Accept": _JSON, "Content-Type": parts.content_type, "Content-Length": str(parts.size_bytes)}
        with self._answer("POST", "/studies", headers, parts) as answer:
            if answer.status_code not in (httpx.codes.OK, httpx.codes.ACCEPTED, httpx.codes.CONFLICT):
                _require_ok(answer)
            told = read_json(self._text(answer))
        stored = {text_at(item, _INSTANCE): Outcome(Delivery.ARRIVED, 0) for item in values_at(told, _STORED)}
        reasons = {text_at(item, _INSTANCE): text_at(item, _REASON) for item in values_at(told, _NOT_STORED)}
        failed = {
            uid: outcome_of(int(reason)) if reason.isdecimal() and int(reason) else _UNTOLD
            for uid, reason in reasons.items()
        }
        return stored | failed

    def _batches(self, files: dict[int, Path]) -> Iterator[list[int]]:
        batch: list[int] = []
        size = 0
        for number, path in files.items():
            own = path.stat().st_size if path.exists() else 0
            if batch and size + own > self._config.request_bytes:
                yield batch
                batch, size = [], 0
            batch.append(number)
            size += own
        if batch:
            yield batch

    @contextmanager
    def _answer(
        self, method: str, path: str, headers: dict[str, str], content: DicomParts | None = None
    ) -> Iterator[httpx.Response]:
        config = self._config
        timeout = httpx.Timeout(config.silence_seconds, connect=config.connect_seconds)
        sent = {
            **headers,
            **_authorization(config.credentials),
            "Accept-Encoding": "identity",
            "User-Agent": "medground",
        }
        try:
            request = httpx.Request(
                method,
                config.url.rstrip("/") + path,
                headers=sent,
                content=content,
                extensions={"timeout": timeout.as_dict()},
            )
            answer = self._transport.handle_request(request)
            try:
                yield answer
            finally:
                answer.close()
        except httpx.TimeoutException as cause:
            raise PeerError("the archive does not answer in time; try again later", is_transient=True) from cause
        except httpx.HTTPError as cause:
            is_certificate = "CERTIFICATE_VERIFY_FAILED" in str(cause)
            why = "it shows a certificate that does not count" if is_certificate else type(cause).__name__
            raise PeerError(f"the archive is not reached ({why})", is_transient=not is_certificate) from cause

    def _text(self, answer: httpx.Response) -> bytes:
        return b"".join(self._received(answer, self._config.max_text_bytes, "max_text_bytes"))

    def _received(self, answer: httpx.Response, at_most: int, limit: str) -> Iterator[bytes]:
        """The body as it comes, within its bounds."""
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise PeerError("the archive compresses its answer, which it was not asked to")
        deadline, size = self._clock() + self._config.answer_seconds, 0
        for chunk in answer.stream if isinstance(answer.stream, httpx.SyncByteStream) else ():
            size += len(chunk)
            if size > at_most:
                raise PeerError(f"the answer of the archive has more than {at_most} bytes ({limit})")
            if self._clock() > deadline:
                raise PeerError("the answer of the archive takes too long (answer_seconds)", is_transient=True)
            yield chunk


class _NumberedFiles:
    """Writes `1.dcm`, `2.dcm`, ... one after the other, and notes in `paths` what it made."""

    def __init__(self, folder: Path, paths: list[Path]) -> None:
        self._folder, self._paths = folder, paths
        self._open: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.close()

    def write(self, number: int, data: bytes) -> None:
        if number > len(self._paths) or self._open is None:
            if self._open is not None:
                self._open.close()
            path = self._folder / f"{number}.dcm"
            self._open = path.open("xb")
            self._paths.append(path)
        self._open.write(data)


def _require_ok(answer: httpx.Response) -> None:
    status = answer.status_code
    if status not in (httpx.codes.OK, httpx.codes.ACCEPTED):
        hint = "; check the credentials" if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN) else ""
        raise PeerError(f"the archive answers with HTTP status {status}{hint}", is_transient=status in _MAY_PASS)


def _authorization(credentials: Credentials | None) -> dict[str, str]:
    if credentials is None:
        return {}
    if isinstance(credentials, BearerToken):
        return {"Authorization": f"Bearer {credentials.token.get_secret_value()}"}
    pair = f"{credentials.user}:{credentials.password.get_secret_value()}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
