"""A worker looks what is to be done, says that it lives, and ends what would never end."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from medground.schema.errors import UsageError
from medground.serving.config import Rule
from medground.serving.database import deliveries, instances, jobs, workers, writing
from medground.serving.dispatcher import DEAD_AFTER_US, ORPHAN_AFTER_US, Chore, Dispatcher
from medground.serving.intake import Origin
from medground.serving.jobs import Job, State
from medground.serving.logs import make_log
from medground.serving.rules import Completion
from medground.serving.workflows import Workflows
from tests.serving.parts import MODEL, Parts
from tests.serving.running import eventually, rows

SECOND_US = 1_000_000


@dataclass
class Begun:
    """Workflows that only note what they are told to begin."""

    answers: list[tuple[str, str, int]] = field(default_factory=list)
    deliveries: list[tuple[str, str, str, int]] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    taken_over: list[list[str]] = field(default_factory=list)
    hurried: int = 0

    def answer(self, run_id: str, job_id: str, attempt: int) -> None:
        self.answers.append((run_id, job_id, attempt))

    def deliver(self, run_id: str, job_id: str, destination: str, attempts: int) -> None:
        self.deliveries.append((run_id, job_id, destination, attempts))

    def is_dead(self, run_id: str) -> bool:
        return run_id in self.dead

    def hurry(self) -> None:
        self.hurried += 1

    def take_over(self, executors: list[str]) -> None:
        self.taken_over.append(executors)


@dataclass
class Desk:
    parts: Parts
    begun: Begun
    logged: io.StringIO

    def dispatcher(self, executor: str = "w1", *chores: Chore, rules: tuple[Rule, ...] = ()) -> Dispatcher:
        parts, clock = self.parts, self.parts.clock.now_us
        return Dispatcher(
            parts.engine,
            parts.jobs,
            parts.deliveries,
            Completion(parts.engine, parts.jobs, parts.deliveries, rules, 30 * SECOND_US, clock),
            cast(Workflows, self.begun),
            executor=executor,
            model_sha256=MODEL.sha256,
            now_us=clock,
            log=make_log("worker", self.logged),
            chores=chores,
        )

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.logged.getvalue().splitlines()]


@pytest.fixture
def desk(parts: Parts) -> Iterator[Desk]:
    yield Desk(parts, Begun(), io.StringIO())
    logging.disable(logging.NOTSET)


@pytest.fixture
def job(parts: Parts) -> Job:
    return parts.ask(parts.accept(parts.film(1)))


def test_what_waits_is_begun_once(desk: Desk, job: Job) -> None:
    one = desk.dispatcher()
    other = desk.parts.ask(desk.parts.accept(desk.parts.film(2)), model_sha256="1" * 64)
    for _ in range(3):
        one.turn()
    assert desk.begun.answers == [(job.run_id, job.job_id, 1)]
    assert other.state is State.QUEUED  # for another model, and another worker
    desk.parts.jobs.cancel(job)
    again = desk.parts.ask(desk.parts.accept(desk.parts.film(1)))
    one.turn()
    assert desk.begun.answers[1:] == [(again.run_id, job.job_id, 2)]


def test_as_long_as_something_waits_for_room_it_is_looked_for_often(desk: Desk, job: Job) -> None:
    one = desk.dispatcher()
    for _ in range(2):
        one.turn()
    assert desk.begun.hurried == 2
    desk.parts.order(job, "pacs")
    desk.parts.finish(job)
    one.turn()
    assert desk.begun.hurried == 3  # for the delivery
    (delivery,) = desk.parts.deliveries.due()
    desk.parts.deliveries.note(delivery, None, may_pass=False, then=lambda *_: None)
    one.turn()
    assert desk.begun.hurried == 3


def test_deliveries_are_begun_once_they_are_due(desk: Desk, job: Job) -> None:
    one = desk.dispatcher()
    desk.parts.order(job, "pacs")
    one.turn()
    assert desk.begun.deliveries == []
    desk.parts.finish(job)
    (delivery,) = desk.parts.deliveries.due()
    one.turn()
    one.turn()
    assert desk.begun.deliveries == [(delivery.run_id, job.job_id, "pacs", 0)]


def test_studies_that_are_complete_are_asked(desk: Desk) -> None:
    one = desk.dispatcher(rules=(Rule(questions=("is there a nodule?",)),))
    desk.parts.accept(desk.parts.film(1), origin=Origin.DICOM, ae="CT1")
    one.turn()
    assert desk.begun.answers == []
    desk.parts.clock.forward(30)
    one.turn()
    one.turn()
    assert len(desk.begun.answers) == 1


def test_a_study_that_cannot_be_closed_holds_nothing_else_up(desk: Desk, job: Job) -> None:
    one = desk.dispatcher(rules=(Rule(questions=("is there a nodule?",)),))
    bad, good = (desk.parts.accept(desk.parts.film(n), origin=Origin.DICOM, ae="CT1") for n in (2, 3))
    with desk.parts.engine.begin() as connection:
        connection.execute(instances.delete().where(instances.c.study_key == bad.study_key))
    desk.parts.clock.forward(30)
    for _ in range(2):
        with pytest.raises(UsageError, match="one or more images"):
            one.turn()
    asked = [row for row in rows(desk.parts.engine, jobs) if row.study_key == good.study_key]
    assert [begun[1] for begun in desk.begun.answers] == [job.job_id, asked[0].job_id]
    assert one.turned_us == desk.parts.clock.now_us()  # it looks for work all the same


def beats(parts: Parts) -> dict[str, int]:
    return {row.executor_id: row.beat_us for row in rows(parts.engine, workers)}


def test_a_worker_says_that_it_lives(desk: Desk) -> None:
    one = desk.dispatcher()
    one.turn()
    assert beats(desk.parts) == {"w1": desk.parts.clock.now_us()}
    desk.parts.clock.forward(2)
    one.turn()
    assert beats(desk.parts) == {"w1": desk.parts.clock.now_us() - 2 * SECOND_US}  # every three seconds
    desk.parts.clock.forward(1)
    one.turn()
    assert beats(desk.parts) == {"w1": desk.parts.clock.now_us()}


def test_a_worker_that_comes_back_with_another_model_says_so(desk: Desk, job: Job) -> None:
    """Its seat is the one it had: else what waits for the new model would count as asked of a model nobody has."""
    with writing(desk.parts.engine) as connection:
        before = {"executor_id": "w1", "model_sha256": "1" * 64, "beat_us": 1}
        connection.execute(workers.insert().values(before))
    turns(desk, desk.dispatcher(), ORPHAN_AFTER_US // SECOND_US + 10)
    assert [row.model_sha256 for row in rows(desk.parts.engine, workers)] == [MODEL.sha256]
    assert desk.parts.jobs.get(job.job_id).state is State.QUEUED


def turns(desk: Desk, dispatcher: Dispatcher, seconds: int, *others: Dispatcher) -> None:
    for _ in range(seconds):
        desk.parts.clock.forward(1)
        for one in (dispatcher, *others):
            one.turn()


def test_what_a_silent_worker_had_begun_is_taken_over(desk: Desk) -> None:
    one, two, three = (desk.dispatcher(name) for name in ("w1", "w2", "w3"))
    for each in (one, two, three):
        each.turn()
    turns(desk, one, 19, three)
    assert desk.begun.taken_over == []
    turns(desk, one, 5)
    assert desk.begun.taken_over == [["w2"]]
    assert set(beats(desk.parts)) == {"w1", "w3"}
    assert "workers_gone" in desk.events()
    two.turn()  # it was only slow, and comes back
    assert "w2" in beats(desk.parts)


def test_nobody_is_taken_over_who_only_has_another_time(desk: Desk) -> None:
    one = desk.dispatcher()
    for shift in (-3600, 3600):
        beat = desk.parts.clock.now_us() + shift * SECOND_US
        for _ in range(60):
            desk.parts.clock.forward(1)
            beat += SECOND_US
            with writing(desk.parts.engine) as connection:
                connection.execute(workers.delete().where(workers.c.executor_id == "w2"))
                row = {"executor_id": "w2", "model_sha256": MODEL.sha256, "beat_us": beat}
                connection.execute(workers.insert().values(row))
            one.turn()
    assert desk.begun.taken_over == []


def test_after_being_away_itself_a_worker_listens_anew(desk: Desk) -> None:
    one, two = desk.dispatcher("w1"), desk.dispatcher("w2")
    for each in (two, one):
        each.turn()
    desk.parts.clock.forward(DEAD_AFTER_US / 1e6 + 100)  # the database was away, for both
    one.turn()
    assert desk.begun.taken_over == []
    turns(desk, one, 10, two)
    assert desk.begun.taken_over == []
    desk.parts.clock.forward(-7200)  # and a clock that is set back is no silence either
    turns(desk, one, 10, two)
    assert desk.begun.taken_over == []
    turns(desk, one, 30)
    assert desk.begun.taken_over == [["w2"]]


def test_a_job_whose_work_broke_off_for_good_fails(desk: Desk, job: Job) -> None:
    one = desk.dispatcher()
    one.turn()
    desk.parts.jobs.begin(job)
    desk.begun.dead.add(job.run_id)
    desk.parts.clock.forward(5)
    one.turn()
    failed = desk.parts.jobs.get(job.job_id)
    assert failed.problem is not None
    assert (failed.state, failed.problem.kind) == (State.FAILED, "WorkerError")
    assert "job_given_up" in desk.events()


def test_a_job_for_a_model_that_nobody_has_fails_after_a_minute(desk: Desk) -> None:
    one = desk.dispatcher()
    lost = desk.parts.ask(desk.parts.accept(desk.parts.film(1)), model_sha256="1" * 64)
    turns(desk, one, ORPHAN_AFTER_US // SECOND_US)
    assert desk.parts.jobs.get(lost.job_id).state is State.QUEUED
    turns(desk, one, 6)
    failed = desk.parts.jobs.get(lost.job_id)
    assert failed.problem is not None
    assert (failed.state, failed.problem.kind) == (State.FAILED, "BundleMissingError")


def test_a_delivery_whose_attempt_broke_off_is_tried_again(desk: Desk, job: Job) -> None:
    """Else it would be pending for ever: its workflow is begun once, and has ended."""
    one = desk.dispatcher()
    desk.parts.finish(job)
    desk.parts.order(job, "pacs")
    (delivery,) = desk.parts.deliveries.due()
    one.turn()
    desk.begun.dead.add(delivery.run_id)
    turns(desk, one, 8)
    first, second = desk.begun.deliveries
    assert (first, second[1:]) == ((delivery.run_id, job.job_id, "pacs", 0), (job.job_id, "pacs", 1))
    assert second[0] != first[0]
    (row,) = rows(desk.parts.engine, deliveries)
    assert (row.state, json.loads(row.problem)["detail"]) == ("pending", "the attempt broke off")


def test_chores_are_done_every_so_often_whatever_the_clock_does(desk: Desk) -> None:
    done: list[int] = []
    chore = Chore(lambda: done.append(desk.parts.clock.now_us()), 600 * SECOND_US)
    one = desk.dispatcher("w1", chore)
    for seconds, times in ((0, 1), (599, 1), (1, 2), (1, 2), (-100_000, 3), (1, 3), (600, 4)):
        desk.parts.clock.forward(seconds)
        one.turn()
        assert len(done) == times, seconds


def test_it_turns_by_itself_and_outlives_what_goes_wrong(desk: Desk, job: Job) -> None:
    broken = iter([OSError("away"), OSError("away")])

    def chore() -> None:
        error = next(broken, None)
        desk.parts.clock.forward(1)
        if error:
            raise error

    one = desk.dispatcher("w1", Chore(chore, 0))
    assert not one.is_turning
    with one:
        assert eventually(lambda: bool(desk.begun.answers) and one.is_turning)
        desk.parts.clock.forward(-100)
        one.nudge()
        assert eventually(lambda: one.is_turning)
    assert not one.is_turning
    assert desk.events().count("dispatcher") == 2


def test_its_first_turn_counts_as_turning_but_not_forever(desk: Desk) -> None:
    """A service asked whether it is ready as soon as it listens does not say no because the first look is under way."""
    looking, goes_on = threading.Event(), threading.Event()

    def chore() -> None:
        looking.set()
        goes_on.wait(60)

    one = desk.dispatcher("w1", Chore(chore, 0))
    with one:
        try:
            assert looking.wait(60)
            assert one.is_turning
            desk.parts.clock.forward(DEAD_AFTER_US // SECOND_US)
            assert not one.is_turning
        finally:
            goes_on.set()


def test_a_nudge_is_heeded_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medground.serving.dispatcher.PAUSE_S", 600.0)
    with desk.dispatcher() as one:
        assert eventually(lambda: one.turned_us > 0)
        job = desk.parts.ask(desk.parts.accept(desk.parts.film(1)))
        one.nudge()
        assert eventually(lambda: desk.begun.answers == [(job.run_id, job.job_id, 1)])
