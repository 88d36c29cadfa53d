"""What a worker does can be repeated, and whatever goes wrong it says so in the job."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from sqlalchemy import Table
from sqlalchemy.exc import OperationalError

from medground.audit.event import Action, Outcome
from medground.audit.log import Selection
from medground.dicom.sr import read_sr
from medground.schema.result import GroundingResult, Verdict
from medground.serving.archives import DeliveryError
from medground.serving.database import deliveries, result_files, results, writing
from medground.serving.intake import Accepted, Origin, Sender, read_file
from medground.serving.jobs import Job, JobRequest, State, nothing
from medground.serving.model import SharedReader
from medground.serving.service import Service
from medground.serving.worker import Worker
from tests.full_disk import no_file_longer_than
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import BlobPx, write_undecodable
from tests.serving.running import EFFUSION, NODULE, film, opened, rows, worker_of

QUESTION = JobRequest(queries=("is there a nodule?", "is there a pleural effusion?"))


@dataclass
class Folder:
    """An archive that keeps what it is sent, after as many errors as it is given."""

    errors: list[Exception] = field(default_factory=list)
    sent: list[list[bytes]] = field(default_factory=list)

    def send(self, files: Sequence[Path]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append([path.read_bytes() for path in files])


@dataclass
class Bench:
    """A worker and its service."""

    service: Service
    reader: BlobReader
    shared: SharedReader
    worker: Worker
    archive: Folder
    logged: io.StringIO
    slept: list[float]
    folder: Path
    numbers: Iterator[int]

    def film(self, *blobs: BlobPx, study: int | None = None, instance: int = 1) -> Path:
        """A film, of a new study unless one is given."""
        return film(self.folder, study or next(self.numbers), *blobs, instance=instance)

    def rows(self, table: Table, job: Job) -> list[Any]:
        return [row for row in rows(self.service.engine, table) if row.job_id == job.job_id]

    def accept(self, path: Path) -> Accepted:
        with self.service.store.incoming() as incoming:
            read_file(path, incoming)
            return self.service.intake.accept(incoming, Sender("clinic", Origin.HTTP))

    def ask(self, *paths: Path, request: JobRequest = QUESTION) -> Job:
        ids = [self.accept(path).instance_id for path in paths]
        with writing(self.service.engine) as connection:
            made = self.service.jobs.submit(
                connection,
                tenant="clinic",
                instance_ids=ids,
                request=request,
                model_sha256=self.reader.sha256,
                origin="http",
                requested_by="t",
            )
            self.service.deliveries.order(connection, made, request.deliver_to)
        return self.service.jobs.get(made)

    def answer(self, job: Job) -> Job:
        self.worker.answer(job.job_id, job.attempt)
        return self.service.jobs.get(job.job_id)

    def result(self, job: Job) -> GroundingResult:
        digest = self.service.results.digest(job.job_id, "clinic", "json")
        return GroundingResult.model_validate_json(self.service.store.read(digest))

    def file(self, job: Job, kind: str, number: int = 1) -> bytes:
        return self.service.store.read(self.service.results.digest(job.job_id, "clinic", kind, number))

    def audited(self, job: Job, action: Action = Action.GROUNDED) -> list[tuple[Outcome, dict[str, Any]]]:
        entries = self.service.audit.read(Selection(object_id=job.job_id, action=action))
        return [(one.event.outcome, dict(one.event.details)) for one in entries]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, io.StringIO]]:
    with opened(tmp_path_factory.mktemp("service")) as made:
        yield made


@pytest.fixture
def bench(service: tuple[Service, io.StringIO], tmp_path: Path, numbers: Iterator[int]) -> Iterator[Bench]:
    reader = BlobReader()
    shared, archive, slept = SharedReader(reader), Folder(), list[float]()
    worker = replace(worker_of(service[0], shared, {"pacs": archive}), sleep=slept.append)
    service[1].truncate(service[1].seek(0))
    yield Bench(service[0], reader, shared, worker, archive, service[1], slept, tmp_path, numbers)
    shared.close()


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

    broken = replace(bench.worker, results=_Raising(bench.worker.results, killed))  # type: ignore[arg-type]
    with pytest.raises(OperationalError):
        replace(broken, sleep=_raise(gone)).answer(job.job_id, 1)
    files = {path.name for path in bench.service.store.path("0" * 64).parents[1].rglob("*") if path.is_file()}
    assert bench.service.jobs.get(job.job_id).state is State.RUNNING
    assert bench.answer(job).state is State.DONE
    digests = {row.sha256 for row in bench.rows(result_files, job) if row.kind in ("sr", "gsps", "overlay")}
    assert digests <= files


@dataclass
class _Raising:
    """Results whose `write` raises."""

    inner: Any
    write: Callable[..., bool]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


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

    jobs = _Raising(bench.service.jobs, lambda: False)
    jobs.progress = cancel_after_one  # type: ignore[attr-defined]
    replace(bench.worker, jobs=jobs).answer(job.job_id, 1)  # type: ignore[arg-type]
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

    jobs = _Raising(bench.service.jobs, lambda: False)
    jobs.get = get  # type: ignore[attr-defined]
    replace(bench.worker, jobs=jobs).answer(job.job_id, 1)  # type: ignore[arg-type]
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

    waiting = _Raising(bench.service.deliveries, lambda: False)
    waiting.get = get  # type: ignore[attr-defined]
    replace(bench.worker, deliveries=waiting).deliver(job.job_id, "pacs", 0)  # type: ignore[arg-type]
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
