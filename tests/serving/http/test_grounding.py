"""Images and questions in, a result or a job out; and every other thing that may be sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.schema.result import Verdict
from medground.serving.access.scope import Scope
from medground.serving.database import idempotency, instances, jobs
from medground.serving.http.grounding import is_foreign, preferred_wait_s
from medground.serving.jobs import State
from tests.inference.drawn import write_sr_like, write_undecodable
from tests.serving.http.answers import ASYNC, QUESTION, job_of, post, problem, result_of
from tests.serving.running import EFFUSION, MOST_WAIT_S, NODULE, OTHER, Running, film

New = Callable[..., Path]


def test_a_question_is_answered(house: Running, new_film: New) -> None:
    answer = post(house.client(Scope.GROUND), new_film(NODULE))
    result = result_of(answer)
    (found,) = result.studies[0].answers
    assert (found.query, found.verdict) == (QUESTION, Verdict.FOUND)
    assert np.allclose(found.findings[0].box_xyxy_px, NODULE, atol=1)
    assert answer.headers["content-location"] == f"{answer.headers['location']}/result"
    assert answer.headers["x-refused-files"] == "0"
    assert answer.content == house.client().get(answer.headers["content-location"]).content


def test_the_same_again_is_the_same_answer(house: Running, new_film: New) -> None:
    path, client = new_film(NODULE), house.client(Scope.GROUND)
    first = post(client, path)
    with house.answering.held():  # nothing is read again
        again = post(client, path)
    assert (again.content, again.headers["location"]) == (first.content, first.headers["location"])
    study = house.job(job_of(first)).study_key
    assert post(client, study=study).headers["location"] == first.headers["location"]
    assert post(client, path, path).headers["location"] == first.headers["location"]


def test_several_questions_and_settings(house: Running, new_film: New) -> None:
    asked = {
        "query": [QUESTION, "左侧有胸腔积液吗", "any fracture?"],
        "min_score": "0.5",
        "max_boxes": "1",
        "top_k": "0",
    }
    result = result_of(post(house.client(), new_film(NODULE, (100, 60, 130, 90), EFFUSION), **asked))
    assert [one.query for one in result.studies[0].answers] == asked["query"]
    assert (result.settings.min_score, result.settings.max_boxes, result.settings.top_k) == (0.5, 1, 0)
    assert len(result.studies[0].answers[0].findings) == 1


def test_it_need_not_be_waited_for(house: Running, new_film: New) -> None:
    client = house.client()
    with house.answering.held():
        answer = post(client, new_film(NODULE), headers=ASYNC)
        assert answer.status_code == 202
        view = answer.json()
        assert (view["state"], view["queries"], view["result"]) == ("queued", [QUESTION], None)
        assert answer.headers["location"] == f"/v1/jobs/{view['id']}"
        assert "content-location" not in answer.headers
        started = time.monotonic()
        waited = post(client, study=view["study"], headers={"Prefer": "wait=1"})
        assert 1 <= time.monotonic() - started < MOST_WAIT_S - 10
        assert (waited.status_code, waited.json()["id"]) == (202, view["id"])
    assert post(client, study=view["study"]).status_code == 200
    assert post(client, study=view["study"], headers=ASYNC).status_code == 200  # it is there


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 60),
        ("", 60),
        ("respond-async", 0),
        ("Respond-Async", 0),
        ("wait=5", 5),
        ("wait = 5", 5),
        ('wait="5"', 5),
        ("wait=0", 0),
        ("wait=1000", 60),
        ("respond-async, wait=7", 7),  # not longer than that (RFC 7240, section 4.3)
        ("wait=7;foo=bar, respond-async", 7),
        ("wait=2, wait=9", 2),
        ("wait=-1", 60),
        ("wait=soon", 60),
        ("wait=99999", 60),
        ("await=5", 60),
        ("not-respond-async", 60),
        ("return=minimal, handling=lenient", 60),
        (",,;=;,\x7f\xff" * 500, 60),
    ],
)
def test_what_prefer_asks_for(header: str | None, seconds: float) -> None:
    assert preferred_wait_s(header, 60) == seconds


@pytest.mark.parametrize("header", ["wait=-1, x", "\x7fgarbage", "é" * 300, "wait=" + "9" * 5000])
def test_garbage_in_prefer_is_left_aside(house: Running, new_film: New, header: str) -> None:
    answer = post(house.client(), new_film(), headers={"Prefer": header.encode("latin-1")})
    assert answer.status_code == 200


def test_a_key_stands_for_one_request(house: Running, new_film: New, numbers: Any) -> None:
    client, path, key = house.client(), new_film(NODULE), f"key-{next(numbers)}"
    first = post(client, path, headers={"Idempotency-Key": key})
    again = post(client, path, headers={"Idempotency-Key": key})
    assert (again.status_code, again.headers["location"]) == (200, first.headers["location"])
    count = len(house.rows(jobs))
    for details in ({"query": "is there a mass?"}, {"max_boxes": "7"}, {"deliver_to": "pacs"}):
        refused = post(client, path, headers={"Idempotency-Key": key}, **details)
        problem(refused, 409, "idempotency-conflict", "take a new one")
    problem(post(client, new_film(NODULE), headers={"Idempotency-Key": key}), 409, "idempotency-conflict")
    assert len(house.rows(jobs)) == count  # nothing of what was refused was begun
    assert len([row for row in house.rows(idempotency) if row.job_id == job_of(first)]) == 1
    other = post(house.client(tenant=OTHER), path, headers={"Idempotency-Key": key})
    assert (other.status_code, other.headers["location"] == first.headers["location"]) == (200, False)


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "\x7f", "é"])
def test_what_no_key_is(house: Running, new_film: New, key: str) -> None:
    refused = post(house.client(), new_film(), headers={"Idempotency-Key": key.encode("latin-1")})
    problem(refused, 422, "invalid-request", "idempotency-key")


def test_results_that_go_to_archives(house: Running, new_film: New) -> None:
    answer = post(house.client(), new_film(NODULE), deliver_to="pacs")
    (delivery,) = house.client().get(answer.headers["location"]).json()["deliveries"]
    assert (delivery["destination"], delivery["state"], delivery["attempts"]) == ("pacs", "pending", 0)
    problem(post(house.client(), new_film(), deliver_to=["pacs", "vna"]), 422, "unknown-destination")


@pytest.mark.parametrize(
    ("details", "kind", "said"),
    [
        ({"query": None}, "invalid-request", "query: ask one question or more"),
        ({"query": ""}, "query", "empty"),
        ({"query": " \n "}, "query", "empty"),
        ({"query": "?!"}, "query", "no words"),
        ({"query": "x" * 2000}, "query", "2000 characters; at most 1000"),
        ({"query": "a\0b"}, "query", "control character U+0000"),
        ({"query": [QUESTION, ""]}, "query", "empty"),
        ({"query": [f"{QUESTION} {n}" for n in range(38)] + ["?"]}, "query", "no words"),
        ({"min_score": "2"}, "invalid-request", "min_score: "),
        ({"min_score": "nan"}, "invalid-request", "min_score: "),
        ({"min_score": "often"}, "invalid-request", "min_score: "),
        ({"max_boxes": "0"}, "invalid-request", "max_boxes: "),
        ({"max_boxes": "9" * 5000}, "invalid-request", "max_boxes: "),
        ({"top_k": "-1"}, "invalid-request", "top_k: "),
        ({"deliver_to": "vna"}, "unknown-destination", "deliver_to"),
        ({"deliver_to": "../pacs"}, "unknown-destination", "deliver_to"),
        ({"colour": "red"}, "invalid-request", "a field that is not known"),
    ],
)
def test_fields_that_are_wrong(house: Running, new_film: New, details: dict[str, Any], kind: str, said: str) -> None:
    before = len(house.rows(instances))
    problem(post(house.client(), new_film(), **details), 422, kind, said)
    assert len(house.rows(instances)) == before  # told before anything is kept


def test_more_questions_than_are_answered_at_once(tmp_path: Path, house: Running, new_film: New) -> None:
    problem(post(house.client(), new_film(), query=[QUESTION] * 60), 413, "too-many-parts", "40 files and 40 fields")


@pytest.mark.parametrize("question", ["nughoH qaSDaq DaHjaj 'oH'a'?", "Ph'nglui mglw'nafh Cthulhu", "☢ nodule ☢"])
def test_words_that_nobody_taught_it(house: Running, new_film: New, question: str) -> None:
    """An answer, and a defined one: what names no finding is said to be unsupported."""
    (answer,) = result_of(post(house.client(), new_film(NODULE), query=question)).studies[0].answers
    if "nodule" in question:
        assert answer.verdict is Verdict.FOUND
    else:
        assert (answer.verdict, answer.presence, answer.findings) == (Verdict.UNSUPPORTED, None, ())
        assert answer.understood.unknown_words


@pytest.mark.parametrize(
    "question", ["есть ли узелок?", "هل هناك عقدة؟", "폐결절이 있습니까", "はいにけっせつはありますか"]
)
def test_a_language_that_is_not_read(house: Running, new_film: New, question: str) -> None:
    before = len(house.rows(instances))
    for query in (question, [QUESTION, question]):
        refused = post(house.client(), new_film(NODULE), query=query)
        problem(refused, 422, "unknown-language", "ask in English or Chinese")
    assert len(house.rows(instances)) == before


def test_a_finding_that_is_named_is_looked_for_whatever_stands_around_it(house: Running, new_film: New) -> None:
    question = "узелок в верхней доле левого легкого: nodule?"
    (answer,) = result_of(post(house.client(), new_film(NODULE), query=question)).studies[0].answers
    assert answer.verdict is Verdict.FOUND


@pytest.mark.parametrize(
    ("question", "foreign"),
    [
        ("nodule?", False),
        ("Knötchen", False),
        ("左肺有结节吗", False),
        ("CT 平扫: 结节", False),
        ("π nodule", False),
        ("?!", False),
        ("узел", True),
        ("узел n", True),
        ("結節はありますか", True),
    ],
)
def test_scripts_of_a_question(question: str, foreign: bool) -> None:
    assert is_foreign(question) is foreign


def test_the_same_question_twice(house: Running, new_film: New) -> None:
    result = result_of(post(house.client(), new_film(NODULE), query=[QUESTION, QUESTION]))
    assert [len(one.findings) for one in result.studies[0].answers] == [1, 1]


def test_files_or_a_study_and_not_both(house: Running, new_film: New) -> None:
    client, path = house.client(), new_film()
    study = house.job(job_of(post(client, path))).study_key
    problem(post(client, path, study=study), 422, "invalid-request", "give files, or one study")
    problem(post(client, study=[study, study]), 422, "invalid-request")
    problem(post(client, study="0" * 24), 404, "not-found")
    problem(post(house.client(tenant=OTHER), study=study), 404, "not-found")
    for malformed in ("", "x", "0" * 23, "0" * 25, "G" * 24, "../../etc/passwd", "1.2.826.0.1", "\x00" * 24):
        problem(post(client, study=malformed), 422, "invalid-request", "24 hexadecimal digits")
    problem(post(client), 422, "no-file", "send DICOM files")
    problem(post(client, file="no file but text"), 422, "no-file")


def test_a_charset_that_makes_halves_of_letters(house: Running) -> None:
    """UTF-7 can spell half a surrogate pair, which no database takes."""
    body = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    for field, value in ((b"study", b"+2AA-"), (b"deliver_to", b"+2AA-"), (b"+2AA-", b"x"), (b"query", b"+2AA-")):
        content = body % (b"query", b"is there a nodule?") + body % (field, value) + b"--b--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=b; charset=utf-7"}
        answer = house.client().post("/v1/ground", content=content, headers=headers)
        assert answer.status_code == 422, (field, answer.text)


def test_a_question_that_is_sent_as_a_file(house: Running, new_film: New) -> None:
    files = [("file", ("a", new_film().read_bytes())), ("query", ("q.txt", QUESTION.encode()))]
    problem(house.client().post("/v1/ground", files=files), 422, "invalid-request", "only the field file takes files")


def test_two_studies_at_once(house: Running, new_film: New) -> None:
    one, other = new_film(NODULE), new_film()
    before = len(house.rows(instances))
    problem(post(house.client(), one, other), 422, "several-studies", "2 studies; they were kept")
    assert len(house.rows(instances)) == before + 2
    assert post(house.client(), one).status_code == 200


def test_an_object_that_is_there_with_other_bytes(house: Running, numbers: Any, tmp_path: Path) -> None:
    number = next(numbers)
    assert post(house.client(), film(tmp_path, number)).status_code == 200
    changed = film(tmp_path, number, PatientID="other")
    problem(post(house.client(), changed), 409, "instance-conflict", "needs a new UID")
    assert post(house.client(tenant=OTHER), changed).status_code == 200


def test_what_cannot_be_answered_is_said(house: Running, tmp_path: Path) -> None:
    path = write_undecodable(tmp_path / "a.dcm", instance=77)
    answer = post(house.client(), path)
    problem(answer, 422, "job-failed", "no image could be decoded")
    job = house.job(job_of(answer))
    assert job.state is State.FAILED
    again = post(house.client(), path)
    assert house.job(job_of(again)).attempt == 2


def test_a_fault_of_ours_is_said_to_be_one(house: Running, new_film: New) -> None:
    house.reader.fails_after = house.reader.images_read
    path = new_film(NODULE)
    body = problem(post(house.client(), path), 500, "job-failed", "the service failed (RuntimeError)")
    assert "memory" not in body["detail"]
    house.reader.fails_after = None
    assert post(house.client(), path).status_code == 200


def test_refused_files_beside_good_ones_are_counted(house: Running, new_film: New, tmp_path: Path) -> None:
    answer = post(house.client(), new_film(NODULE), b"nothing", write_sr_like(tmp_path / "sr.dcm"))
    assert (answer.status_code, answer.headers["x-refused-files"]) == (200, "2")


def test_who_sent_and_who_asked_is_recorded(house: Running, new_film: New) -> None:
    before = house.service.audit.head().sequence
    path = new_film()
    answer = post(house.client(Scope.GROUND), path)
    job = house.job(job_of(answer))
    entries = [one.event for one in house.service.audit.read(Selection(tenant="clinic"), after=before)]
    stored, asked, answered, read = entries
    assert [one.action for one in (stored, asked)] == [Action.STUDY_STORED, Action.EXECUTE]
    assert [one.action for one in (answered, read)] == [Action.GROUNDED, Action.RESULT_READ]
    assert (read.actor, read.object_id) == (asked.actor, job.job_id)
    assert (stored.object_id, stored.details) == (job.study_key, {"images": 1})
    assert (asked.object_id, asked.details) == (job.job_id, {"questions": 1, "images": 1})
    assert stored.actor == asked.actor == job.requested_by
    assert (stored.source, answered.actor, answered.object_id) == ("127.0.0.1", "worker", job.job_id)


def test_a_service_that_is_ending_keeps_nobody_waiting(house: Running, new_film: New) -> None:
    with house.answering.held():
        house.service.ending.set()
        started = time.monotonic()
        answer = post(house.client(), new_film())
        house.service.ending.clear()
        assert answer.status_code == 202
        assert time.monotonic() - started < MOST_WAIT_S - 10
