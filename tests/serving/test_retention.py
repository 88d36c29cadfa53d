"""What is over is forgotten whole, and nothing else is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from medground.serving.commitments import Commitments
from medground.serving.config import RetentionConfig
from medground.serving.database import idempotency, metadata, studies, writing
from medground.serving.dicom_receiver.commitment import CommitmentRequest, Reference
from medground.serving.intake import Origin
from medground.serving.jobs import Job, Then, nothing
from medground.serving.result_file import ResultFile
from medground.serving.retention import DAY_US, YOUNG_S, Retention
from medground.serving.reviews import ReviewAction, ReviewEntry
from tests.serving.parts import MODEL, QUESTION, Parts
from tests.serving.running import eventually, rows

KEPT = frozenset({"schema_versions"})


@pytest.fixture
def told() -> list[tuple[str, str, int]]:
    return []


@pytest.fixture
def retention(parts: Parts, told: list[tuple[str, str, int]]) -> Retention:
    def record(study_key: str, tenant: str, images: int, connection: Connection) -> None:
        told.append((study_key, tenant, images))

    return Retention(
        parts.engine, parts.store, RetentionConfig(studies_days=30, keys_days=1000), parts.clock.now_us, record
    )


def whole_study(parts: Parts, study: int, tenant: str = "clinic") -> Job:
    """A study with images, a result, a delivery, a review and an idempotency key."""
    accepted = [parts.accept(parts.film(study, instance=number), tenant) for number in (1, 2)]
    job = parts.ask(*accepted, tenant=tenant)
    parts.finish(job)
    parts.order(job, "pacs")
    accept = ReviewEntry(action=ReviewAction.ACCEPT, finding_id="f")
    parts.reviews.add(job.job_id, tenant, accept, seen=0, reviewer=("token:1", "Ann"), then=nothing)
    with writing(parts.engine) as connection:
        key = {"tenant": tenant, "key_sha256": f"{study}", "request_sha256": "r", "job_id": job.job_id}
        connection.execute(idempotency.insert().values(**key, created_us=parts.clock.now_us()))
    return job


def what_is_there(engine: Engine) -> dict[str, list[object]]:
    return {table.name: rows(engine, table) for table in metadata.sorted_tables if table.name not in KEPT}


def files(parts: Parts) -> set[str]:
    return {path.name for path in (parts.folder / "objects").rglob("*") if path.is_file()}


def make_old(parts: Parts) -> None:
    """Files by the clock of the test, older than what a process may be working on."""
    then = parts.clock.now_us() / 1e6 - YOUNG_S - 1
    for path in (parts.folder / "objects").rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def test_everything_of_a_study_goes_and_everything_else_stays(
    parts: Parts, retention: Retention, told: list[tuple[str, str, int]]
) -> None:
    over = whole_study(parts, 1)
    parts.clock.forward(20 * 86400)
    before = files(parts)
    whole_study(parts, 2)
    whole_study(parts, 1, "other")  # of the same patient, and the same bytes, in another tenant
    kept = files(parts) - before | {path.name for path in map(parts.store.path, before) if _is_image(path)}
    parts.clock.forward(11 * 86400)
    make_old(parts)
    tables = what_is_there(parts.engine)
    retention.run()
    assert told == [(over.study_key, "clinic", 2)]
    left = what_is_there(parts.engine)
    for name, before_rows in tables.items():
        gone = [row for row in before_rows if row not in left[name]]
        by_number = name in ("job_instances", "instance_views")
        assert all(by_number or over.job_id in row or over.study_key in row for row in gone), name  # type: ignore[operator]
        assert over.job_id not in str(left[name])
        assert over.study_key not in str(left[name])
        assert len(gone) == len(before_rows) // 3, name
    assert files(parts) == kept


def _is_image(path: Path) -> bool:
    return path.read_bytes()[128:132] == b"DICM"


def test_files_go_with_the_last_row_that_speaks_of_them(parts: Parts, retention: Retention) -> None:
    whole_study(parts, 1)
    parts.clock.forward(31 * 86400)
    make_old(parts)
    retention.run()
    assert files(parts) == set()
    assert all(not found for found in what_is_there(parts.engine).values())


def test_a_study_counts_from_its_last_image(parts: Parts, retention: Retention) -> None:
    parts.accept(parts.film(1))
    parts.clock.forward(29 * 86400)
    parts.accept(parts.film(1, instance=2))
    parts.clock.forward(29 * 86400)
    retention.run()
    assert rows(parts.engine, studies)[0].images == 2
    parts.clock.forward(86401)
    retention.run()
    assert rows(parts.engine, studies) == []


def test_a_study_that_is_still_coming_in_stays(parts: Parts, retention: Retention) -> None:
    parts.accept(parts.film(1), origin=Origin.DICOM, ae="CT1")
    parts.clock.forward(100 * 86400)
    retention.run()
    assert len(rows(parts.engine, studies)) == 1


def test_an_image_that_comes_just_now_keeps_its_study(parts: Parts, retention: Retention) -> None:
    accepted = parts.accept(parts.film(1))
    parts.clock.forward(31 * 86400)
    before_us = parts.clock.now_us() - 30 * DAY_US
    parts.accept(parts.film(1, instance=2))
    assert retention.forget("clinic", accepted.study_key, before_us=before_us) == 0
    assert rows(parts.engine, studies)[0].images == 2
    assert retention.forget("clinic", accepted.study_key) == 2
    assert retention.forget("clinic", accepted.study_key) == 0


def test_a_deletion_that_cannot_be_recorded_does_not_happen(parts: Parts) -> None:
    def broken(study_key: str, tenant: str, images: int, connection: Connection) -> None:
        raise OSError("the audit log is away")

    job = whole_study(parts, 1)
    before = what_is_there(parts.engine)
    away = Retention(parts.engine, parts.store, RetentionConfig(), parts.clock.now_us, broken)
    with pytest.raises(OSError, match="audit log"):
        away.forget("clinic", job.study_key)
    assert what_is_there(parts.engine) == before


def test_a_job_alone_is_forgotten(parts: Parts, retention: Retention, told: list[tuple[str, str, int]]) -> None:
    job, other = whole_study(parts, 1), whole_study(parts, 2)
    before, recorded = what_is_there(parts.engine), list[object]()
    assert not retention.forget_job(job.job_id, "other", recorded.append)
    assert not retention.forget_job("0" * 40, "clinic", recorded.append)
    assert what_is_there(parts.engine) == before
    assert recorded == []
    assert retention.forget_job(job.job_id, "clinic", recorded.append)
    assert (len(recorded), told) == (1, [])
    left = what_is_there(parts.engine)
    for name, there in before.items():
        own = name in ("studies", "instances", "instance_views")
        assert left[name] == [row for row in there if own or job.job_id not in row], name  # type: ignore[operator]
    assert parts.jobs.get(other.job_id).job_id == other.job_id


def test_without_a_limit_studies_stay_and_keys_go(parts: Parts) -> None:
    kept = Retention(parts.engine, parts.store, RetentionConfig(), parts.clock.now_us, _never)
    whole_study(parts, 1)
    parts.clock.forward(7 * 86400)
    kept.run()
    assert len(rows(parts.engine, idempotency)) == 1
    parts.clock.forward(1)
    kept.run()
    assert rows(parts.engine, idempotency) == []
    parts.clock.forward(9000 * 86400)
    kept.run()
    assert len(rows(parts.engine, studies)) == 1


def test_requests_for_commitment_that_nobody_takes_the_report_of_go(parts: Parts) -> None:
    """Whoever asked may have no address for reports, and never call again."""
    kept = Retention(parts.engine, parts.store, RetentionConfig(commitments_days=3), parts.clock.now_us, _never)
    asked = Commitments(parts.engine, parts.store, parts.clock.now_us)
    old, young = (
        CommitmentRequest(
            tenant="clinic",
            calling_ae_title="CT1",
            called_ae_title="MEDGROUND",
            transaction_uid=f"1.2.{number}",
            references=(Reference(sop_class_uid="1.2", sop_instance_uid="1.3"),),
        )
        for number in (1, 2)
    )
    asked.add(old)
    parts.clock.forward(1)
    asked.add(young)
    parts.clock.forward(3 * 86400 - 1)
    kept.run()
    assert list(asked.pending()) == [old, young]
    parts.clock.forward(1)
    kept.run()
    assert list(asked.pending()) == [young]


def _never(study_key: str, tenant: str, images: int, connection: Connection) -> None:
    raise AssertionError("nothing is to be deleted")


def test_what_a_killed_process_left_is_swept(parts: Parts, retention: Retention) -> None:
    left = parts.folder / "objects" / "incoming" / "left"
    left.write_bytes(b"half")
    parts.store.add(b"never spoken of")
    parts.clock.forward(time.time() - parts.clock.now_us() / 1e6)
    retention.run()
    assert len(files(parts)) == 2  # young
    parts.clock.forward(YOUNG_S + 1)
    retention.run()
    assert files(parts) == set()


Adding = Callable[[Parts, Job, Then], object]


def _review(parts: Parts, job: Job, then: Then) -> object:
    entry = ReviewEntry(action=ReviewAction.SIGN)
    return parts.reviews.add(job.job_id, "clinic", entry, seen=1, reviewer=("token:1", "Ann"), then=then)


def _signed(parts: Parts, job: Job, then: Then) -> object:
    """What signing adds."""

    def also(connection: Connection) -> None:
        file = ResultFile("signed", 1, "1.2", parts.store.add(b"a signed report"))
        parts.results.add_file(connection, job.job_id, file)
        then(connection)

    return _review(parts, job, also)


def _result(parts: Parts, job: Job, then: Then) -> object:
    (image,) = parts.worklist.instances("clinic", job.study_key)[:1]
    other = parts.jobs.get(_asked(parts, image.instance_id, nothing))
    parts.jobs.begin(other)
    file = ResultFile("json", 1, "", parts.store.add(b"a result"))
    return parts.results.write(other, [file], MODEL, "", then)


def _job(parts: Parts, job: Job, then: Then) -> object:
    (image,) = parts.worklist.instances("clinic", job.study_key)[:1]
    return _asked(parts, image.instance_id, then)


def _asked(parts: Parts, instance_id: int, then: Then) -> str:
    with writing(parts.engine) as connection:
        made = parts.jobs.submit(
            connection,
            tenant="clinic",
            instance_ids=[instance_id],
            request=QUESTION,
            model_sha256="0" * 64,
            origin="http",
            requested_by="t",
        )
        then(connection)
    return made


@pytest.mark.parametrize("adding", [_review, _signed, _result, _job])
def test_what_is_added_while_a_study_is_deleted_goes_with_it(
    parts: Parts, retention: Retention, adding: Adding
) -> None:
    job, held, go = whole_study(parts, 1), threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        held.set()
        assert go.wait(60)

    with ThreadPoolExecutor(2) as pool:
        added = pool.submit(adding, parts, job, hold)
        assert held.wait(60)
        forgotten = pool.submit(retention.forget, "clinic", job.study_key)
        assert eventually(lambda: forgotten.done() or _somebody_waits(parts.engine))
        go.set()
        added.result()
        assert forgotten.result() == 2
    assert all(not found for found in what_is_there(parts.engine).values())


def _somebody_waits(engine: Engine) -> bool:
    """Whether a transaction waits for another; on SQLite a writer always does."""
    if engine.dialect.name == "sqlite":
        return True
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with engine.connect() as connection:
        return bool(connection.scalar(waiting))
