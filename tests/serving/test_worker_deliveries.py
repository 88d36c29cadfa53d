"""What a worker delivers arrives once, and whatever goes wrong is noted with the delivery."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from sqlalchemy.exc import OperationalError

from medground.audit.event import Action, Outcome
from medground.serving.archives import DeliveryError
from medground.serving.database import deliveries
from medground.serving.jobs import Job, JobRequest, nothing
from tests.serving.bench import QUESTION, Bench, instead
from tests.serving.running import NODULE


def delivered(bench: Bench) -> Job:
    """A finished job that is to go to the archive."""
    return bench.answer(bench.ask(bench.film(NODULE), request=_to("pacs")))


def _to(*destinations: str) -> JobRequest:
    return QUESTION.model_copy(update={"deliver_to": destinations})


def state_of(bench: Bench, job: Job) -> tuple[str, int, str]:
    (row,) = bench.rows(deliveries, job)
    return row.state, row.attempts, json.loads(row.problem)["kind"] if row.problem else ""


def test_reports_and_presentation_states_are_delivered(bench: Bench) -> None:
    job = delivered(bench)
    bench.worker.deliver(job.job_id, "pacs", 0)
    assert state_of(bench, job) == ("done", 1, "")
    (sent,) = bench.archive.sent
    assert sent[0] == bench.file(job, "sr")
    assert [pydicom.dcmread(io.BytesIO(one)).Modality for one in sent][:2] == ["SR", "PR"]
    assert bench.audited(job, Action.EXPORTED) == [(Outcome.SUCCESS, {"destination": "pacs", "attempt": 1})]
    bench.worker.deliver(job.job_id, "pacs", 0)  # once more, after a crash
    bench.worker.deliver(job.job_id, "pacs", 1)
    assert len(bench.archive.sent) == 1


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DeliveryError("it is away", may_pass=True), ("pending", 1, "DeliveryError")),
        (DeliveryError("it refuses", may_pass=False), ("failed", 1, "DeliveryError")),
        (OSError("a file cannot be read"), ("pending", 1, "InternalError")),
        (ZeroDivisionError("a fault of ours"), ("pending", 1, "InternalError")),
    ],
)
def test_what_did_not_arrive_is_noted(bench: Bench, error: Exception, state: tuple[str, int, str]) -> None:
    job = delivered(bench)
    bench.archive.errors.append(error)
    bench.worker.deliver(job.job_id, "pacs", 0)
    assert state_of(bench, job) == state
    audited = bench.audited(job, Action.EXPORTED)
    assert [outcome for outcome, _ in audited] == ([Outcome.SERIOUS_FAILURE] if state[0] == "failed" else [])
    if state[0] == "pending":
        bench.worker.deliver(job.job_id, "pacs", 1)
        assert state_of(bench, job) == ("done", 2, "")


def test_a_destination_that_the_config_has_no_more(bench: Bench) -> None:
    job = delivered(bench)
    replace(bench.worker, archives={}).deliver(job.job_id, "pacs", 0)
    assert state_of(bench, job) == ("failed", 1, "DeliveryError")


def test_while_the_database_is_away_a_delivery_waits_too(bench: Bench) -> None:
    """Else its workflow would end, and the delivery be pending for ever."""
    job = delivered(bench)
    away = iter([OperationalError("", {}, Exception("away"))] * 2)

    def get(job_id: str, destination: str) -> object:
        error = next(away, None)
        if error:
            raise error
        return bench.service.deliveries.get(job_id, destination)

    waiting = instead(bench.service.deliveries, get=get)
    replace(bench.worker, deliveries=waiting).deliver(job.job_id, "pacs", 0)
    assert bench.slept == [1.0, 1.0]
    assert state_of(bench, job) == ("done", 1, "")


def test_what_is_deleted_while_it_is_sent_was_exported_all_the_same(bench: Bench) -> None:
    job = delivered(bench)

    class Slow:
        def send(self, files: Sequence[Path]) -> None:
            bench.archive.send(files)
            assert bench.service.retention.forget_job(job.job_id, "clinic", nothing)

    replace(bench.worker, archives={"pacs": Slow()}).deliver(job.job_id, "pacs", 0)
    assert len(bench.archive.sent) == 1
    assert bench.audited(job, Action.EXPORTED) == [(Outcome.SUCCESS, {"destination": "pacs", "attempt": 1})]
    bench.worker.deliver(job.job_id, "pacs", 0)
    assert len(bench.archive.sent) == 1


def test_the_log_says_what_was_done_and_of_whom_nothing(bench: Bench) -> None:
    job = delivered(bench)
    bench.worker.deliver(job.job_id, "pacs", 0)
    lines = [json.loads(line) for line in bench.logged.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["job_done", "delivery"]
    assert isinstance(lines[0]["milliseconds"], int)
    assert lines[1]["state"] == "done"
    for canary in ("Secret", "SECRET", "nodule", "1.2.826", str(bench.folder)):
        assert canary not in bench.logged.getvalue()
