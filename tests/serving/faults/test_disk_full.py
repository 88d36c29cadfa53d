"""A disk without room: images are refused, nothing half-written stays, and what was accepted waits for room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from medground.serving.config import HttpConfig
from medground.serving.database import instances
from medground.serving.dicom_receiver.commands import Status
from medground.serving.dicom_receiver.delivery import Delivery
from tests.full_disk import no_file_longer_than
from tests.inference.drawn import drawn, write_dx
from tests.serving.faults.house import House, at_work, job_of, rule
from tests.serving.running import NODULE, eventually, film, rows

pytestmark = pytest.mark.slow
LONGEST_BYTES = 8 * 2**20  # more than SQLite's files need here


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of so many bytes."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "medground-test", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], capture_output=True, check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """No room in a folder's file system while the block lasts."""
    ballast = folder / "ballast"
    free = os.statvfs(folder)
    ballast.write_bytes(bytes(free.f_bavail * free.f_frsize))
    try:
        yield
    finally:
        ballast.unlink()


def objects(folder: Path) -> set[Path]:
    return {path for path in (folder / "state" / "objects").rglob("*") if path.is_file() and path.name != "ballast"}


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"] == "urn:medground:problem:storage-full"
    assert int(answer.headers["retry-after"]) > 0


def assert_sent_later(house: House, path: Path) -> None:
    (outcome,) = house.store(path)
    assert (outcome.delivery, outcome.status) == (Delivery.TRANSIENT, Status.OUT_OF_RESOURCES)


def test_images_that_do_not_fit_are_refused_and_accepted_once_they_do(tmp_path: Path) -> None:
    """The limit holds for the spool of a form as well."""
    large = [write_dx(tmp_path / f"{study}.dcm", drawn(rows=2300, columns=2300), study=study) for study in (1, 2)]
    assert all(path.stat().st_size > LONGEST_BYTES for path in large)
    with at_work(tmp_path, rules=(rule(),), http=HttpConfig(max_body_bytes=2**25)) as house:
        with no_file_longer_than(LONGEST_BYTES):
            assert_refused(house.ask(large[0]))
            assert_sent_later(house, large[1])
            assert (objects(tmp_path), rows(house.service.engine, instances)) == (set(), [])
            job_of(house.ask(film(tmp_path, 3)))  # a small one fits
            assert house.all_are("done", 1)
        job_of(house.ask(large[0]))
        assert [one.delivery for one in house.store(large[1])] == [Delivery.ARRIVED]
        assert house.all_are("done", 3)
        assert house.nothing_is_doubled()


def test_a_job_that_has_no_room_for_its_result_waits_for_it(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "state" / "objects", 2**20) as disk,
        at_work(tmp_path, rules=(rule(),)) as house,
    ):
        first = job_of(house.ask(film(tmp_path, 1, NODULE)))
        assert house.all_are("done", 1)
        before = objects(tmp_path)
        with filled(disk):
            assert_refused(house.ask(film(tmp_path, 2)))
            assert_sent_later(house, film(tmp_path, 3))
            here = house.client.get(f"/v1/jobs/{first}").json()["study"]
            asked = house.client.post(
                "/v1/ground",
                headers={"Prefer": "respond-async"},
                data={"study": here, "query": "is there a pleural effusion?"},
            )
            second = job_of(asked)
            assert eventually(lambda: '"waiting"' in house.logged.getvalue())
            assert eventually(lambda: objects(tmp_path) == before)  # each attempt takes away what it began
            assert house.client.get(f"/v1/jobs/{second}").json()["state"] == "running"
        assert house.all_are("done", 2)
        job_of(house.ask(film(tmp_path, 2)))
        assert [one.delivery for one in house.store(film(tmp_path, 3))] == [Delivery.ARRIVED]
        assert house.all_are("done", 4)
        assert house.nothing_is_doubled()
        assert not list((disk / "incoming").iterdir())
