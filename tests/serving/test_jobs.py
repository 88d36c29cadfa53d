"""A job is what its answer depends on, and ends once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medground.audit.event import ObjectKind
from medground.inference.request import Request
from medground.schema.errors import DecodeError, UsageError
from medground.serving.database import insert_new, instances, job_instances, jobs, workers, writing
from medground.serving.jobs import ENDED, Job, JobNotFoundError, JobRequest, Problem, State, job_id
from tests.serving.access.clock import START_US
from tests.serving.parts import QUESTION, Parts
from tests.serving.running import rows

DIGESTS = ["a" * 64, "b" * 64, "c" * 64]


@pytest.fixture
def job(parts: Parts) -> Job:
    return parts.ask(parts.accept(parts.film(1)))


def test_an_id_depends_on_what_the_answer_depends_on() -> None:
    def of(**changes: Any) -> str:
        given: dict[str, Any] = {"tenant": "clinic", "digests": DIGESTS, "request": QUESTION, "model_sha256": "0" * 64}
        return job_id(**(given | changes))

    same = [{"digests": DIGESTS[::-1]}, {"request": QUESTION.model_copy(update={"deliver_to": ("pacs",)})}]
    other: list[dict[str, Any]] = [{"tenant": "other"}, {"digests": DIGESTS[:2]}, {"model_sha256": "1" * 64}]
    other += [
        {"request": JobRequest(queries=queries)}
        for queries in (("is there a mass?",), ("Is there a nodule?",), (*QUESTION.queries, "is there a mass?"))
    ]
    other += [
        {"request": QUESTION.model_copy(update={name: value})}
        for name, value in (("min_score", 0.2), ("max_boxes", 3), ("top_k", 0))
    ]
    assert {of(**changes) for changes in same} == {of()}
    assert len({of(), *(of(**changes) for changes in other)}) == 1 + len(other)
    assert len(of()) == 40


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.permutations(DIGESTS))
def test_the_order_of_images_does_not_matter(digests: list[str]) -> None:
    assert job_id("clinic", digests, QUESTION, "m") == job_id("clinic", DIGESTS, QUESTION, "m")


def test_the_order_of_questions_does_matter() -> None:
    one, two = (JobRequest(queries=queries) for queries in (("a nodule?", "a mass?"), ("a mass?", "a nodule?")))
    assert one.question_key != two.question_key


def test_a_request_is_what_inference_takes() -> None:
    asked = JobRequest(queries=("a nodule?",), min_score=0.3, max_boxes=7, top_k=2, deliver_to=("pacs",))
    assert asked.to_request() == Request(("a nodule?",), 0.3, 7, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queries", ()),
        ("queries", ("q",) * 65),
        ("min_score", 1.1),
        ("min_score", float("nan")),
        ("max_boxes", 0),
        ("max_boxes", 1001),
        ("top_k", -1),
        ("top_k", 301),
        ("unknown", 1),
    ],
)
def test_what_no_request_is(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        JobRequest.model_validate({"queries": ("q",), name: value})


def test_asking_twice_is_asking_once(parts: Parts) -> None:
    one, two = parts.accept(parts.film(1)), parts.accept(parts.film(1, instance=2))
    job = parts.ask(one, two)
    assert parts.ask(two, one) == job
    assert parts.ask(two, one, two) == job
    assert (job.state, job.attempt, job.total, job.created_us) == (State.QUEUED, 1, 0, START_US)
    assert job.job_id == job_id("clinic", [row.sha256 for row in _instances(parts)], QUESTION, "0" * 64)
    assert {row.instance_id for row in rows(parts.engine, job_instances)} == {one.instance_id, two.instance_id}
    assert parts.ask(one) != job
    assert parts.ask(one, two, model_sha256="1" * 64).job_id != job.job_id


def _instances(parts: Parts) -> list[Any]:
    from medground.serving.database import instances

    return rows(parts.engine, instances)


def test_a_job_is_about_images_of_one_study_of_its_tenant(parts: Parts) -> None:
    ours, beside, theirs = (
        parts.accept(parts.film(1)),
        parts.accept(parts.film(2)),
        parts.accept(parts.film(3), "other"),
    )
    for accepted in ([], [ours, beside], [theirs], [ours, theirs]):
        with pytest.raises(UsageError, match="images of one study"):
            parts.ask(*accepted)
    assert parts.jobs.counts() == dict.fromkeys(State, 0)


def test_a_job_is_its_tenants_alone(parts: Parts, job: Job) -> None:
    assert parts.jobs.get(job.job_id, "clinic") == job
    for asked in ((job.job_id, "other"), ("0" * 40, "clinic"), ("0" * 40, None)):
        with pytest.raises(JobNotFoundError, match="no such job") as error:
            parts.jobs.get(*asked)
        assert error.value.foreign == ((ObjectKind.JOB, job.job_id) if asked[1] == "other" else None)


def test_from_queued_to_done(parts: Parts, job: Job) -> None:
    parts.clock.forward(1)
    assert parts.jobs.begin(job)
    assert parts.jobs.get(job.job_id).state is State.RUNNING
    assert parts.jobs.begin(job)  # again, after a crash
    assert parts.jobs.progress(job, 2, 5)
    found = parts.jobs.get(job.job_id)
    assert (found.done, found.total, found.updated_us) == (2, 5, START_US + 1_000_000)
    assert parts.finish(job)
    assert parts.jobs.get(job.job_id).state is State.DONE
    assert parts.jobs.counts() == {**dict.fromkeys(State, 0), State.DONE: 1}


def test_cancelled_while_it_runs(parts: Parts, job: Job) -> None:
    parts.jobs.begin(job)
    assert parts.jobs.cancel(job)
    assert not parts.jobs.progress(job, 1, 5)  # which stops the work
    assert not parts.finish(job)  # and what was finished too late is not written
    assert parts.jobs.get(job.job_id).state is State.CANCELLED
    assert parts.results.of_study(job.study_key, "clinic") == []
    assert not parts.jobs.fail(job, Problem(kind="K", detail="d"))
    assert not parts.jobs.begin(job)


def test_another_attempt_is_another_workflow(parts: Parts) -> None:
    accepted = parts.accept(parts.film(1))
    first = parts.ask(accepted)
    parts.jobs.begin(first)
    parts.jobs.progress(first, 1, 2)
    assert parts.jobs.fail(first, Problem(kind="K", detail="d"))
    failed = parts.jobs.get(first.job_id)
    assert (failed.state, failed.problem) == (State.FAILED, Problem(kind="K", detail="d"))
    second = parts.ask(accepted)
    assert (second.state, second.attempt, second.problem, second.done) == (State.QUEUED, 2, None, 0)
    assert first.run_id != second.run_id
    # what is left of the first attempt changes nothing any more
    for late in (parts.jobs.begin(first), parts.jobs.progress(first, 1, 2), parts.jobs.cancel(first)):
        assert not late
    assert not parts.finish(first)
    assert parts.jobs.get(first.job_id).state is State.QUEUED
    assert parts.finish(second)


def test_a_deleted_job_that_is_asked_for_again_is_another_workflow(parts: Parts) -> None:
    """Else nothing would be done: workflows keep the ids of what they have done."""
    accepted = parts.accept(parts.film(1))
    first = parts.ask(accepted)
    parts.within(lambda connection: connection.execute(jobs.delete()))
    parts.within(lambda connection: connection.execute(job_instances.delete()))
    parts.clock.forward(1)
    again = parts.ask(accepted)
    assert (again.job_id, again.attempt) == (first.job_id, first.attempt)
    assert again.run_id != first.run_id


@pytest.mark.slow
def test_a_job_about_more_images_than_a_statement_takes_values(parts: Parts) -> None:
    """PostgreSQL takes 65535 of them."""
    accepted = parts.accept(parts.film(1))
    (row,) = rows(parts.engine, instances)
    many = [
        {**row._mapping, "id": row.id + number, "sop_uid": f"1.9.{number}", "sha256": f"{number:064x}"}
        for number in range(1, 66_000)
    ]
    parts.within(lambda connection: connection.execute(instances.insert(), many))
    with writing(parts.engine) as connection:
        made = parts.jobs.submit(
            connection,
            tenant="clinic",
            instance_ids=[accepted.instance_id, *(one["id"] for one in many)],
            request=QUESTION,
            model_sha256="0" * 64,
            origin="rule",
            requested_by="rules",
        )
    assert parts.jobs.get(made).state is State.QUEUED
    assert len(rows(parts.engine, job_instances)) == 66_000


@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
def test_what_has_ended_ends_no_second_time(parts: Parts, job: Job, end: str) -> None:
    ways: dict[str, Callable[[], bool]] = {
        "finish": lambda: parts.finish(job),
        "fail": lambda: parts.jobs.fail(job, Problem(kind="K", detail="d")),
        "cancel": lambda: parts.jobs.cancel(job),
    }
    assert ways[end]()
    before = parts.jobs.get(job.job_id)
    assert before.state in ENDED
    for way in ways.values():
        assert not way()
    assert parts.jobs.get(job.job_id) == before


def test_only_what_failed_or_was_cancelled_is_tried_anew(parts: Parts) -> None:
    accepted = parts.accept(parts.film(1))
    job = parts.ask(accepted)
    assert parts.ask(accepted).attempt == 1
    parts.jobs.begin(job)
    assert parts.ask(accepted).attempt == 1
    parts.finish(job)
    assert (parts.ask(accepted).attempt, parts.ask(accepted).state) == (1, State.DONE)


def test_what_else_belongs_to_an_end_falls_with_it(parts: Parts, job: Job) -> None:
    def broken(connection: object) -> None:
        raise OSError("the audit log is away")

    for end in (lambda: parts.jobs.cancel(job, broken), lambda: parts.jobs.fail(job, _problem(), broken)):
        with pytest.raises(OSError, match="audit log"):
            end()
        assert parts.jobs.get(job.job_id).state is State.QUEUED
    told: list[object] = []
    assert parts.jobs.cancel(job, told.append)
    assert not parts.jobs.cancel(job, told.append)
    assert len(told) == 1


def _problem() -> Problem:
    return Problem(kind="K", detail="d")


def test_what_waits_for_which_model(parts: Parts) -> None:
    accepted = [parts.accept(parts.film(number)) for number in (1, 2, 3)]
    made = []
    for number, one in enumerate(accepted):
        parts.clock.forward(1)
        made.append(parts.ask(one, model_sha256=str(number // 2) * 64))
    assert [job.job_id for job in parts.jobs.waiting("0" * 64)] == [made[0].job_id, made[1].job_id]
    assert [job.job_id for job in parts.jobs.waiting("0" * 64, at_most=1)] == [made[0].job_id]
    parts.jobs.begin(made[0])
    assert [job.job_id for job in parts.jobs.waiting("0" * 64)] == [made[1].job_id]
    assert [job.job_id for job in parts.jobs.in_state(State.RUNNING)] == [made[0].job_id]
    with writing(parts.engine) as connection:
        insert_new(connection, workers, {"executor_id": "w", "model_sha256": "0" * 64, "beat_us": 0})
    now = parts.clock.now_us()
    assert [job.job_id for job in parts.jobs.orphans(now + 1)] == [made[2].job_id]
    assert parts.jobs.orphans(now) == []  # not yet for long


def test_a_problem_says_no_more_than_it_may() -> None:
    assert Problem.of(DecodeError("x" * 900)) == Problem(kind="DecodeError", detail="x" * 500)
    foreign = Problem.of(ValueError("Doe^Jane"))
    assert (foreign.kind, "Doe" in foreign.detail) == ("InternalError", False)
    assert "ValueError" in foreign.detail
