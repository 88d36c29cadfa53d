"""Dispatcher: a thread of every worker that looks what is to be done and has the workflows do it.

What it does any worker may do at any time, and twice: a workflow with the id of a job is begun once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, delete, select
from structlog.typing import FilteringBoundLogger

from medground.serving.database import insert_new, workers, writing
from medground.serving.deliveries import Deliveries, DeliveryState
from medground.serving.jobs import Jobs, Problem, State
from medground.serving.rules import Completion
from medground.serving.workflows import Workflows

PAUSE_S = 0.2
BEAT_EVERY_US, DEAD_AFTER_US = 3_000_000, 20_000_000
WATCH_EVERY_US = 5_000_000
ORPHAN_AFTER_US = 60_000_000
AWAY_PAUSE_S = 1.0


@dataclass
class Chore:
    """Something to do every so often."""

    run: Callable[[], None]
    every_us: int
    due_us: int = field(default=0)


class Dispatcher:
    """Runs until its block is left.

    Args:
        engine: the database.
        jobs, deliveries, completion: what there may be to do.
        workflows: who does it.
        executor: name of this worker.
        model_sha256: of the model that answers here.
        now_us: microseconds since 1970, UTC.
        log: never told anything from an image.
        chores: what else is to be done now and then.
    """

    def __init__(  # noqa: PLR0913 - it is what ties these together
        self,
        engine: Engine,
        jobs: Jobs,
        deliveries: Deliveries,
        completion: Completion,
        workflows: Workflows,
        *,
        executor: str,
        model_sha256: str,
        now_us: Callable[[], int],
        log: FilteringBoundLogger,
        chores: Sequence[Chore] = (),
    ) -> None:
        self._engine, self._jobs, self._deliveries, self._completion = engine, jobs, deliveries, completion
        self._workflows, self._executor, self._model_sha256 = workflows, executor, model_sha256
        self._now_us, self._log = now_us, log
        self._chores = [Chore(self.beat, BEAT_EVERY_US), Chore(self.watch, WATCH_EVERY_US), *chores]
        self._begun: set[str] = set()
        self._heard: dict[str, tuple[int, int]] = {}  # beat of each other worker, and when it was seen first
        self._listened_us = 0
        self._end, self._nudge = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self.turned_us = self._started_us = 0

    def __enter__(self) -> Self:
        self._started_us = self._now_us()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._nudge.set()
        self._thread.join()

    @property
    def is_turning(self) -> bool:
        """Whether it looked for work not long ago, or began not long ago and is looking for the first time."""
        last_us = self.turned_us or self._started_us
        return self._thread.is_alive() and abs(self._now_us() - last_us) < DEAD_AFTER_US

    def nudge(self) -> None:
        """There may be something to do right now."""
        self._nudge.set()

    def turn(self) -> None:
        """Look once at everything."""
        now = self._now_us()
        for chore in self._chores:
            if chore.due_us <= now or chore.due_us > now + 2 * chore.every_us:  # or the clock was set back
                chore.due_us = now + chore.every_us
                chore.run()
        waiting, due = self._jobs.waiting(self._model_sha256), self._deliveries.due()
        if waiting or due:
            self._workflows.hurry()
        for job in waiting:
            if job.run_id in self._begun:
                continue
            self._workflows.answer(job.run_id, job.job_id, job.attempt)
            self._begun.add(job.run_id)
        for delivery in due:
            if delivery.run_id not in self._begun:
                self._workflows.deliver(delivery.run_id, delivery.job_id, delivery.destination, delivery.attempts)
                self._begun.add(delivery.run_id)
        if len(self._begun) > 10_000:
            self._begun.clear()  # to begin what was begun changes nothing
        self.turned_us = now
        if self._completion.run(self._model_sha256):  # last: a study that cannot be closed holds nothing else up
            self.nudge()

    def beat(self) -> None:
        """Say that this worker lives, and take over from those who have said nothing new for long.

        How long counts from when this worker saw a beat first, by its own clock: other machines may have another time,
        and after a database was away nobody has said anything.
        """
        now = self._now_us()
        with writing(self._engine) as connection:
            row = {"executor_id": self._executor, "model_sha256": self._model_sha256, "beat_us": now}
            if not insert_new(connection, workers, row):
                # With its model: whoever had this seat before may have had another.
                connection.execute(workers.update().where(workers.c.executor_id == self._executor).values(row))
            others = workers.c.executor_id != self._executor
            beats = {one.executor_id: one.beat_us for one in connection.execute(select(workers).where(others))}
        dead = self._silent(beats, now)
        if dead:
            self._workflows.take_over(dead)
            with writing(self._engine) as connection:
                for one in dead:
                    here = (workers.c.executor_id == one) & (workers.c.beat_us == beats[one])
                    connection.execute(delete(workers).where(here))
            self._log.warning("workers_gone", count=len(dead))

    def _silent(self, beats: Mapping[str, int], now_us: int) -> list[str]:
        """Who has the same beat as long ago."""
        if not 0 <= now_us - self._listened_us < DEAD_AFTER_US:
            self._heard.clear()  # this worker was away itself, or its clock jumped
        self._listened_us = now_us
        heard = {
            name: self._heard[name] if self._heard.get(name, (0, 0))[0] == beat else (beat, now_us)
            for name, beat in beats.items()
        }
        self._heard = heard
        return [name for name, (_, since_us) in heard.items() if now_us - since_us >= DEAD_AFTER_US]

    def watch(self) -> None:
        """End what would never end: jobs whose workflow was given up, or whose model no worker has any more.

        A delivery whose workflow was given up is another attempt's.
        """
        for job in self._jobs.orphans(self._now_us() - ORPHAN_AFTER_US):
            gone = Problem(kind="BundleMissingError", detail="no worker has the model it was asked of; ask again")
            self._jobs.fail(job, gone)
            self._log.error("job_without_model", job=job.job_id)
        for job in self._jobs.in_state(State.RUNNING, State.QUEUED):
            if self._workflows.is_dead(job.run_id):
                died = Problem(kind="WorkerError", detail="the work on it broke off again and again")
                self._jobs.fail(job, died)
                self._log.error("job_given_up", job=job.job_id)
        for delivery in self._deliveries.due():
            if self._workflows.is_dead(delivery.run_id):
                died = Problem(kind="WorkerError", detail="the attempt broke off")
                self._deliveries.note(delivery, died, may_pass=True, then=_nothing)
                self._log.error("delivery_broke_off", job=delivery.job_id, destination=delivery.destination)

    def _run(self) -> None:
        while not self._end.is_set():
            pause = PAUSE_S
            try:
                self.turn()
            except Exception as error:  # a database that is away, mostly; nothing is lost by looking again
                self._log.warning("dispatcher", kind=type(error).__name__)
                pause = AWAY_PAUSE_S
            self._nudge.wait(pause)
            self._nudge.clear()


def _nothing(connection: Connection, state: DeliveryState) -> None:
    del connection, state
