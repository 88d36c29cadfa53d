"""Results stand as they were written, each beside the others."""

from __future__ import annotations

import pytest

from medground.audit.event import ObjectKind
from medground.serving.database import result_files, results
from medground.serving.jobs import JobRequest, State
from medground.serving.results import ResultNotFoundError
from tests.serving.access.clock import START_US
from tests.serving.parts import MODEL, Parts
from tests.serving.running import rows

MASS = JobRequest(queries=("is there a mass?",))


def test_a_result_is_written_with_its_files_and_the_end_of_its_job(parts: Parts) -> None:
    job = parts.ask(parts.accept(parts.film(1)))
    assert not parts.results.counts(job.job_id)
    assert parts.finish(job)
    row = parts.results.get(job.job_id, "clinic")
    assert (row.job_id, row.study_key, row.question_key) == (job.job_id, job.study_key, job.question_key)
    assert (row.model_name, row.model_version, row.model_sha256) == (MODEL.name, MODEL.version, MODEL.sha256)
    assert (row.replaces, row.created_us) == ("", START_US)
    assert parts.results.counts(job.job_id) == {"json": 1, "sr": 1, "gsps": 1}
    digest = parts.results.digest(job.job_id, "clinic", "sr")
    assert parts.store.read(digest) == f"sr of {job.job_id}".encode()
    assert parts.jobs.get(job.job_id).state is State.DONE


def test_a_result_is_its_tenants_alone(parts: Parts) -> None:
    job = parts.ask(parts.accept(parts.film(1)))
    parts.finish(job)
    for look, is_foreign in (
        (lambda: parts.results.get(job.job_id, "other"), True),
        (lambda: parts.results.digest(job.job_id, "other", "sr"), True),
        (lambda: parts.results.digest(job.job_id, "clinic", "overlay"), False),
        (lambda: parts.results.digest(job.job_id, "clinic", "sr", 2), False),
        (lambda: parts.results.get("0" * 40, "clinic"), False),
    ):
        with pytest.raises(ResultNotFoundError) as error:
            look()
        assert error.value.foreign == ((ObjectKind.JOB, job.job_id) if is_foreign else None)
    assert parts.results.of_study(job.study_key, "other") == []


def test_a_job_that_was_cancelled_writes_nothing(parts: Parts) -> None:
    job = parts.ask(parts.accept(parts.film(1)))
    parts.jobs.begin(job)
    parts.jobs.cancel(job)
    assert not parts.finish(job)
    assert rows(parts.engine, results) == []
    assert rows(parts.engine, result_files) == []


def test_a_second_result_is_none(parts: Parts) -> None:
    job = parts.ask(parts.accept(parts.film(1)))
    assert parts.finish(job)
    before = rows(parts.engine, results), rows(parts.engine, result_files)
    assert not parts.finish(job, kinds=("json",))
    assert (rows(parts.engine, results), rows(parts.engine, result_files)) == before


def test_the_earlier_result_is_about_fewer_images(parts: Parts) -> None:
    one, two, three = (parts.accept(parts.film(1, instance=number)) for number in (1, 2, 3))
    answered = {}
    for name, images in {"1": (one,), "2": (two,), "12": (one, two)}.items():
        parts.clock.forward(1)
        answered[name] = parts.ask(*images)
        parts.finish(answered[name])

    def earlier(*images: object, **changes: object) -> str | None:
        found = parts.results.earlier(parts.ask(*images, **changes))  # type: ignore[arg-type]
        return found.job_id if found else None

    assert earlier(one, two, three) == answered["12"].job_id  # the newest of three
    assert earlier(two, three) == answered["2"].job_id
    assert earlier(one, two) == answered["2"].job_id  # neither itself nor one of other images, but the newest within
    assert earlier(three) is None
    assert earlier(one) is None  # the larger sets go beyond it, not it beyond them
    assert earlier(one, two, three, request=MASS) is None
    assert earlier(one, two, three, model_sha256="1" * 64) is None


def test_results_of_a_study_are_listed_newest_first(parts: Parts) -> None:
    accepted = parts.accept(parts.film(1))
    made = []
    for request in (JobRequest(queries=("a nodule?",)), MASS, JobRequest(queries=("a fracture?",))):
        job = parts.ask(accepted, request=request)
        parts.finish(job)
        made.append(job.job_id)
        parts.clock.forward(1)
    parts.finish(parts.ask(parts.accept(parts.film(2))))
    assert [row.job_id for row in parts.results.of_study(accepted.study_key, "clinic")] == made[::-1]
