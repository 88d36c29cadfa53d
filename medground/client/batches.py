"""Batches: many files as several requests, each below what a service takes, with one report of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from medground.client.errors import ServiceError
from medground.client.parts import Stored
from medground.schema.errors import UsageError

File = TypeVar("File")
MAX_REQUEST_BYTES = 512 * 2**20  # what a service takes unless it is told otherwise (http.max_body_bytes)
MOST_FILES = 500  # in one request: a process may have few files open at once
_FORM_BYTES = 512  # around each file of a form, and at its end


def batches(files: Sequence[tuple[File, int]], max_bytes: int) -> Iterator[list[File]]:
    """Files in order, in as few requests as their sizes allow.

    Args:
        files: each with its size in bytes.
        max_bytes: of one request.

    Raises:
        UsageError: there is no file, or one is larger than a request; then nothing is sent.
    """
    if not files:
        raise UsageError("there is no file to send")
    for number, (_, size) in enumerate(files, start=1):
        if size + 2 * _FORM_BYTES > max_bytes:
            raise UsageError(
                f"file {number} of {len(files)} has {size / 2**20:.1f} MiB, more than one request may have "
                f"({max_bytes / 2**20:.1f} MiB): unpack it if it is a ZIP, send it by DICOM C-STORE, or raise "
                "http.max_body_bytes of the service and max_request_bytes here"
            )
    return _batches(files, max_bytes)


def _batches(files: Sequence[tuple[File, int]], max_bytes: int) -> Iterator[list[File]]:
    batch, used = list[File](), _FORM_BYTES
    for file, size in files:
        if batch and (used + size + _FORM_BYTES > max_bytes or len(batch) == MOST_FILES):
            yield batch
            batch, used = [], _FORM_BYTES
        batch.append(file)
        used += size + _FORM_BYTES
    yield batch


def send_all(parts: Iterator[list[File]], send: Callable[[Sequence[File]], Stored]) -> Stored:
    """Send batches one after the other.

    A batch of which the service took no file counts as refused, unless it took none of any batch.

    Args:
        parts: at least one.
        send: sends a batch.

    Returns:
        What became of all files together.

    Raises:
        ServiceError: it took nothing, or broke off: what was sent before stays, and sending all again is safe.
        ServiceUnreachableError: likewise.
    """
    stored, nothing = list[Stored](), list[ServiceError]()
    for batch in parts:
        try:
            stored.append(send(batch))
        except ServiceError as error:
            if error.kind != "unreadable-input":
                raise
            nothing.append(error)
            stored.append(Stored(studies=(), accepted=0, new=0, refused={"InputError": len(batch)}))
    if len(nothing) == len(stored):
        raise nothing[0]
    refused: dict[str, int] = {}
    for one in stored:
        for kind, count in one.refused.items():
            refused[kind] = refused.get(kind, 0) + count
    return Stored(
        studies=tuple(dict.fromkeys(study for one in stored for study in one.studies)),
        accepted=sum(one.accepted for one in stored),
        new=sum(one.new for one in stored),
        refused=refused,
    )
