"""Where an answer stands, told once or as it changes, and the files that belong to it."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from PIL import Image
from sqlalchemy import Connection, event

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.dicom.sr import read_sr
from medground.schema.result import GroundingResult
from medground.serving.access.scope import Scope
from medground.serving.database import results
from medground.serving.deliveries import Delivery, DeliveryState
from medground.serving.http.jobs import EVENT_PAUSE_S
from medground.serving.jobs import Problem, State
from tests.serving.http.answers import ASYNC, job_of, post, problem
from tests.serving.running import EFFUSION, NODULE, Running, eventually

New = Callable[..., Path]


def test_a_job_tells_where_it_stands(house: Running, new_film: New) -> None:
    client = house.client()
    with house.answering.held():
        answer = post(client, new_film(NODULE), headers=ASYNC)
        url, queued = answer.headers["location"], answer.json()
        assert client.get(url).json() == queued
        assert (queued["images_done"], queued["images"], queued["problem"]) == (0, 0, None)
    assert eventually(lambda: client.get(url).json()["state"] == "done")
    done = client.get(url).json()
    assert (done["images_done"], done["images"], done["result"]) == (1, 1, f"{url}/result")
    assert done["updated"] > done["created"]
    assert done["created"].endswith("Z")


def test_a_job_that_failed_says_why(house: Running, new_film: New) -> None:
    with house.answering.held():
        job = job_of(post(house.client(), new_film(), headers=ASYNC))
        house.service.jobs.fail(house.job(job), Problem(kind="DecodeError", detail="no pixel"))
    view = house.client().get(f"/v1/jobs/{job}").json()
    assert (view["state"], view["problem"]) == ("failed", {"kind": "DecodeError", "detail": "no pixel"})
    problem(house.client().get(f"/v1/jobs/{job}/result"), 404, "not-found")


def test_its_deliveries_and_what_became_of_them(house: Running, new_film: New) -> None:
    job = job_of(post(house.client(), new_film(NODULE), deliver_to="pacs"))
    failed = Problem(kind="DeliveryError", detail="it refuses")
    told: list[DeliveryState] = []

    def then(connection: Connection, state: DeliveryState) -> None:
        told.append(state)

    house.service.deliveries.note(Delivery(job, "pacs", 0, 0), failed, may_pass=False, then=then)
    assert told == [DeliveryState.FAILED]
    (shown,) = house.client().get(f"/v1/jobs/{job}").json()["deliveries"]
    assert shown == {
        "destination": "pacs",
        "state": "failed",
        "attempts": 1,
        "problem": {"kind": "DeliveryError", "detail": "it refuses"},
    }


def test_the_files_of_a_result(house: Running, new_film: New) -> None:
    answer = post(house.client(), new_film(NODULE, EFFUSION), query=["is there a nodule?", "a pleural effusion?"])
    url, client = answer.headers["location"], house.client(Scope.READ)
    result = client.get(f"{url}/result")
    assert (result.headers["content-type"], result.content) == ("application/json", answer.content)
    report = client.get(f"{url}/sr")
    assert report.headers["content-type"] == "application/dicom"
    studies = read_sr(pydicom.dcmread(io.BytesIO(report.content))).studies
    assert studies[0].answers == GroundingResult.model_validate_json(result.content).studies[0].answers
    state = client.get(f"{url}/gsps", params={"number": 1})
    assert pydicom.dcmread(io.BytesIO(state.content)).Modality == "PR"
    counts = house.service.results.counts(job_of(answer))
    for number in range(1, counts["overlay"] + 1):
        picture = client.get(f"{url}/overlay.png", params={"number": number})
        assert picture.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(picture.content)) as opened:
            opened.verify()
    for kind, count in (("sr", counts["sr"]), ("gsps", counts["gsps"]), ("overlay.png", counts["overlay"])):
        refused = client.get(f"{url}/{kind}", params={"number": count + 1})
        problem(refused, 404, "not-found", f"number {count + 1}")
    entries = house.service.audit.read(Selection(action=Action.RESULT_READ, object_id=job_of(answer)))
    formats = [one.event.details["format"] for one in entries]
    # The answer and its files, and none for what was not there.
    assert formats == ["json", "json", "sr", "gsps", *["overlay"] * counts["overlay"]]


def test_where_nothing_was_found_there_is_nothing_to_present(house: Running, new_film: New) -> None:
    url = post(house.client(), new_film()).headers["location"]
    problem(house.client().get(f"{url}/gsps"), 404, "not-found", "no gsps")
    assert house.client().get(f"{url}/sr").status_code == 200


def test_a_file_that_is_gone_from_the_store_is_a_fault_of_ours(house: Running, new_film: New) -> None:
    answer = post(house.client(), new_film())
    house.service.store.path(house.service.results.digest(job_of(answer), "clinic", "sr")).unlink()
    problem(house.client().get(f"{answer.headers['location']}/sr"), 500, "internal", "missing from the store")


def test_a_job_can_be_cancelled_until_it_has_ended(house: Running, new_film: New) -> None:
    path, client = new_film(NODULE), house.client(Scope.GROUND)
    with house.answering.held():
        url = post(client, path, headers=ASYNC).headers["location"]
        cancelled = client.post(f"{url}/cancel")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        problem(client.post(f"{url}/cancel"), 409, "job-ended", "the job is cancelled and cannot be cancelled")
    house.answer()
    job = url.rpartition("/")[2]
    assert (house.job(job).state, [row for row in house.rows(results) if row.job_id == job]) == (State.CANCELLED, [])
    (entry,) = house.service.audit.read(Selection(object_id=job, action=Action.UPDATE))
    assert entry.event.details == {"state": "cancelled"}
    again = post(client, path)  # asked anew, it is answered
    assert (again.status_code, job_of(again), house.job(job).attempt) == (200, job, 2)
    problem(client.post(f"{url}/cancel"), 409, "job-ended", "the job is done")


def events_of(answer: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream, each with its data."""
    event = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield event, json.loads(line.removeprefix("data: "))


def test_progress_is_told_as_it_is_made(house: Running, new_film: New) -> None:
    client = house.client(Scope.READ)
    with house.answering.held():
        url = post(house.client(), new_film(NODULE), headers=ASYNC).headers["location"]
        job = house.job(url.rpartition("/")[2])
        with client.stream("GET", f"{url}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["cache-control"] == "no-store"
            events = events_of(stream)
            assert next(events)[0] == "queued"
            house.service.jobs.begin(job)
            assert next(events)[0] == "running"
            house.service.jobs.progress(job, 3, 7)
            event, data = next(events)
            assert (event, data["images_done"], data["images"]) == ("running", 3, 7)
            house.service.jobs.cancel(job)
            event, data = next(events)
            assert (event, data["id"], data["problem"]) == ("cancelled", job.job_id, None)
            assert list(events) == []  # it has ended
    with client.stream("GET", f"{url}/events") as stream:
        assert [event for event, _ in events_of(stream)] == ["cancelled"]


def test_progress_ends_with_the_service(house: Running, new_film: New) -> None:
    with house.answering.held():
        url = post(house.client(), new_film(NODULE), headers=ASYNC).headers["location"]
        with house.client().stream("GET", f"{url}/events") as stream:
            events = events_of(stream)
            assert next(events)[0] == "queued"
            threading.Timer(EVENT_PAUSE_S, house.service.ending.set).start()
            assert list(events) == []
        house.service.ending.clear()


def test_progress_ends_with_the_credentials(house: Running, new_film: New) -> None:
    with house.answering.held():
        url = post(house.client(), new_film(NODULE), headers=ASYNC).headers["location"]
        short = house.token(Scope.READ, lifetime=timedelta(seconds=6))
        otherwise = threading.Timer(100, house.service.jobs.cancel, [house.job(url.rpartition("/")[2])])
        otherwise.start()
        with house.anybody(Authorization=f"Bearer {short}").stream("GET", f"{url}/events") as stream:
            assert [event for event, _ in events_of(stream)] == ["queued"]
        otherwise.cancel()
    problem(house.anybody(Authorization=f"Bearer {short}").get(url), 401, "not-authenticated")


def test_progress_ends_when_the_token_is_revoked(house: Running, new_film: New) -> None:
    made = house.service.tokens.create("Ann", "clinic", (Scope.READ,), timedelta(days=1))
    client = house.anybody(Authorization=f"Bearer {made.plain}")
    with house.answering.held():
        url = post(house.client(), new_film(NODULE), headers=ASYNC).headers["location"]
        otherwise = threading.Timer(100, house.service.jobs.cancel, [house.job(url.rpartition("/")[2])])
        otherwise.start()
        with client.stream("GET", f"{url}/events") as stream:
            events = events_of(stream)
            assert next(events)[0] == "queued"
            before = house.service.audit.head().sequence
            house.service.tokens.revoke(made.record.token_id)
            assert list(events) == []
        otherwise.cancel()
    (entry,) = house.service.audit.read(Selection(action=Action.REFUSED), after=before)
    assert (entry.event.details["reason"], entry.event.actor) == ("revoked", made.record.subject)


def test_progress_ends_with_the_job_that_is_deleted(house: Running, new_film: New) -> None:
    with house.answering.held():
        url = post(house.client(), new_film(NODULE), headers=ASYNC).headers["location"]
        with house.client(Scope.READ).stream("GET", f"{url}/events") as stream:
            events = events_of(stream)
            assert next(events)[0] == "queued"
            assert house.client(Scope.ADMIN).delete(url).status_code == 204
            assert list(events) == []


def test_progress_asks_the_database_once_a_second(house: Running, new_film: New) -> None:
    """However slow the machine is, it asks no more often than that: for the job, and for the token."""
    asked: list[str] = []

    def count(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        asked.append(statement)

    with house.answering.held():
        url = post(house.client(), new_film(NODULE), headers=ASYNC).headers["location"]
        job = house.job(url.rpartition("/")[2])
        with house.client(Scope.READ).stream("GET", f"{url}/events") as stream:
            events = events_of(stream)
            assert next(events)[0] == "queued"
            event.listen(house.service.engine, "before_cursor_execute", count)
            try:
                began = time.monotonic()
                assert eventually(lambda: sum("FROM jobs" in one for one in asked) >= 3)
                told = list(asked)
                waited = time.monotonic() - began
            finally:
                event.remove(house.service.engine, "before_cursor_execute", count)
            house.service.jobs.cancel(job)
            assert [name for name, _ in events] == ["cancelled"]
    looks = [one for one in told if not one.startswith(("BEGIN", "COMMIT", "PRAGMA"))]
    assert 3 <= sum("FROM jobs" in one for one in looks) <= waited / EVENT_PAUSE_S + 1
    assert {next(name for name in ("jobs", "access_tokens") if f"FROM {name}" in one) for one in looks} == {
        "jobs",
        "access_tokens",
    }
    assert EVENT_PAUSE_S >= 1


def test_a_job_is_deleted_with_its_result(house: Running, new_film: New) -> None:
    answer = post(house.client(), new_film(NODULE))
    url = answer.headers["location"]
    problem(house.client(Scope.ADMIN, tenant="other").delete(url), 404, "not-found")
    deleted = house.client(Scope.ADMIN).delete(url)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for left in (url, f"{url}/result", f"{url}/sr"):
        problem(house.client().get(left), 404, "not-found")
    problem(house.client(Scope.ADMIN).delete(url), 404, "not-found")
    (entry,) = house.service.audit.read(Selection(object_id=job_of(answer), action=Action.DELETED))
    assert entry.event.actor.startswith("token:")
    assert post(house.client(), new_film()).status_code == 200


@pytest.mark.parametrize("ending", ["", "/", "/result/", "/SR", "/overlay", "/json"])
def test_what_a_job_has_not(house: Running, new_film: New, ending: str) -> None:
    job = "0" * 40
    problem(house.client().get(f"/v1/jobs/{job}{ending}"), 404, "not-found")
