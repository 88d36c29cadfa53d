"""Uploads: DICOM files and ZIPs of them, from a form into the store, one file at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO

import anyio.to_thread
from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from medground.audit.event import Action, ObjectKind
from medground.dicom.found import Found, members_of
from medground.dicom.limits import Limits
from medground.schema.errors import InputError, NotAnImageError
from medground.serving.access.scope import Principal
from medground.serving.http.problems import ProblemError
from medground.serving.intake import Accepted, Sender
from medground.serving.objects import Incoming, ObjectStore
from medground.serving.service import Service

_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
_FORM, _PLAIN_FORM = "multipart/form-data", "application/x-www-form-urlencoded"
MAX_FIELD_BYTES = 2**16
ZIP_LIMITS = Limits()  # of all ZIPs of a request together
Write = Callable[[Incoming], None]


@dataclass(frozen=True, slots=True)
class Received:
    """What became of an upload.

    Attributes:
        accepted: instances that are here now.
        refused: how many files were refused, by the kind of error.
        first: the error of the first that was refused.
    """

    accepted: tuple[Accepted, ...]
    refused: dict[str, int]
    first: InputError | None

    @property
    def study_keys(self) -> tuple[str, ...]:
        """Of the studies that the instances belong to, each once."""
        return tuple(dict.fromkeys(one.study_key for one in self.accepted))


async def read_form(request: Request, service: Service) -> FormData:
    """The form of a request.

    Raises:
        ProblemError: it is no form, damaged, or has too many parts.
    """
    if not request.headers.get("content-type", "").startswith((_FORM, _PLAIN_FORM)):
        raise ProblemError(415, "media-type", f"the body must be {_FORM} with the fields `file` and `query`")
    limit = service.config.http.max_parts
    try:
        return await request.form(max_files=limit, max_fields=limit, max_part_size=MAX_FIELD_BYTES)
    except ProblemError:
        raise
    except (HTTPException, MultiPartException) as cause:
        said = str(getattr(cause, "detail", None) or getattr(cause, "message", ""))
        if "Too many" in said:
            raise ProblemError(413, "too-many-parts", f"a request may have {limit} files and {limit} fields") from cause
        if "exceeded" in said:
            raise ProblemError(413, "too-large", f"a field may have {MAX_FIELD_BYTES} bytes") from cause
        raise ProblemError(400, "bad-request", "the form cannot be read: it is damaged or cut short") from cause


async def receive(form: FormData, service: Service, sender: Sender) -> Received:
    """Take the files of a form in.

    Raises:
        ProblemError: there is none.
    """
    files = [part.file for part in form.getlist("file") if isinstance(part, UploadFile)]
    if not files:
        raise ProblemError(422, "no-file", "the form has no file; send DICOM files or a ZIP in the field `file`")
    return await anyio.to_thread.run_sync(_receive, files, service, sender)


def _receive(files: Sequence[IO[bytes]], service: Service, sender: Sender) -> Received:
    accepted: list[Accepted] = []
    refused: dict[str, int] = {}
    first: InputError | None = None
    left = ZIP_LIMITS.max_zip_bytes
    for file in files:
        for content, size in _contents(file, service.store, left):
            left -= size
            outcome = content if isinstance(content, InputError) else _accept(content, service, sender)
            if isinstance(outcome, InputError):
                kind = type(outcome).__name__
                refused[kind] = refused.get(kind, 0) + 1
                first = first or outcome
                service.metrics.instances.labels(origin=sender.origin.value, outcome="refused").inc()
            else:
                accepted.append(outcome)
                service.metrics.instances.labels(origin=sender.origin.value, outcome="accepted").inc()
    return Received(tuple(accepted), refused, first)


def _accept(write: Write, service: Service, sender: Sender) -> Accepted | InputError:
    with service.store.incoming() as incoming:
        try:
            write(incoming)
            return service.intake.accept(incoming, sender)
        except InputError as error:
            return error


def _copy(file: IO[bytes], incoming: Incoming) -> None:
    while data := file.read(2**20):
        incoming.write(data)


def _contents(file: IO[bytes], store: ObjectStore, left: int) -> Iterator[tuple[Write | InputError, int]]:
    """A DICOM file as it is, the members of a ZIP one by one; names in a ZIP are never used.

    A ZIP is unpacked from the store's own folder: what a killed process leaves of it there is swept.

    Args:
        file: of the form.
        store: where a ZIP lies meanwhile.
        left: bytes that ZIPs may still inflate to in this request.

    Returns:
        What writes each content, or what is wrong with it, and how much of `left` it takes.
    """
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if head not in _ZIPS:
        yield partial(_copy, file), 0
        return
    with store.incoming() as incoming:
        _copy(file, incoming)
        incoming.finish()
        try:
            limits = ZIP_LIMITS.model_copy(update={"max_zip_bytes": left})
            members = members_of(Found("upload.zip", incoming.path), limits)
        except InputError as error:
            yield error, 0
            return
        if not members:
            yield NotAnImageError("the ZIP is empty"), 0
        for found in members:
            yield partial(_unpack, found), found.member.size if found.member else 0


def _unpack(found: Found, incoming: Incoming) -> None:
    found.write_to(incoming.write, ZIP_LIMITS)


def record_stored(received: Received, service: Service, who: Principal, address: str) -> None:
    """Append to the audit log what came of each study, and how many of its images are new."""
    for key in received.study_keys:
        new = sum(one.is_new for one in received.accepted if one.study_key == key)
        service.record(who, Action.STUDY_STORED, source=address, about=(ObjectKind.STUDY, key), images=new)


def refuse_if_nothing(received: Received) -> None:
    """Raise the first error if nothing was accepted."""
    if not received.accepted:
        raise received.first or NotAnImageError("the upload holds no image object")
