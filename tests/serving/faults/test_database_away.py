"""A database that is gone or locked for a while: requests are told to come again, and what was accepted ends well."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from medground.serving.dicom_receiver.commands import Status
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.service import Service
from pipelines.judges.postgres import Postgres
from tests.inference.blob_reader import BlobReader
from tests.serving.faults.archive import keeping_archive
from tests.serving.faults.house import SHA256, at_work, destination, job_of, rule
from tests.serving.running import NODULE, eventually, film

pytestmark = pytest.mark.slow
AWAY_S = 20.0
LOCKED_S = 8.0  # longer than the pauses of whatever tries again
ANSWERED_S = 20.0  # less than a request waits for a connection to the database, and is told to come again
MANY = 45  # more than the service has threads for requests


class HeldReader(BlobReader):
    """Reads once it is let."""

    def __init__(self) -> None:
        super().__init__(sha256=SHA256)
        self.let = threading.Event()
        self.let.set()
        self.asked = threading.Event()

    def read(self, *args: object, **options: object) -> list[object]:  # type: ignore[override]
        self.asked.set()
        self.let.wait()
        return super().read(*args, **options)  # type: ignore[arg-type,return-value]


def assert_told_to_come_again(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.judge("postgresql")
def test_postgresql_is_gone_under_a_job_and_a_delivery(tmp_path: Path) -> None:
    reader = HeldReader()
    with (
        Postgres() as postgres,
        keeping_archive() as archive,
        at_work(
            tmp_path,
            reader=reader,
            database=postgres.url,
            rules=(rule("pacs"),),
            destinations={"pacs": destination(archive.url)},
        ) as house,
    ):
        reader.let.clear()
        under_way = job_of(house.ask(film(tmp_path, 1, NODULE), "pacs"))
        assert reader.asked.wait(120)  # it is being read when the database goes
        postgres.stop()
        reader.let.set()
        began = time.monotonic()
        while time.monotonic() < began + AWAY_S:
            for answer in (house.ask(film(tmp_path, 2), "pacs"), house.client.get(f"/v1/jobs/{under_way}")):
                assert_told_to_come_again(answer)
            (outcome,) = house.store(film(tmp_path, 3))
            assert (outcome.delivery, outcome.status) == (Delivery.TRANSIENT, Status.OUT_OF_RESOURCES)
            assert house.client.get("/healthz", timeout=ANSWERED_S).status_code == 200
            time.sleep(0.5)
        postgres.start()
        assert eventually(lambda: house.client.get(f"/v1/jobs/{under_way}").status_code == 200)
        second = job_of(house.ask(film(tmp_path, 2), "pacs"))
        assert [one.delivery for one in house.store(film(tmp_path, 3))] == [Delivery.ARRIVED]
        assert house.all_are("done", 3)
        for job in (under_way, second):
            assert house.is_delivery("done", job, "pacs")
        assert house.nothing_is_doubled()
        assert eventually(lambda: archive.kept == house.objects_of(*house.jobs()))
        assert set(archive.sent.values()) == {1}
        assert "workers_gone" not in house.logged.getvalue()


LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes to a SQLite file as long as the block lasts."""
    command = [sys.executable, "-c", LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield
        process.stdin.close()
        assert process.wait(120) == 0


def test_sqlite_is_locked_under_a_job(tmp_path: Path) -> None:
    """Requests wait in line, as many as there are threads; who asks whether the process lives does not."""
    reader = HeldReader()
    with at_work(tmp_path, reader=reader, rules=(rule(),)) as house:
        reader.let.clear()
        under_way = job_of(house.ask(film(tmp_path, 1, NODULE)))
        assert reader.asked.wait(120)
        answers: list[httpx.Response] = []
        with locked(_file(house.service)):
            reader.let.set()
            asked = film(tmp_path, 2)
            many = [threading.Thread(target=lambda: answers.append(house.ask(asked))) for _ in range(MANY)]
            for one in many:
                one.start()
            began = time.monotonic()
            while time.monotonic() < began + LOCKED_S:
                assert house.client.get("/healthz", timeout=ANSWERED_S).status_code == 200
                time.sleep(0.5)
            assert answers == []
        for one in many:
            one.join()
        assert len(answers) == MANY
        for answer in answers:
            if answer.status_code == 503:  # no connection was free for 30 s
                assert_told_to_come_again(answer)
        accepted = [job_of(answer) for answer in answers if answer.status_code != 503]
        assert (len(accepted) > MANY // 2, len(set(accepted))) == (True, 1)
        assert house.all_are("done", 2)
        assert house.client.get(f"/v1/jobs/{under_way}").json()["state"] == "done"
        assert house.nothing_is_doubled()


def _file(service: Service) -> Path:
    assert service.engine.url.database
    return Path(service.engine.url.database)
