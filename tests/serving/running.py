"""A service over a folder that reads blobs, on loopback: what tests of the serving floor talk to."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from sqlalchemy import Engine, Table, select

from medground.model.bundle_facts import BundleFacts, read_facts
from medground.model.grounder import Grounder
from medground.serving.access.quota import QuotaConfig
from medground.serving.access.scope import Scope
from medground.serving.archives import Archive
from medground.serving.config import Destination, HttpConfig, ModelChoice, ServiceConfig
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from medground.serving.http.app import guarded
from medground.serving.jobs import Job
from medground.serving.logs import make_log
from medground.serving.model import SharedReader
from medground.serving.model_card import NO_CARD, ServedCard
from medground.serving.service import Service, open_service
from medground.serving.worker import Worker
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import BlobPx, drawn, write_dx

EVERY_SCOPE = tuple(Scope)
CLINIC, OTHER = "clinic", "other"
BODY_LIMIT, PART_LIMIT = 2**20, 40
MOST_WAIT_S = 120.0  # for an answer; far more than any takes, however busy the machine is
NODULE: BlobPx = (60, 70, 90, 100)
EFFUSION: BlobPx = (100, 180, 180, 220)


class Answering:
    """A thread that answers what is queued as soon as it is nudged, unless it is held."""

    def __init__(self, worker: Worker, model_sha256: str) -> None:
        self._worker, self._model_sha256 = worker, model_sha256
        self._nudged, self._ended = threading.Event(), threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def nudge(self) -> None:
        self._nudged.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is answered in this block."""
        with self._turn:
            yield
        self.nudge()

    def close(self) -> None:
        self._ended.set()
        self.nudge()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._nudged.wait()
            self._nudged.clear()
            with self._turn:
                for job in self._worker.jobs.waiting(self._model_sha256):
                    self._worker.answer(job.job_id, job.attempt)


@dataclass
class Running:
    """A service on loopback, and the parts of it.

    Attributes:
        service: its parts.
        reader: what it reads with.
        worker: answers jobs.
        answering: has the worker answer what is queued.
        url: of its root.
        folder: for files of the tests.
        logged: what it logs.
    """

    service: Service
    reader: BlobReader | Grounder
    worker: Worker
    answering: Answering
    url: str
    folder: Path
    logged: io.StringIO
    opened: ExitStack
    _clients: dict[tuple[str, ...], httpx.Client] = field(default_factory=dict)

    def token(self, *scopes: Scope, tenant: str = CLINIC, lifetime: timedelta = timedelta(days=1)) -> str:
        return self.service.tokens.create("Ann Example", tenant, scopes or EVERY_SCOPE, lifetime).plain

    def client(self, *scopes: Scope, tenant: str = CLINIC) -> httpx.Client:
        """A client with a token of these scopes, or of all; the same one for the same scopes."""
        key = (tenant, *scopes)
        if key not in self._clients:
            self._clients[key] = self.anybody(Authorization=f"Bearer {self.token(*scopes, tenant=tenant)}")
        return self._clients[key]

    def anybody(self, **headers: str) -> httpx.Client:
        """A client with these headers and no other credentials; the same one for the same headers."""
        key = ("", *(f"{name}: {value}" for name, value in headers.items()))
        if key not in self._clients:
            made = httpx.Client(base_url=self.url, headers=headers, timeout=MOST_WAIT_S + 60, trust_env=False)
            self._clients[key] = self.opened.enter_context(made)
        return self._clients[key]

    def answer(self) -> None:
        """Answer what is queued, here and now."""
        for job in self.service.jobs.waiting(self.service.model.info.sha256):
            self.worker.answer(job.job_id, job.attempt)

    def lines(self) -> list[dict[str, Any]]:
        """What was logged so far."""
        return [json.loads(line) for line in self.logged.getvalue().splitlines()]

    def line(self, answer: httpx.Response) -> dict[str, Any]:
        """What was logged of a request; it is, once its answer is sent."""
        wanted = answer.headers["x-request-id"]

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines() if line["event"] == "request" and line["request"] == wanted]

        assert eventually(lambda: bool(found()))
        return found()[-1]

    def rows(self, table: Table) -> list[Any]:
        return rows(self.service.engine, table)

    def job(self, job_id: str) -> Job:
        return self.service.jobs.get(job_id)


def rows(engine: Engine, table: Table) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table)).all())


def facts_of(reader: BlobReader | Grounder) -> BundleFacts:
    """What a reader says of itself; a model that does is the one that ships."""
    if isinstance(reader, Grounder):
        return read_facts()
    return BundleFacts(reader.info, reader.vocabulary, reader.scope, reader.cases)


def config_in(folder: Path, **changes: Any) -> ServiceConfig:
    given: dict[str, Any] = {
        "state": folder / "state",
        "http": HttpConfig(max_body_bytes=BODY_LIMIT, max_parts=PART_LIMIT, max_wait_s=MOST_WAIT_S),
        "model": ModelChoice(decoders=2),
        "quota": QuotaConfig(requests_per_minute=10**6, bytes_per_minute=2**40),
        "destinations": {"pacs": Destination(dicomweb=ArchiveConfig(url="https://127.0.0.1:1/"))},
    }
    return ServiceConfig(**(given | changes))


@contextmanager
def opened(
    folder: Path, reader: BlobReader | Grounder | None = None, card: ServedCard = NO_CARD, **changes: Any
) -> Iterator[tuple[Service, io.StringIO]]:
    """The parts of a service, and what it logs."""
    logged = io.StringIO()
    try:
        with open_service(
            config_in(folder, **changes), facts_of(reader or BlobReader()), make_log("all", logged), card
        ) as it:
            yield it, logged
    finally:
        logging.disable(logging.NOTSET)  # `make_log` silences libraries for good, and other tests listen to them


def worker_of(service: Service, reader: SharedReader, archives: dict[str, Archive] | None = None) -> Worker:
    return Worker(
        engine=service.engine,
        store=service.store,
        jobs=service.jobs,
        results=service.results,
        deliveries=service.deliveries,
        audit=service.audit,
        reader=reader,
        untrusted=service.untrusted,
        archives=archives or {},
        log=service.log,
        sleep=time.sleep,
    )


@contextmanager
def running(folder: Path, reader: BlobReader | Grounder | None = None, **changes: Any) -> Iterator[Running]:
    """A service that listens and answers; `changes` are of its config."""
    reader = reader or BlobReader()
    with ExitStack() as stack:
        service, logged = stack.enter_context(opened(folder, reader, **changes))
        shared = SharedReader(reader)
        stack.callback(shared.close)
        service.metrics.follow(shared)
        worker = worker_of(service, shared)
        answering = Answering(worker, reader.info.sha256)
        stack.callback(answering.close)
        service.nudges.append(answering.nudge)
        service.ready["files"] = lambda: ""
        url = stack.enter_context(listening(service))
        clients = stack.enter_context(ExitStack())
        yield Running(service, reader, worker, answering, url, folder, logged, clients)


@contextmanager
def listening(service: Service) -> Iterator[str]:
    """The service's HTTP side on loopback; gives its address."""
    config = uvicorn.Config(
        guarded(service), port=0, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        service.ending.set()
        server.should_exit = True
        thread.join()


def film(folder: Path, study: int, *blobs: BlobPx, instance: int = 1, **header: Any) -> Path:
    """A chest film of 256 x 256 with blobs; named by its study and instance."""
    path = folder / f"film-{study}-{instance}.dcm"
    return write_dx(path, drawn(blobs, rows=256, columns=256), study=study, instance=instance, **header)


def eventually(holds: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()
