"""Archives that are down, slow, broken or stubborn: every result arrives once, or the delivery says that it failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from medground.serving.jobs import Problem
from tests.serving.faults.archive import fail, hang, keep_untold, keeping_archive, late, refuse
from tests.serving.faults.house import at_work, destination, job_of
from tests.serving.faults.proxy import proxy_to
from tests.serving.running import NODULE, eventually, film

pytestmark = pytest.mark.slow


def test_down_then_up_then_cut_in_the_middle_then_slow(tmp_path: Path) -> None:
    with keeping_archive() as archive, proxy_to(archive.url) as proxy:
        proxy.is_down = True
        with at_work(tmp_path, destinations={"pacs": destination(proxy.url)}) as house:
            first = job_of(house.ask(film(tmp_path, 1, NODULE), "pacs"))
            assert eventually(lambda: proxy.refused > 0)
            assert eventually(lambda: house.delivery(first, "pacs").attempts > 0)
            told = Problem.model_validate_json(house.delivery(first, "pacs").problem)
            assert (house.delivery(first, "pacs").state, told.kind) == ("pending", "DeliveryError")
            proxy.cuts = [3000]  # of about 8 kB that the objects have
            proxy.is_down = False
            assert house.is_delivery("done", first, "pacs")
            assert (proxy.cut, house.delivery(first, "pacs").problem) == (1, "")

            proxy.pause_s = 0.05
            second = job_of(house.ask(film(tmp_path, 2), "pacs"))
            assert house.is_delivery("done", second, "pacs")
            assert house.delivery(second, "pacs").attempts == 1
            assert house.nothing_is_doubled()
            assert archive.kept == house.objects_of(first, second)
            assert set(archive.sent.values()) == {1}


def test_what_an_archive_kept_without_a_word_is_sent_again_under_the_same_uids(tmp_path: Path) -> None:
    with (
        keeping_archive(fail(500), keep_untold, late(0.5)) as archive,
        at_work(tmp_path, destinations={"pacs": destination(archive.url)}) as house,
    ):
        job = job_of(house.ask(film(tmp_path, 1, NODULE), "pacs"))
        assert house.is_delivery("done", job, "pacs")
        assert house.delivery(job, "pacs").attempts == 3
        assert archive.kept == house.objects_of(job)
        assert set(archive.sent.values()) == {2}


def test_what_an_archive_refuses_fails_at_once_and_can_be_asked_for_again(tmp_path: Path) -> None:
    with (
        keeping_archive(refuse, fail(409)) as archive,
        at_work(tmp_path, destinations={"pacs": destination(archive.url)}) as house,
    ):
        path = film(tmp_path, 1, NODULE)
        job = job_of(house.ask(path, "pacs"))
        assert house.is_delivery("failed", job, "pacs")
        row = house.delivery(job, "pacs")
        told = Problem.model_validate_json(row.problem)
        assert (row.attempts, told.kind) == (1, "DeliveryError")
        assert told.detail.startswith(f"{len(house.objects_of(job))} of {len(house.objects_of(job))} objects did not")
        (seen,) = house.client.get(f"/v1/jobs/{job}").json()["deliveries"]
        assert seen["state"] == "failed"

        assert job_of(house.ask(path, "pacs")) == job  # a person asks again; it is refused without a reason
        assert eventually(lambda: house.delivery(job, "pacs").attempts == 2)
        assert house.is_delivery("failed", job, "pacs")
        assert archive.kept == {}

        job_of(house.ask(path, "pacs"))
        assert house.is_delivery("done", job, "pacs")
        assert archive.kept == house.objects_of(job)


def test_an_archive_that_hangs_holds_up_its_own_deliveries_only(tmp_path: Path) -> None:
    with keeping_archive(*[hang] * 100) as stuck, keeping_archive() as archive:
        ways = {"pacs": destination(stuck.url, silence_seconds=600), "vna": destination(archive.url)}
        with at_work(tmp_path, destinations=ways) as house, stuck.ending():
            made = [job_of(house.ask(film(tmp_path, number), "pacs")) for number in range(1, 7)]
            assert eventually(lambda: len(stuck.answers) <= 96)  # as many as go there at once hang
            last = job_of(house.ask(film(tmp_path, 7), "vna"))
            assert house.is_delivery("done", last, "vna")  # long before those that hang are given up
            assert archive.kept == house.objects_of(last)
            assert {house.delivery(job, "pacs").state for job in made} == {"pending"}
