"""Durable workflows: what was begun goes on after a crash, in this process or in another one.

DBOS keeps in its own tables which workflow is at which step; ids of workflows are ids of jobs, so nothing runs twice at
once, and arguments are ids only. What a step writes it writes under a key, so a step that is repeated changes nothing.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from dbos._queue import queue_worker_thread
from sqlalchemy import make_url

from medground.schema.errors import UsageError
from medground.serving.database import make_private
from medground.serving.polling import SELDOM_S, Polling

ANSWER, DELIVER = "answer", "deliver"
CONTRACT = "1"  # of the workflows' steps: a process of another contract leaves their rows alone
MOST_RECOVERIES = 10  # a job whose process dies that often is what kills it
MOST_SEATS = 1000
_JOIN_S = 10.0
DELIVERIES_AT_ONCE = 4  # to one destination
DEAD_STATES = frozenset({"ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED"})


@dataclass(frozen=True, slots=True)
class Steps:
    """What the workflows do; each may be repeated after a crash.

    Attributes:
        answer: takes a job's id and attempt; writes its result, or why there is none.
        deliver: takes a job's id, a destination and how many attempts were made.
    """

    answer: Callable[[str, int], None]
    deliver: Callable[[str, str, int], None]


class WorkerSeat:
    """A worker's name, which no other living process has: the same after a restart, so it finds what it had begun.

    Args:
        folder: holds a lock file for each seat.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self.name = ""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, MOST_SEATS + 1):
            name = f"{socket.gethostname()}-{number}"
            file = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            self._file, self.name = file, name
            return self
        raise UsageError(f"{MOST_SEATS} workers run on this machine already")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)


class Workflows:
    """DBOS, as this service uses it; one in a process.

    Args:
        url: of the database that DBOS keeps its tables in.
        executor: name of this process, see `WorkerSeat`.
        model_sha256: of the model that answers here: jobs for another are left to others.
        jobs_at_once: jobs that this process works on at the same time.
        destinations: by name; what goes elsewhere shares a queue.
    """

    def __init__(
        self,
        url: str,
        executor: str,
        steps: Steps,
        *,
        model_sha256: str,
        jobs_at_once: int,
        destinations: Iterable[str] = (),
    ) -> None:
        self._jobs_at_once = jobs_at_once
        # A queue for each: an archive that takes a minute to fail holds nothing up but its own deliveries.
        self._ways = {name: f"{DELIVER}-{name}" for name in destinations}
        self._answers = f"{ANSWER}-{model_sha256[:16]}"
        config: DBOSConfig = {
            "name": "medground",
            "system_database_url": _url(url),
            "application_version": CONTRACT,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",
            "notification_listener_polling_interval_sec": 1.0,
        }
        self._dbos = DBOS(config=config)
        # On a busy machine a look at the queue may come before what the last one began is counted as running.
        room = threading.BoundedSemaphore(jobs_at_once)
        self._polling: dict[str, Polling] = {}
        self._threads: dict[str, threading.Thread] = {}

        @DBOS.step(name="answer_step")
        def answer_step(job_id: str, attempt: int) -> None:
            with _unquoted(), room:
                steps.answer(job_id, attempt)

        @DBOS.workflow(name=ANSWER, max_recovery_attempts=MOST_RECOVERIES)
        def answer(job_id: str, attempt: int) -> None:
            answer_step(job_id, attempt)

        @DBOS.step(name="deliver_step")
        def deliver_step(job_id: str, destination: str, attempts: int) -> None:
            with _unquoted():
                steps.deliver(job_id, destination, attempts)

        @DBOS.workflow(name=DELIVER, max_recovery_attempts=MOST_RECOVERIES)
        def deliver(job_id: str, destination: str, attempts: int) -> None:
            deliver_step(job_id, destination, attempts)

        self._answer, self._deliver = answer, deliver

    def __enter__(self) -> Self:
        DBOS.listen_queues([])  # the threads below do: those of DBOS can only look every so often
        DBOS.launch()
        for name in (self._answers, DELIVER, *self._ways.values()):
            self._listen(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._polling.values():
            one.set()
        for thread in self._threads.values():
            thread.join(_JOIN_S)
        DBOS.destroy(workflow_completion_timeout_sec=10)

    def _listen(self, name: str) -> None:
        """Have a thread look at a queue; the queue is written anew, for a thread ends where it is gone."""
        count = self._jobs_at_once if name == self._answers else DELIVERIES_AT_ONCE
        queue = DBOS.register_queue(
            name, worker_concurrency=count, polling_interval_sec=SELDOM_S, on_conflict="always_update"
        )
        polling = self._polling[name] = Polling()
        given = (polling, self._dbos, queue)
        thread = self._threads[name] = threading.Thread(target=queue_worker_thread, args=given, name=name, daemon=True)
        thread.start()

    def listen_again(self) -> None:
        """Start anew the threads that have ended before their time."""
        for name, thread in self._threads.items():
            if not thread.is_alive():
                self._listen(name)

    def answer(self, run_id: str, job_id: str, attempt: int) -> None:
        """Begin to answer a job, unless that was begun before."""
        with SetWorkflowID(run_id):
            DBOS.enqueue_workflow(self._answers, self._answer, job_id, attempt)
        self._polling[self._answers].nudge()

    def deliver(self, run_id: str, job_id: str, destination: str, attempts: int) -> None:
        """Begin an attempt to deliver, unless that was begun before."""
        queue = self._ways.get(destination, DELIVER)
        with SetWorkflowID(run_id):
            DBOS.enqueue_workflow(queue, self._deliver, job_id, destination, attempts)
        self._polling[queue].nudge()

    def hurry(self) -> None:
        """Something that was begun may still wait for room: look for it often."""
        for one in self._polling.values():
            one.hurry()

    def is_dead(self, run_id: str) -> bool:
        """Whether a workflow was given up and will never end by itself."""
        status = DBOS.get_workflow_status(run_id)
        return status is not None and status.status in DEAD_STATES

    def forget_ended(self, before: datetime, at_most: int = 5000) -> int:
        """Delete the rows of workflows that ended before a time: jobs and deliveries keep what matters of them.

        Returns:
            How many.
        """
        ended = DBOS.list_workflows(
            status=["SUCCESS", *DEAD_STATES],
            completed_before=before.isoformat(),
            limit=at_most,
            load_input=False,
            load_output=False,
        )
        if ended:
            DBOS.delete_workflows([one.workflow_id for one in ended])
        return len(ended)

    def take_over(self, executors: list[str]) -> None:
        """Go on with what processes had begun that are no more."""
        DBOS._recover_pending_workflows(executors)
        for one in self._polling.values():
            one.nudge()


class StepError(Exception):
    """A step broke off; the kind of error is all that DBOS keeps of it, and what it said may quote an image."""


@contextmanager
def _unquoted() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise StepError(type(error).__name__) from None


def _url(url: str) -> str:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        make_private(Path(parsed.database or ""))
        return url
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
