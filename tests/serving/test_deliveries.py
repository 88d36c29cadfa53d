"""Results on their way: tried until they are there or clearly cannot be."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from medground.serving.database import deliveries
from medground.serving.deliveries import Delivery, DeliveryState
from medground.serving.jobs import Job, Problem
from tests.serving.access.clock import START_US
from tests.serving.parts import Parts
from tests.serving.running import rows

AWAY = Problem(kind="DeliveryError", detail="the archive is away")


@pytest.fixture
def job(parts: Parts) -> Job:
    job = parts.ask(parts.accept(parts.film(1)))
    parts.finish(job)
    return job


def note(parts: Parts, delivery: Delivery, problem: Problem | None = None, *, may_pass: bool = True) -> object:
    told: list[DeliveryState] = []

    def then(connection: Connection, state: DeliveryState) -> None:
        told.append(state)

    state = parts.deliveries.note(delivery, problem, may_pass=may_pass, then=then)
    assert told == ([state] if state else [])
    return state


def test_only_what_is_done_is_due(parts: Parts) -> None:
    job = parts.ask(parts.accept(parts.film(1)))
    parts.order(job, "pacs", "vna")
    assert parts.deliveries.due() == []
    parts.finish(job)
    due = parts.deliveries.due()
    assert sorted(one.destination for one in due) == ["pacs", "vna"]
    assert len({one.run_id for one in due}) == 2
    parts.within(lambda connection: _destinations(parts, connection, job))


def _destinations(parts: Parts, connection: Connection, job: Job) -> None:
    assert sorted(parts.deliveries.destinations(connection, job.job_id)) == ["pacs", "vna"]


def test_what_arrived_is_over(parts: Parts, job: Job) -> None:
    parts.order(job, "pacs")
    (delivery,) = parts.deliveries.due()
    assert note(parts, delivery) is DeliveryState.DONE
    assert parts.deliveries.due() == []
    assert parts.deliveries.get(job.job_id, "pacs") is None
    assert note(parts, delivery) is None  # the same attempt a second time, after a crash
    parts.order(job, "pacs")
    assert parts.deliveries.due() == []  # asked again: it is there


def test_pauses_grow_and_a_day_is_enough(parts: Parts, job: Job) -> None:
    parts.order(job, "pacs")
    waited = []
    for attempt in range(1, 400):
        (delivery,) = parts.deliveries.due()
        assert delivery.attempts == attempt - 1
        if note(parts, delivery, AWAY) is DeliveryState.FAILED:
            break
        before = parts.clock.ahead_s
        (row,) = rows(parts.engine, deliveries)
        parts.clock.forward((row.next_us - parts.clock.now_us()) / 1e6 - 0.001)
        assert parts.deliveries.due() == []
        parts.clock.forward(0.001)
        waited.append(round(parts.clock.ahead_s - before))
    assert waited[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert set(waited[9:]) == {300}
    assert 24 * 3600 <= parts.clock.ahead_s < 24 * 3600 + 300
    (row,) = rows(parts.engine, deliveries)
    assert (row.state, Problem.model_validate_json(row.problem)) == ("failed", AWAY)
    assert parts.deliveries.due() == []


def test_what_cannot_pass_is_over_at_once_and_can_be_asked_again(parts: Parts, job: Job) -> None:
    parts.order(job, "pacs")
    (delivery,) = parts.deliveries.due()
    assert note(parts, delivery, AWAY, may_pass=False) is DeliveryState.FAILED
    parts.clock.forward(100_000)
    parts.order(job, "pacs")
    (again,) = parts.deliveries.due()
    assert (again.attempts, again.first_us) == (1, START_US + 100_000_000_000)
    assert again.run_id != delivery.run_id
    assert rows(parts.engine, deliveries)[0].problem == ""
    assert note(parts, again, AWAY) is DeliveryState.PENDING  # a day is counted from now on


def test_what_is_to_be_sent_again_is_sent_again(parts: Parts, job: Job) -> None:
    parts.order(job, "pacs")
    (delivery,) = parts.deliveries.due()
    note(parts, delivery)
    parts.order(job, "pacs", again=True)
    (again,) = parts.deliveries.due()
    assert again.run_id != delivery.run_id


def test_an_attempt_that_is_under_way_does_not_stand_for_what_came_after_it_began(parts: Parts, job: Job) -> None:
    """A report is signed while the unsigned one is being sent: it must be sent too."""
    parts.order(job, "pacs")
    (under_way,) = parts.deliveries.due()
    parts.order(job, "pacs", again=True)
    assert note(parts, under_way) is None
    (again,) = parts.deliveries.due()
    assert again.attempts == under_way.attempts + 1
    assert again.run_id != under_way.run_id
    assert note(parts, again) is DeliveryState.DONE


def test_what_was_deleted_and_is_ordered_again_is_another_workflow(parts: Parts, job: Job) -> None:
    parts.order(job, "pacs")
    (delivery,) = parts.deliveries.due()
    parts.within(lambda connection: connection.execute(deliveries.delete()))
    parts.clock.forward(1)
    parts.order(job, "pacs")
    (again,) = parts.deliveries.due()
    assert again.attempts == delivery.attempts
    assert again.run_id != delivery.run_id


def test_one_destination_does_not_hold_up_another(parts: Parts, job: Job) -> None:
    parts.order(job, "pacs", "vna")
    pacs = next(one for one in parts.deliveries.due() if one.destination == "pacs")
    note(parts, pacs, AWAY)
    assert [one.destination for one in parts.deliveries.due()] == ["vna"]


def test_each_destination_has_a_share_of_its_own(parts: Parts) -> None:
    """An archive that hangs, with many deliveries under way, leaves room for the others."""
    for study in range(1, 4):
        job = parts.ask(parts.accept(parts.film(study)))
        parts.finish(job)
        parts.order(job, "pacs", *(["vna"] if study == 3 else []))
        parts.clock.forward(1)
    assert [one.destination for one in parts.deliveries.due(at_most=2)] == ["pacs", "pacs", "vna"]
    first, second, _ = parts.deliveries.due(at_most=2)
    assert first.first_us < second.first_us  # the oldest


def test_a_clock_that_is_set_back_holds_nothing_up(parts: Parts, job: Job) -> None:
    parts.order(job, "pacs")
    note(parts, parts.deliveries.due()[0], AWAY)
    parts.clock.forward(-3600)
    assert len(parts.deliveries.due()) == 1


def test_objects_are_sent_in_order_and_pictures_are_not(parts: Parts) -> None:
    job = parts.ask(parts.accept(parts.film(1)))
    parts.finish(job, kinds=("json", "overlay", "gsps", "signed", "sr"))
    contents = [parts.store.read(digest).decode() for digest in parts.deliveries.digests(job.job_id)]
    assert contents == [f"{kind} of {job.job_id}" for kind in ("sr", "signed", "gsps")]
