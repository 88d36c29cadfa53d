"""Durable workflows by DBOS itself: begun once, gone on with after a crash, and given up in the end."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from medground.serving import polling as polling_module
from medground.serving import workflows as workflows_module
from medground.serving.polling import Polling
from medground.serving.workflows import MOST_RECOVERIES, Steps, WorkerSeat, Workflows
from tests.serving.running import eventually
from tests.serving.test_polling import LongWait

MODEL = "0" * 64


@dataclass
class Done:
    """What the steps were called with; `act` is what they do."""

    answers: list[tuple[str, int]] = field(default_factory=list)
    deliveries: list[tuple[str, str, int]] = field(default_factory=list)
    act: Callable[[str], None] = lambda name: None  # noqa: ARG005

    def answer(self, job_id: str, attempt: int) -> None:
        self.answers.append((job_id, attempt))
        self.act(job_id)

    def deliver(self, job_id: str, destination: str, attempts: int) -> None:
        self.deliveries.append((job_id, destination, attempts))
        self.act(destination)


@contextmanager
def launched(folder: Path, done: Done, executor: str = "w1", jobs_at_once: int = 2) -> Iterator[Workflows]:
    steps = Steps(done.answer, done.deliver)
    url = f"sqlite:///{folder / 'workflows.db'}"
    with Workflows(
        url, executor, steps, model_sha256=MODEL, jobs_at_once=jobs_at_once, destinations=("pacs",)
    ) as workflows:
        yield workflows


class Watched(Polling):
    """Tells whether the thread of the queue is in a long wait, which the first look comes before."""

    def __init__(self) -> None:
        super().__init__()
        self.looks, self._change = 0, LongWait()

    @property
    def is_long(self) -> bool:
        return self.looks == 2 and cast(LongWait, self._change).begun.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self.looks += 1
        cast(LongWait, self._change).waits = 0
        return super().wait(timeout)


def statuses(folder: Path) -> dict[str, str]:
    with sqlite3.connect(folder / "workflows.db", timeout=60) as connection:
        return dict(connection.execute("SELECT workflow_uuid, status FROM workflow_status").fetchall())


def test_what_is_begun_twice_is_done_once(tmp_path: Path) -> None:
    done = Done()
    with launched(tmp_path, done) as workflows:
        for _ in range(3):
            workflows.answer("job-1", "job", 1)
            workflows.deliver("job-to-pacs-1", "job", "pacs", 0)
        workflows.answer("job-2", "job", 2)
        workflows.deliver("job-to-gone-1", "job", "gone", 0)
        assert eventually(lambda: len(done.answers) == 2 and len(done.deliveries) == 2)
        assert eventually(lambda: set(statuses(tmp_path).values()) == {"SUCCESS"})
        workflows.answer("job-1", "job", 1)
        time.sleep(0.5)
        assert sorted(done.answers) == [("job", 1), ("job", 2)]
        assert sorted(done.deliveries) == [("job", "gone", 0), ("job", "pacs", 0)]
        assert (tmp_path / "workflows.db").stat().st_mode & 0o777 == 0o600
        assert not workflows.is_dead("job-1")
        assert not workflows.is_dead("never begun")


def test_what_is_begun_after_long_idleness_starts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues are looked at so seldom here that only a nudge can start it."""
    for module in (workflows_module, polling_module):
        monkeypatch.setattr(module, "SELDOM_S", 600.0)
    monkeypatch.setattr(workflows_module, "Polling", Watched)
    done = Done()
    with launched(tmp_path, done) as workflows:
        assert len(workflows._polling) == 3
        assert eventually(lambda: all(cast(Watched, one).is_long for one in workflows._polling.values()))
        workflows.answer("run", "job", 1)
        workflows.deliver("to-pacs", "job", "pacs", 0)
        workflows.deliver("to-gone", "job", "gone", 0)
        assert eventually(lambda: len(done.answers) == 1 and len(done.deliveries) == 2)


def test_a_queue_whose_thread_has_ended_gets_another(tmp_path: Path) -> None:
    done = Done()
    with launched(tmp_path, done) as workflows:
        before = dict(workflows._threads)
        with sqlite3.connect(tmp_path / "workflows.db", timeout=60) as connection:
            connection.execute("DELETE FROM queues WHERE name = 'deliver-pacs'")
        before["deliver-pacs"].join(120)
        assert not before["deliver-pacs"].is_alive()
        workflows.listen_again()
        workflows.deliver("run", "job", "pacs", 0)
        assert eventually(lambda: done.deliveries == [("job", "pacs", 0)])
        assert [name for name, one in workflows._threads.items() if one is not before[name]] == ["deliver-pacs"]


def test_so_many_jobs_are_worked_on_at_once(tmp_path: Path) -> None:
    go, lock, running, most = threading.Event(), threading.Lock(), Counter[str](), [0]

    def act(name: str) -> None:
        with lock:
            running["now"] += 1
            most[0] = max(most[0], running["now"])
        assert go.wait(120)
        with lock:
            running["now"] -= 1

    done = Done(act=act)
    with launched(tmp_path, done, jobs_at_once=2) as workflows:
        for number in range(5):
            workflows.answer(f"run-{number}", f"job-{number}", 1)
        assert eventually(lambda: len(done.answers) == 2)
        time.sleep(0.5)
        assert len(done.answers) == 2
        workflows.deliver("to-pacs", "job", "pacs", 0)  # is held up by none of them
        assert eventually(lambda: done.deliveries == [("job", "pacs", 0)] and running["now"] == 3)
        go.set()
        assert eventually(lambda: len(done.answers) == 5)
    assert most[0] == 3  # two jobs and a delivery


def test_a_step_that_breaks_off_is_dead_and_quotes_nothing(tmp_path: Path) -> None:
    def act(name: str) -> None:
        raise ValueError("Doe^Jane")

    with launched(tmp_path, Done(act=act)) as workflows:
        workflows.answer("run", "job", 1)
        assert eventually(lambda: workflows.is_dead("run"))
    assert b"Doe" not in (tmp_path / "workflows.db").read_bytes()


KILLED = """
import os, signal, sys, time
from medground.serving.workflows import Steps, Workflows

def begin(*names):
    print("begun", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

with Workflows(sys.argv[1], sys.argv[2], Steps(begin, begin), model_sha256="0" * 64, jobs_at_once=1) as workflows:
    workflows.answer("run", "job", 1)
    time.sleep(200)
"""


def killed(folder: Path, executor: str) -> None:
    """A process that is killed in the middle of a step."""
    command = [sys.executable, "-c", KILLED, f"sqlite:///{folder / 'workflows.db'}", executor]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (run.returncode, run.stdout) == (-9, "begun\n"), run.stderr


def test_a_process_goes_on_with_what_it_had_begun_before_it_was_killed(tmp_path: Path) -> None:
    killed(tmp_path, "w1")
    assert statuses(tmp_path)["run"] == "PENDING"
    done = Done()
    with launched(tmp_path, done, executor="w1"):
        assert eventually(lambda: done.answers == [("job", 1)])
        assert eventually(lambda: statuses(tmp_path)["run"] == "SUCCESS")


def test_what_another_had_begun_is_taken_over_if_it_is_told_to(tmp_path: Path) -> None:
    killed(tmp_path, "w2")
    done = Done()
    with launched(tmp_path, done, executor="w1") as workflows:
        time.sleep(1)
        assert done.answers == []
        workflows.take_over(["w2"])
        assert eventually(lambda: done.answers == [("job", 1)])
        workflows.take_over(["w2"])
        assert eventually(lambda: statuses(tmp_path)["run"] == "SUCCESS")
        assert done.answers == [("job", 1)]


@pytest.mark.slow
def test_what_kills_every_process_is_given_up(tmp_path: Path) -> None:
    for _ in range(MOST_RECOVERIES + 1):
        killed(tmp_path, "w1")
    done = Done()
    with launched(tmp_path, done, executor="w1") as workflows:
        assert eventually(lambda: workflows.is_dead("run"))
    assert done.answers == []
    assert statuses(tmp_path)["run"] == "MAX_RECOVERY_ATTEMPTS_EXCEEDED"


def test_a_seat_is_the_same_after_a_restart_and_nobody_elses(tmp_path: Path) -> None:
    with WorkerSeat(tmp_path) as one:
        with WorkerSeat(tmp_path) as other:
            assert one.name.endswith("-1")
            assert other.name.endswith("-2")
        with WorkerSeat(tmp_path) as again:
            assert again.name == other.name
    with WorkerSeat(tmp_path) as first:
        assert first.name == one.name


def test_a_seat_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from medground.serving.workflows import WorkerSeat\n"
        "with WorkerSeat(Path(sys.argv[1])) as seat: print(seat.name, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    with WorkerSeat(tmp_path) as seat:
        assert run.stdout == f"{seat.name}\n"
