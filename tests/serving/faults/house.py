"""A whole service in this process: HTTP, DICOM, dispatcher and durable workflows, with a reader of blobs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from medground.inference.reader import Reader
from medground.serving.access.scope import Scope
from medground.serving.config import Destination, Rule
from medground.serving.database import deliveries, jobs, result_files, results
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from medground.serving.dicom_receiver.config import Peer, ReceiverConfig, Remote
from medground.serving.dicom_receiver.delivery import Outcome
from medground.serving.dicom_receiver.sender import send
from medground.serving.receiving import receiving
from medground.serving.service import Service
from medground.serving.working import LoadReader, working
from tests.inference.blob_reader import BlobReader
from tests.serving.running import CLINIC, eventually, listening, opened, rows

QUESTION = "is there a nodule?"
SHA256 = "ab" * 32
CALLED, CALLING = "MEDGROUND", "MODALITY"
PEER = Peer(calling_ae_title=CALLING, called_ae_title=CALLED, network=ip_network("127.0.0.1/32"), tenant=CLINIC)


@dataclass(frozen=True)
class House:
    """A service at work, and what it logs."""

    service: Service
    client: httpx.Client
    logged: io.StringIO
    dicom_port: int

    def ask(self, path: Path, *deliver_to: str, question: str = QUESTION) -> httpx.Response:
        """Send a study by HTTP and do not wait."""
        return self.client.post(
            "/v1/ground",
            headers={"Prefer": "respond-async"},
            files={"file": ("film.dcm", path.read_bytes())},
            data={"query": question, "deliver_to": list(deliver_to)},
        )

    def store(self, *paths: Path) -> tuple[Outcome, ...]:
        """Send images by C-STORE."""
        return send(paths, Remote(host="127.0.0.1", port=self.dicom_port, ae_title=CALLED), CALLING)

    def states(self) -> list[str]:
        """Of all jobs."""
        return [row.state for row in rows(self.service.engine, jobs)]

    def jobs(self) -> list[str]:
        """The ids of all jobs."""
        return [row.job_id for row in rows(self.service.engine, jobs)]

    def all_are(self, state: str, count: int, seconds: float = 120) -> bool:
        """Whether so many jobs are all in a state in time."""
        return eventually(lambda: self.states() == [state] * count, seconds)

    def delivery(self, job: str, destination: str) -> Any:
        with self.service.engine.connect() as connection:
            here = (deliveries.c.job_id == job) & (deliveries.c.destination == destination)
            return connection.execute(select(deliveries).where(here)).one()

    def is_delivery(self, state: str, job: str, destination: str, seconds: float = 120) -> bool:
        """Whether a delivery is in a state in time."""
        return eventually(lambda: self.delivery(job, destination).state == state, seconds)

    def has_tried(self, job: str, destination: str) -> bool:
        """Whether a delivery was attempted."""
        return bool(self.delivery(job, destination).attempts)

    def objects_of(self, *job_ids: str) -> dict[str, bytes]:
        """The DICOM objects of the results of jobs, by UID."""
        return {
            row.sop_uid: self.service.store.read(row.sha256)
            for row in rows(self.service.engine, result_files)
            if row.job_id in job_ids and row.sop_uid
        }

    def nothing_is_doubled(self) -> bool:
        """Whether each job that is done has a result, and no other has."""
        done = sorted(row.job_id for row in rows(self.service.engine, jobs) if row.state == "done")
        return sorted(row.job_id for row in rows(self.service.engine, results)) == done


@contextmanager
def at_work(folder: Path, *, reader: BlobReader | None = None, **changes: Any) -> Iterator[House]:
    """A service that listens on free ports; `changes` are of its config."""
    model = reader or BlobReader(sha256=SHA256)
    with at_rest(folder, **changes) as house, working(house.service, loading(model)):
        yield house


@contextmanager
def at_rest(folder: Path, **changes: Any) -> Iterator[House]:
    """The same without a worker."""
    with ExitStack() as stack:
        model = BlobReader(sha256=SHA256)
        service, logged = stack.enter_context(opened(folder, model, **{"quiet_s": 0.5} | changes))
        url = stack.enter_context(listening(service))
        ports: list[str] = []
        peers = ReceiverConfig(port=0, peers=(PEER,))
        stack.enter_context(receiving(service, peers, ports.append))
        port = int(ports[0].partition(" from")[0].rpartition(":")[2])
        token = service.tokens.create("Ann Example", CLINIC, tuple(Scope)).plain
        client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=180, trust_env=False)
        yield House(service, stack.enter_context(client), logged, port)


def loading(reader: Reader) -> LoadReader:
    """What gives that reader for whatever bundle."""

    def load(folder: Path | None, device: str) -> Reader:
        del folder, device
        return reader

    return load


def job_of(answer: httpx.Response) -> str:
    """The job that an answer speaks of."""
    assert answer.status_code in (200, 202), answer.text
    return answer.headers["location"].rpartition("/")[2]


def destination(url: str, *, silence_seconds: float = 30.0) -> Destination:
    return Destination(dicomweb=ArchiveConfig(url=url, silence_seconds=silence_seconds))


def rule(*deliver_to: str, questions: Sequence[str] = (QUESTION,)) -> Rule:
    return Rule(questions=tuple(questions), deliver_to=deliver_to)
