"""Nothing of a patient gets where it must not: canaries go in, and everything that goes out is searched."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import MetaData, select

from medground.audit.event import AuditEvent
from medground.serving.database import CLINICAL, deliveries, jobs
from medground.serving.jobs import Problem
from medground.serving.workflows import Steps, Workflows
from tests.serving.bench import Folder
from tests.serving.http.answers import ASYNC, job_of, post
from tests.serving.running import EFFUSION, NODULE, Running, eventually, film, running

CANARIES = {
    "PatientName": "Canaryname^Birdie",
    "PatientID": "CANARYID-QUAILWREN",
    "AccessionNumber": "CANARYACC9",
    "StudyDescription": "canarydescription",
    "SeriesDescription": "canaryseries",
    "ReferringPhysicianName": "Canaryphysician^Bird",
    "InstitutionName": "canaryinstitution",
}
QUESTION = "does canaryquestion have a nodule?"
SPOKEN = ("canary", "birdie", "quailwren")  # no digits: a time of 1795947115 s must not look like one


@dataclass
class Spy:
    """Everything that a service answers, but for the bodies that are meant to tell of the patient."""

    house: Running
    told: list[str] = field(default_factory=list)

    def note(self, answer: httpx.Response) -> httpx.Response:
        self.told += [f"{name}: {value}" for name, value in answer.headers.items()]
        if answer.is_error:
            self.told.append(answer.text)
        return answer


@pytest.fixture(scope="module")
def spy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spy]:
    """A service that was asked everything about a patient, and told everything that goes wrong."""
    folder = tmp_path_factory.mktemp("phi")
    with running(folder) as house:
        spy = Spy(house)
        _everything(spy, folder)
        _workflows(spy)
        yield spy


def _everything(spy: Spy, folder: Path) -> None:
    house, note = spy.house, spy.note
    client = house.client()
    paths = [film(folder, 1, NODULE, EFFUSION, instance=number, **CANARIES) for number in (1, 2)]
    answer = note(
        post(client, paths[0], query=QUESTION, deliver_to="pacs", headers={"Idempotency-Key": "CANARYID-QUAILWREN"})
    )
    job = job_of(answer)
    study = house.job(job).study_key
    note(post(client, *paths, query=[QUESTION, "canary?"]))
    note(post(client, paths[0], url="/v1/studies"))
    note(post(client, paths[0].read_bytes()[:700], query=QUESTION))
    note(
        post(client, film(folder / "changed", 1, **{**CANARIES, "PatientID": "CANARYID-0"}), query=QUESTION)
    )  # a conflict
    note(post(client, study="CANARYID-QUAILWREN"))
    note(post(client, paths[0], canaryfield="x"))
    note(post(client, paths[0], query=QUESTION * 100))
    note(post(client, paths[0], query=QUESTION, deliver_to="canarypacs"))
    house.reader.fails_after = house.reader.images_read
    note(post(client, paths[0], query=f"{QUESTION} again"))
    house.reader.fails_after = None
    for method, path in (
        ("GET", "/v1/studies?search=Canaryname"),
        ("GET", "/v1/studies/?search=Canaryname"),
        ("GET", "/v1/studies?canary=Canaryname&limit=0"),
        ("GET", "/v1/studies/CANARYID-QUAILWREN"),
        ("GET", f"/v1/studies/{study}"),
        ("GET", f"/v1/studies/{study}/results"),
        ("GET", f"/v1/studies/{study}/series"),
        ("GET", f"/v1/studies/{study}/instances/1/frames/1"),
        ("GET", f"/v1/studies/{study}/instances/99/frames/1"),
        ("GET", "/v1/me"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/pacs/sources"),
        ("GET", f"/v1/studies/{study}/report"),
        ("GET", f"/v1/jobs/{job}"),
        ("GET", f"/v1/jobs/{job}/result"),
        ("GET", f"/v1/jobs/{job}/sr"),
        ("GET", f"/v1/jobs/{job}/gsps"),
        ("GET", f"/v1/jobs/{job}/overlay.png"),
        ("GET", f"/v1/jobs/{job}/events"),
        ("GET", "/canaryroute/CANARYID-QUAILWREN"),
        ("CANARY", "/v1/model"),
        ("POST", "/v1/pacs/studies/search"),
    ):
        note(client.request(method, path, headers={"X-Request-Id": "CANARYID-QUAILWREN", "User-Agent": "canary"}))
    note(house.client(tenant="other").get(f"/v1/studies/{study}/series"))
    for words in ("Canaryname", "Canaryname" * 20):
        note(client.post("/v1/studies/search", json={"words": words}))
    _review(spy, job, study)
    note(house.anybody(Authorization="Bearer canary").get("/v1/studies?search=Canaryname"))
    with house.answering.held():
        cancelled = job_of(note(post(client, paths[1], query=f"{QUESTION} later", headers=ASYNC)))
        note(client.post(f"/v1/jobs/{cancelled}/cancel"))
    note(client.delete(f"/v1/jobs/{cancelled}"))


def _review(spy: Spy, job: str, study: str) -> None:
    client, note = spy.house.client(), spy.note
    found = client.get("/v1/reviews", params={"job": job}).json()["findings"]
    said = {"action": "reject", "finding_id": found[0]["finding_id"], "reason": "other", "text": "canarytext"}
    bodies: list[dict[str, Any]] = [
        {"job": job, "seen_revision": 0, "entry": said},
        {"job": job, "seen_revision": 0, "entry": said},
        {"job": job, "seen_revision": 1, "entry": {"action": "accept", "finding_id": "canary"}},
        {"job": job, "seen_revision": 1, "entry": said | {"reason": "canaryreason"}},
    ]
    for body in bodies:
        note(client.post("/v1/reviews", json=body))
    sign = {"job": job, "seen_revision": 1, "person_name": "Canaryreviewer^Bird", "allow_unreviewed": True}
    signed = note(client.post(f"/v1/studies/{study}/sign", json=sign))
    assert signed.status_code == 201
    note(client.post(f"/v1/studies/{study}/sign", json=sign))
    note(client.get("/v1/reviews/export"))


def _workflows(spy: Spy) -> None:
    """The deliveries and a job once more, by the durable workflows; an archive says what it should not."""
    house = spy.house
    archive = Folder([ValueError("C-STORE of Canaryname^Birdie refused")])
    house.worker.archives["pacs"] = archive  # type: ignore[index]
    failing = iter([ValueError("Canaryname^Birdie")])

    def answer(job_id: str, attempt: int) -> None:
        for error in failing:
            raise error
        house.worker.answer(job_id, attempt)

    steps = Steps(answer, house.worker.deliver)
    with Workflows(
        house.service.config.workflows_url, "w1", steps, model_sha256="0" * 64, jobs_at_once=1, destinations=["pacs"]
    ) as workflows:
        (delivery,) = house.service.deliveries.due()
        workflows.answer("run-1", delivery.job_id, 1)
        assert eventually(lambda: workflows.is_dead("run-1"))
        workflows.answer("run-2", delivery.job_id, 1)
        workflows.deliver(delivery.run_id, delivery.job_id, "pacs", delivery.attempts)
        assert eventually(lambda: house.rows(deliveries)[0].attempts > delivery.attempts)


def search(text: str) -> list[str]:
    """Where a canary stands in a text, with what is around it."""
    low = text.lower()
    return [text[max(0, low.index(one) - 80) : low.index(one) + 40] for one in SPOKEN if one in low]


def test_the_canaries_are_there_to_be_found(spy: Spy) -> None:
    """In the tables that may hold them; else nothing below would prove anything."""
    text = json.dumps(_tables(spy.house, lambda name: name in CLINICAL))
    assert all(one in text.lower() for one in SPOKEN)
    assert "canaryquestion" in text
    assert "canarytext" in text
    assert len(spy.told) > 200


def _tables(house: Running, wanted: Any) -> dict[str, list[str]]:
    metadata = MetaData()
    with house.service.engine.connect() as connection:
        metadata.reflect(connection)
        return {
            name: [str(tuple(row)) for row in connection.execute(select(table))]
            for name, table in metadata.tables.items()
            if wanted(name)
        }


def test_tables_that_are_not_clinical(spy: Spy) -> None:
    tables = _tables(spy.house, lambda name: name not in CLINICAL)
    assert {"audit_entries", "results", "result_files", "idempotency", "access_tokens"} <= set(tables)
    for name in ("audit_entries", "results", "result_files", "idempotency", "access_tokens"):
        assert tables[name], name
    for name, rows in tables.items():
        assert [found for row in rows for found in search(row)] == [], name


def test_the_audit_log(spy: Spy) -> None:
    entries = spy.house.service.audit.read()
    assert len(entries) > 20
    assert len({one.event.action for one in entries}) >= 8
    for entry in entries:
        assert isinstance(entry.event, AuditEvent)
        assert search(entry.event.model_dump_json()) == []


def test_the_tables_of_the_workflows(spy: Spy) -> None:
    path = spy.house.service.config.state / "workflows.db"
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: [str(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}
    assert any("run-2" in row for row in rows["workflow_status"])
    for name, found in rows.items():
        assert [one for row in found for one in search(row)] == [], name


def test_the_log(spy: Spy) -> None:
    text = spy.house.logged.getvalue()
    assert {"request", "job_done", "job_failed", "delivery"} <= {line["event"] for line in spy.house.lines()}
    assert search(text) == []


def test_metrics_headers_problems_and_locations(spy: Spy) -> None:
    assert search(spy.house.client().get("/metrics").text) == []
    for line in spy.told:
        assert search(line) == []


def test_names_of_files(spy: Spy) -> None:
    names = [str(path.relative_to(spy.house.folder)) for path in (spy.house.folder / "state").rglob("*")]
    assert len(names) > 260
    for name in names:
        assert search(name) == []


def test_reasons_of_jobs_name_no_patient(spy: Spy) -> None:
    problems = [row["problem"] for row in _problems(spy.house)]
    assert problems
    for problem in problems:
        assert search(Problem.model_validate_json(problem).detail) == []


def _problems(house: Running) -> list[dict[str, str]]:
    return [{"problem": row.problem} for table in (jobs, deliveries) for row in house.rows(table) if row.problem]
