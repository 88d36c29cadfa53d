"""An archive on loopback that keeps what it is sent by STOW-RS, counts it, and fails as a test wants."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pydicom

from tests.serving.dicom_receiver.web_server import Asked, web_server

Answer = Callable[["KeepingArchive", Asked, BaseHTTPRequestHandler], None]
_REFUSED = 0xA900  # the data set does not match its SOP class: sending it again is no use


class KeepingArchive:
    """Keeps each object once, by its SOP Instance UID.

    Attributes:
        url: root of DICOMweb.
        kept: the bytes of each object.
        sent: how often each was sent.
        answers: what the next requests get; then everything is kept.
    """

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.url = ""
        self.kept: dict[str, bytes] = {}
        self.sent: Counter[str] = Counter()
        self.answers = list(answers)
        self.ended = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """What hangs is let go at the end of the block, however it ends."""
        try:
            yield
        finally:
            self.ended.set()

    def take(self, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        if len(asked.body) < int(asked.headers["content-length"]):
            handler.close_connection = True  # cut in the middle: no archive keeps half a request
            return
        with self._lock:
            answer = self.answers.pop(0) if self.answers else keep
        answer(self, asked, handler)

    def store(self, asked: Asked) -> list[str]:
        """Keep what a request holds; returns the UIDs."""
        uids = []
        with self._lock:
            for content in objects_in(asked):
                uid = str(pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).SOPInstanceUID)
                assert self.kept.setdefault(uid, content) == content, "another object under the same UID"
                self.sent[uid] += 1
                uids.append(uid)
        return uids


@contextmanager
def keeping_archive(*answers: Answer) -> Iterator[KeepingArchive]:
    archive = KeepingArchive(answers)
    with web_server(archive.take) as server:
        archive.url = server.url
        with archive.ending():
            yield archive


def keep(archive: KeepingArchive, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
    """Keep everything, and say so."""
    _reply(handler, 200, {"00081199": _sequence(archive.store(asked))})


def keep_untold(archive: KeepingArchive, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
    """Keep everything, and hang up without a word."""
    archive.store(asked)
    handler.close_connection = True


def hang(archive: KeepingArchive, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
    """Say nothing until the end."""
    del asked
    archive.ended.wait(600)
    handler.close_connection = True


def late(seconds: float) -> Answer:
    """Keep everything, and say so late."""

    def answer(archive: KeepingArchive, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        keep(archive, asked, handler)

    return answer


def fail(status: int) -> Answer:
    """Keep nothing, with a status and no more than a word."""

    def answer(archive: KeepingArchive, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        del archive, asked
        handler.send_response(status)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(b"Sorry!")

    return answer


def refuse(archive: KeepingArchive, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
    """Keep nothing, and say why (409, PS3.18 table 10.5.3-1)."""
    del archive
    uids = [str(pydicom.dcmread(io.BytesIO(one), stop_before_pixels=True).SOPInstanceUID) for one in objects_in(asked)]
    _reply(handler, 409, {"00081198": _sequence(uids, _REFUSED)})


def objects_in(asked: Asked) -> list[bytes]:
    """The parts of a multipart body (RFC 2046 section 5.1)."""
    boundary = asked.headers["content-type"].partition("boundary=")[2].partition(";")[0].strip('"')
    _, *parts, _ = (b"\r\n" + asked.body).split(f"\r\n--{boundary}".encode())
    return [part.partition(b"\r\n\r\n")[2] for part in parts]


def _sequence(uids: Sequence[str], reason: int | None = None) -> dict[str, object]:
    items = []
    for uid in uids:
        item: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
        if reason is not None:
            item["00081197"] = {"vr": "US", "Value": [reason]}
        items.append(item)
    return {"vr": "SQ", "Value": items}


def _reply(handler: BaseHTTPRequestHandler, status: int, told: dict[str, object]) -> None:
    body = json.dumps(told).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/dicom+json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
