"""When a study that comes by itself is complete, and what it is asked then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import UsageError
from medground.serving.config import Rule
from medground.serving.database import deliveries, job_instances, jobs, studies
from medground.serving.intake import Accepted, Origin
from medground.serving.jobs import JobRequest
from medground.serving.rules import Completion, check_questions
from tests.serving.parts import MODEL, Parts
from tests.serving.running import rows

QUIET_S = 30
NODULE = Rule(modality="DX", questions=("is there a nodule?",), deliver_to=("pacs",))


def completion(parts: Parts, *rules: Rule) -> Completion:
    clock = parts.clock.now_us
    return Completion(parts.engine, parts.jobs, parts.deliveries, rules, QUIET_S * 1_000_000, clock)


def receive(parts: Parts, study: int = 1, instance: int = 1, ae: str = "CT1") -> Accepted:
    return parts.accept(parts.film(study, instance=instance), origin=Origin.DICOM, ae=ae)


def test_a_study_is_closed_once_nothing_came_for_a_while(parts: Parts) -> None:
    complete = completion(parts, NODULE)
    receive(parts)
    parts.clock.forward(QUIET_S - 1)
    receive(parts, instance=2)
    parts.clock.forward(QUIET_S - 1)
    assert complete.run(MODEL.sha256) == []
    parts.clock.forward(1)
    (asked,) = complete.run(MODEL.sha256)
    job = parts.jobs.get(asked)
    assert job.request == JobRequest(queries=("is there a nodule?",), deliver_to=("pacs",))
    assert (job.tenant, job.origin, job.requested_by) == ("clinic", "rule", "rules")
    assert len(rows(parts.engine, job_instances)) == 2
    assert [(row.job_id, row.destination, row.state) for row in rows(parts.engine, deliveries)] == [
        (asked, "pacs", "pending")
    ]
    assert not rows(parts.engine, studies)[0].is_open
    assert complete.run(MODEL.sha256) == []


def test_a_late_image_makes_another_job_that_names_the_earlier(parts: Parts) -> None:
    complete = completion(parts, NODULE)
    receive(parts)
    parts.clock.forward(QUIET_S)
    (first,) = complete.run(MODEL.sha256)
    assert parts.finish(parts.jobs.get(first))
    parts.clock.forward(100)
    receive(parts, instance=2)
    parts.clock.forward(QUIET_S)
    (second,) = complete.run(MODEL.sha256)
    assert second != first
    earlier = parts.results.earlier(parts.jobs.get(second))
    assert earlier is not None
    assert earlier.job_id == first
    parts.finish(parts.jobs.get(second), earlier.job_id)
    newest, oldest = parts.results.of_study(earlier.study_key, "clinic")
    assert (newest.job_id, newest.replaces, oldest.job_id, oldest.replaces) == (second, first, first, "")


def test_the_same_image_again_asks_nothing_again(parts: Parts) -> None:
    complete = completion(parts, NODULE)
    receive(parts)
    parts.clock.forward(QUIET_S)
    assert len(complete.run(MODEL.sha256)) == 1
    receive(parts)
    parts.clock.forward(QUIET_S)
    assert complete.run(MODEL.sha256) == []


def test_a_clock_that_is_set_back_counts_from_then_on(parts: Parts) -> None:
    complete = completion(parts, NODULE)
    receive(parts)
    parts.clock.forward(-3600)
    assert complete.run(MODEL.sha256) == []
    parts.clock.forward(QUIET_S - 1)
    assert complete.run(MODEL.sha256) == []
    parts.clock.forward(1)
    assert len(complete.run(MODEL.sha256)) == 1


def test_two_workers_close_a_study_once(parts: Parts) -> None:
    for study in range(1, 6):
        receive(parts, study)
    parts.clock.forward(QUIET_S)
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(completion(parts, NODULE).run, MODEL.sha256) for _ in range(4)]
        asked = [job for run in runs for job in run.result()]
    assert len(asked) == len(set(asked)) == 5
    with parts.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(jobs)) == 5
        assert connection.scalar(select(func.count()).select_from(deliveries)) == 5


def test_an_image_that_comes_just_now_keeps_a_study_open(parts: Parts) -> None:
    complete = completion(parts, NODULE)
    one = receive(parts)
    parts.clock.forward(QUIET_S)
    stale = rows(parts.engine, studies)[0].last_received_us
    receive(parts, instance=2)
    assert complete._close("clinic", one.study_key, stale, MODEL.sha256) == []
    assert rows(parts.engine, studies)[0].is_open


def test_no_rule_fits(parts: Parts) -> None:
    others = (
        Rule(modality="CT", questions=("q",)),
        Rule(calling_ae="CT2", questions=("q",)),
        Rule(body_part="HAND", questions=("q",)),
        Rule(tenant="other", questions=("q",)),
    )
    receive(parts)
    parts.clock.forward(QUIET_S)
    assert completion(parts, *others).run(MODEL.sha256) == []
    assert rows(parts.engine, jobs) == []
    assert not rows(parts.engine, studies)[0].is_open


def test_every_rule_that_fits_is_asked(parts: Parts) -> None:
    fitting = (
        NODULE,
        Rule(questions=("is there a pneumothorax?",)),
        Rule(calling_ae="CT1", questions=("左肺有结节吗",)),
    )
    receive(parts)
    parts.clock.forward(QUIET_S)
    asked = completion(parts, *fitting, NODULE).run(MODEL.sha256)
    assert [parts.jobs.get(job).request.queries for job in asked] == [
        ("is there a nodule?",),
        ("is there a pneumothorax?",),
        ("左肺有结节吗",),
        ("is there a nodule?",),
    ]
    assert len(rows(parts.engine, jobs)) == 3  # what two rules ask is one job


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({}, True),
        ({"modality": "dx"}, True),
        ({"modality": "DX", "body_part": "chest", "calling_ae": "CT1", "tenant": "clinic"}, True),
        ({"modality": "D"}, False),
        ({"modality": "DX", "body_part": "HAND"}, False),
        ({"calling_ae": "ct1"}, False),
        ({"tenant": "clinic2"}, False),
    ],
)
def test_what_fits(rule: dict[str, str], fits: bool, tmp_path: Path) -> None:
    asked = Rule(**rule, questions=("q",))
    assert asked.fits(tenant="clinic", calling_ae="CT1", modalities="CR\\DX", body_parts="ABDOMEN\\CHEST") is fits


def test_a_rule_that_asks_nothing_is_named_at_the_start() -> None:
    vocabulary = load_vocabulary()
    good = Rule(questions=("is there a nodule?", "左肺有结节吗"))
    check_questions([good, Rule(questions=("any fracture?",))], vocabulary)
    for question, said in (("?!", "has no words"), (" ", "empty"), ("x" * 1001, "1001 characters")):
        with pytest.raises(UsageError, match=rf"rules\.1\.questions: .*{said}"):
            check_questions([good, Rule(questions=("nodule", question))], vocabulary)
