"""What a worker answers can be answered again, and whatever goes wrong it says so in the job."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from PIL import Image
from sqlalchemy.exc import OperationalError

from medground.audit.event import Outcome
from medground.dicom.sr import read_sr
from medground.schema.result import Verdict
from medground.serving.database import result_files, results
from medground.serving.jobs import Job, State
from medground.serving.model import SharedReader
from tests.full_disk import no_file_longer_than
from tests.inference.drawn import write_undecodable
from tests.serving.bench import Bench, instead
from tests.serving.running import EFFUSION, NODULE


def test_a_job_is_answered_with_all_its_files(bench: Bench) -> None:
    path = bench.film(NODULE, EFFUSION)
    job = bench.ask(path)
    done = bench.answer(job)
    assert (done.state, done.done, done.total, done.problem) == (State.DONE, 1, 1, None)
    result = bench.result(job)
    nodules, effusions = result.studies[0].answers
    assert (nodules.verdict, effusions.verdict) == (Verdict.FOUND, Verdict.FOUND)
    assert np.allclose(nodules.findings[0].box_xyxy_px, NODULE, atol=1)
    assert np.allclose(effusions.findings[0].box_xyxy_px, EFFUSION, atol=1)
    uid = pydicom.dcmread(path).SOPInstanceUID
    assert result.studies[0].sources == (uid,)  # and no path of this machine
    assert str(bench.folder) not in result.model_dump_json()
    counts = bench.service.results.counts(job.job_id)
    assert (counts["json"], counts["sr"]) == (1, 1)
    assert counts["gsps"] >= 1
    assert read_sr(pydicom.dcmread(io.BytesIO(bench.file(job, "sr")))).studies[0].answers == result.studies[0].answers
    assert pydicom.dcmread(io.BytesIO(bench.file(job, "gsps"))).Modality == "PR"
    with Image.open(io.BytesIO(bench.file(job, "overlay"))) as picture:
        assert picture.format == "PNG"
    uids = {row.sop_uid for row in bench.rows(result_files, job) if row.kind == "sr"}
    assert uids == {str(pydicom.dcmread(io.BytesIO(bench.file(job, "sr"))).SOPInstanceUID)}
    assert bench.audited(job) == [(Outcome.SUCCESS, {"questions": 2, "images": 1})]


def test_to_answer_again_changes_nothing(bench: Bench) -> None:
    job = bench.ask(bench.film(NODULE))
    bench.answer(job)
    before = bench.rows(results, job), bench.rows(result_files, job)
    read = bench.reader.images_read
    bench.answer(job)
    assert (bench.rows(results, job), bench.rows(result_files, job)) == before
    assert bench.reader.images_read == read
    assert len(bench.audited(job)) == 1


def test_a_job_that_was_interrupted_gives_the_same_answer(bench: Bench) -> None:
    """Killed after everything but the transaction at the end: the files are there, and are the same once more."""
    job = bench.ask(bench.film(NODULE))
    gone = OperationalError("", {}, Exception("killed"))

    def killed(*_: object) -> bool:
        raise gone

    broken = replace(bench.worker, results=instead(bench.worker.results, write=killed))
    with pytest.raises(OperationalError):
        replace(broken, sleep=_raise(gone)).answer(job.job_id, 1)
    files = {path.name for path in bench.service.store.path("0" * 64).parents[1].rglob("*") if path.is_file()}
    assert bench.service.jobs.get(job.job_id).state is State.RUNNING
    assert bench.answer(job).state is State.DONE
    digests = {row.sha256 for row in bench.rows(result_files, job) if row.kind in ("sr", "gsps", "overlay")}
    assert digests <= files


def _raise(error: Exception) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        raise error

    return sleep


def test_another_attempts_work_is_none_of_ours(bench: Bench) -> None:
    path = bench.film(NODULE)
    job = bench.ask(path)
    bench.service.jobs.cancel(job)
    again = bench.ask(path)
    bench.worker.answer(job.job_id, 1)
    assert bench.service.jobs.get(job.job_id).state is State.QUEUED
    assert bench.answer(again).state is State.DONE


def test_a_cancelled_job_stops_at_the_next_image(bench: Bench) -> None:
    job = bench.ask(*(bench.film(study=9, instance=number) for number in range(1, 5)))

    def cancel_after_one(job: Job, done: int, total: int) -> bool:
        if done == 1:
            bench.service.jobs.cancel(job)
        return bench.service.jobs.progress(job, done, total)

    jobs = instead(bench.service.jobs, progress=cancel_after_one)
    replace(bench.worker, jobs=jobs).answer(job.job_id, 1)
    assert bench.reader.images_read <= 1
    assert bench.service.jobs.get(job.job_id).state is State.CANCELLED
    assert bench.rows(results, job) == []
    assert bench.audited(job) == []


def test_what_cannot_be_decoded_fails_its_job_alone(bench: Bench) -> None:
    broken = bench.answer(bench.ask(write_undecodable(bench.folder / "broken.dcm", instance=7)))
    assert broken.problem is not None
    assert (broken.state, broken.problem.kind) == (State.FAILED, "DecodeError")
    assert "no image could be decoded" in broken.problem.detail
    assert bench.audited(broken) == [(Outcome.MINOR_FAILURE, {"problem": "DecodeError"})]
    assert bench.answer(bench.ask(bench.film(NODULE))).state is State.DONE


def test_one_broken_image_of_several_is_left_out(bench: Bench) -> None:
    job = bench.answer(bench.ask(bench.film(NODULE, study=1), write_undecodable(bench.folder / "b.dcm", instance=2)))
    assert job.state is State.DONE
    result = bench.result(job)
    assert len(result.refused) == 1
    assert "1 image(s) of this study could not be decoded" in result.studies[0].warnings[-1]


def test_a_fault_of_the_model_is_told_without_what_it_said(bench: Bench) -> None:
    bench.reader.fails_after, path = 0, bench.film(NODULE)
    failed = bench.answer(bench.ask(path))
    assert failed.problem is not None
    assert (failed.state, failed.problem.kind) == (State.FAILED, "InternalError")
    assert "RuntimeError" in failed.problem.detail
    assert "memory" not in failed.problem.detail
    assert bench.audited(failed) == [(Outcome.SERIOUS_FAILURE, {"problem": "RuntimeError"})]
    bench.reader.fails_after = None
    again = bench.ask(path)
    assert (again.attempt, bench.answer(again).state) == (2, State.DONE)


def test_while_the_database_is_away_it_waits(bench: Bench) -> None:
    job = bench.ask(bench.film(NODULE))
    away = iter([OperationalError("", {}, Exception("away"))] * 3)

    def get(job_id: str) -> Job:
        error = next(away, None)
        if error:
            raise error
        return bench.service.jobs.get(job_id)

    jobs = instead(bench.service.jobs, get=get)
    replace(bench.worker, jobs=jobs).answer(job.job_id, 1)
    assert bench.slept == [1.0, 1.0, 1.0]
    assert bench.service.jobs.get(job.job_id).state is State.DONE


def test_while_the_disk_is_full_it_waits(bench: Bench) -> None:
    job = bench.ask(bench.film(NODULE))

    def room(seconds: float) -> None:
        bench.slept.append(seconds)
        full.__exit__(None, None, None)

    full = no_file_longer_than(2000)
    patient = replace(bench.worker, sleep=room)
    bench.service.untrusted.open(bench.service.store.path(_digest(bench, job)))  # its processes are not to be limited
    full.__enter__()
    patient.answer(job.job_id, 1)
    assert bench.slept == [1.0]
    assert bench.service.jobs.get(job.job_id).state is State.DONE


def _digest(bench: Bench, job: Job) -> str:
    (one,) = bench.service.worklist.instances("clinic", job.study_key)
    return one.sha256


def test_a_process_that_ends_leaves_its_job_to_the_next(bench: Bench) -> None:
    job = bench.ask(bench.film(NODULE))
    bench.shared.close()
    with pytest.raises(RuntimeError, match="the service is ending"):
        bench.worker.answer(job.job_id, 1)
    assert bench.service.jobs.get(job.job_id).state is State.RUNNING
    shared = SharedReader(bench.reader)
    replace(bench.worker, reader=shared).answer(job.job_id, 1)
    shared.close()
    assert bench.service.jobs.get(job.job_id).state is State.DONE


def test_a_report_on_more_images_names_the_one_before(bench: Bench) -> None:
    study = next(bench.numbers)
    paths = [bench.film(NODULE, study=study), bench.film(EFFUSION, study=study, instance=2)]
    first = bench.answer(bench.ask(paths[0]))
    second = bench.answer(bench.ask(*paths))
    assert bench.service.results.get(second.job_id, "clinic").replaces == first.job_id
    before, after = (pydicom.dcmread(io.BytesIO(bench.file(job, "sr"))) for job in (first, second))
    named = after.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert "PredecessorDocumentsSequence" not in before
