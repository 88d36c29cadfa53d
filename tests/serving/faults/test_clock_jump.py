"""A clock that jumps an hour ahead and back: nothing waits an hour, nothing is given up, nobody is taken for dead."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from medground.serving.database import workers
from medground.serving.dicom_receiver.delivery import Delivery
from medground.serving.dispatcher import Dispatcher
from medground.serving.logs import make_log
from medground.serving.rules import Completion
from medground.serving.workflows import Workflows
from tests.serving.faults.archive import fail, keeping_archive
from tests.serving.faults.house import QUESTION, House, at_rest, destination, job_of, rule
from tests.serving.parts import MODEL, Parts
from tests.serving.running import NODULE, eventually, film, rows

HOUR_S = 3600


class Jumping:
    """The clock of another process, which is set by a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set("+0")
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self.environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "OMP_NUM_THREADS": "1",
        }

    def set(self, offset: str) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{offset}\n")
        aside.rename(self._file)


@contextmanager
def worker(house: House, folder: Path, clock: Jumping, archive_url: str) -> Iterator[None]:
    """A worker under that clock, over the same state."""
    config = folder / "worker.toml"
    config.write_text(
        f'state = "{folder / "state"}"\nquiet_s = 1\n'
        f'[[rules]]\nquestions = ["{QUESTION}"]\ndeliver_to = ["pacs"]\n'
        f'[destinations.pacs]\ndicomweb = {{ url = "{archive_url}" }}\n'
    )
    log = folder / "worker.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.serving.faults.blob_worker", str(config)]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=clock.environment)
    try:
        assert eventually(lambda: bool(rows(house.service.engine, workers))), log.read_text()
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.judge("faketime")
def test_a_worker_goes_on_by_whatever_clock(tmp_path: Path) -> None:
    clock = Jumping(tmp_path)
    with keeping_archive() as archive, ExitStack() as stack:
        ways = {"pacs": destination(archive.url)}
        house = stack.enter_context(at_rest(tmp_path, rules=(rule("pacs"),), destinations=ways))
        stack.enter_context(worker(house, tmp_path, clock, archive.url))
        jobs = [job_of(house.ask(film(tmp_path, 1, NODULE), "pacs"))]
        assert house.is_delivery("done", jobs[0], "pacs")
        for number, offset in ((2, f"+{HOUR_S}s"), (4, "+0")):
            archive.answers[:] = [fail(500)]  # its next attempt is at a time of the clock before the jump
            before = house.delivery(jobs[-1], "pacs")
            jobs.append(job_of(house.ask(film(tmp_path, number), "pacs")))
            assert eventually(partial(house.has_tried, jobs[-1], "pacs"))
            clock.set(offset)
            assert house.is_delivery("done", jobs[-1], "pacs")
            assert [one.delivery for one in house.store(film(tmp_path, number + 1))] == [Delivery.ARRIVED]
            assert house.all_are("done", number + 1)  # its quiet period was over in time
            # All is delivered, too: else it would take the answer that the next one is to get.
            assert eventually(lambda: archive.kept == house.objects_of(*house.jobs()))
            assert house.delivery(before.job_id, "pacs").attempts == before.attempts
        assert house.nothing_is_doubled()
        assert eventually(lambda: archive.kept == house.objects_of(*house.jobs()))
        assert set(archive.sent.values()) == {1}


class Noted:
    """Workflows that only note who is taken over."""

    def __init__(self) -> None:
        self.taken_over: list[str] = []

    def take_over(self, executors: Sequence[str]) -> None:
        self.taken_over += executors


class Machine:
    """A worker's beats on a machine with a clock of its own."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.ahead_s, self.noted = 0.0, Noted()
        self._clock = parts.clock
        completion = Completion(parts.engine, parts.jobs, parts.deliveries, (), 1, self.now_us)
        self._dispatcher = Dispatcher(
            parts.engine,
            parts.jobs,
            parts.deliveries,
            completion,
            cast(Workflows, self.noted),
            executor=name,
            model_sha256=MODEL.sha256,
            now_us=self.now_us,
            log=make_log("worker", io.StringIO()),
        )
        self.beat = self._dispatcher.beat

    def now_us(self) -> int:
        return self._clock.now_us() + round(self.ahead_s * 1e6)


def beats(parts: Parts, seconds: int, *machines: Machine) -> None:
    for _ in range(0, seconds, 3):
        parts.clock.forward(3)
        for machine in machines:
            machine.beat()


def test_who_lives_is_never_taken_over_and_who_is_dead_once(parts: Parts) -> None:
    one, two = Machine(parts, "one"), Machine(parts, "two")
    beats(parts, 60, one, two)
    for ahead in (HOUR_S, 0, -HOUR_S, 0):
        two.ahead_s = ahead
        beats(parts, 60, one, two)
    assert (one.noted.taken_over, two.noted.taken_over) == ([], [])

    parts.clock.forward(600)  # the database was away, for both
    beats(parts, 60, one, two)
    assert (one.noted.taken_over, two.noted.taken_over) == ([], [])

    one.ahead_s = HOUR_S
    beats(parts, 3, one, two)
    one.ahead_s = 0  # it ends with a beat of the future
    beats(parts, 15, two)
    assert two.noted.taken_over == []
    beats(parts, 60, two)
    assert two.noted.taken_over == ["one"]
    assert [row.executor_id for row in rows(parts.engine, workers)] == ["two"]
