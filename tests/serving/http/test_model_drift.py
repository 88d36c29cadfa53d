"""Drift over HTTP: what reviewers made of findings, by week, of the own tenant and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from medground.cards.drift import Drift, monday_of, wilson
from medground.cli.main import create_app
from medground.serving.access.scope import Scope
from medground.serving.database import results
from medground.serving.drift import WEEK_US
from medground.serving.times import time_of
from tests.serving.http.test_review_export import NODULES, asked, review
from tests.serving.running import CLINIC, OTHER, Running, film


def told(house: Running, tenant: str = CLINIC, **query: int) -> Drift:
    answer = house.client(Scope.AUDIT, tenant=tenant).get("/v1/model/drift", params=query)
    assert answer.status_code == 200, answer.text
    return Drift.model_validate_json(answer.content)


@pytest.fixture(scope="module")
def reviewed(house: Running, tmp_path_factory: pytest.TempPathFactory) -> Running:
    client = house.client()
    job, findings, image = asked(client, film(tmp_path_factory.mktemp("films"), 1, *NODULES, PatientID="CANARY-7"))
    seen = review(client, job, 0, action="accept", finding_id=findings[0]["id"])
    seen = review(client, job, seen, action="reject", finding_id=findings[1]["id"], reason="artefact")
    added = {"box_xyxy_px": [10, 200, 40, 240], "concept": "mass", "sop_instance_uid": image}
    review(client, job, seen, action="add", **added)
    return house


def test_scores_and_outcomes_of_a_week(reviewed: Running) -> None:
    found = told(reviewed)
    (row,) = reviewed.rows(results)
    monday = monday_of(time_of(row.created_us))
    mass, nodule = sorted(found.concepts, key=lambda one: one.concept)
    (week,) = nodule.weeks
    assert (week.monday, week.n, week.acceptance, week.psi) == (monday, 3, wilson(1, 2), None)
    assert {name.value: count for name, count in week.outcomes.items() if count} == {
        "accepted": 1,
        "rejected": 1,
        "unreviewed": 1,
    }
    assert (mass.weeks[0].n, mass.weeks[0].outcomes["added"]) == (0, 1)
    assert (found.results, found.has_card, found.left_out) == (1, False, False)
    assert "CANARY" not in found.model_dump_json()


def test_another_tenant_has_its_own(reviewed: Running) -> None:
    found = told(reviewed, OTHER)
    assert (found.results, found.concepts) == (0, ())


def test_only_the_weeks_that_were_asked_for(reviewed: Running) -> None:
    (row,) = reviewed.rows(results)
    with reviewed.service.engine.begin() as connection:
        connection.execute(results.update().values(created_us=row.created_us - 3 * WEEK_US))
    try:
        assert told(reviewed, weeks=2).results == 0
        assert told(reviewed, weeks=4).results == 1
    finally:
        with reviewed.service.engine.begin() as connection:
            connection.execute(results.update().values(created_us=row.created_us))


def test_reading_it_is_recorded(reviewed: Running) -> None:
    told(reviewed)
    (entry,) = reviewed.service.audit.latest(limit=1)
    assert (entry.event.action, entry.event.tenant, entry.event.details) == (
        "read",
        CLINIC,
        {"entries": 1, "format": "drift"},
    )


def test_of_results_that_go_beyond_each_other_the_last_counts(reviewed: Running, tmp_path: Path) -> None:
    client = reviewed.client(tenant="third")
    films = [film(tmp_path, 900, NODULES[0], instance=number).read_bytes() for number in (1, 2)]
    for count in (1, 2):
        files = [("file", (str(number), content)) for number, content in enumerate(films[:count])]
        answer = client.post("/v1/ground", files=files, data={"query": "is there a nodule?"})
        assert answer.status_code == 200, answer.text
    assert len([row for row in reviewed.rows(results) if row.tenant == "third"]) == 2
    found = told(reviewed, "third")
    assert (found.results, found.concepts[0].weeks[0].n) == (1, 2)


def test_the_page(reviewed: Running, tmp_path: Path) -> None:
    token, out = tmp_path / "token", tmp_path / "drift.html"
    token.write_text(reviewed.token(Scope.AUDIT) + "\n")
    words = ["model", "drift", "--service", reviewed.url, "--token", str(token), "--out", str(out)]
    done = CliRunner().invoke(create_app(), words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("1 results, 2 findings; nothing out of the ordinary; written to ")
    page = out.read_text(encoding="utf-8")
    assert "<svg" in page
    assert "CANARY" not in page
    token.write_text("")
    assert "holds no token" in CliRunner().invoke(create_app(), words).stderr
