"""The audit log for its tenant: newest first, page by page, and nobody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.serving.access.scope import Scope
from medground.serving.service import SYSTEM
from tests.serving.http.answers import post, problem
from tests.serving.running import OTHER, Running, film, running

URL = "/v1/audit"


def page(house: Running, tenant: str = "clinic", **params: int) -> dict[str, Any]:
    answer = house.client(Scope.AUDIT, tenant=tenant).get(URL, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_entry(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        made = house.service.tokens.create("Ann Example", "clinic", (Scope.GROUND,))
        sender = house.anybody(Authorization=f"Bearer {made.plain}")
        (study,) = post(sender, film(tmp_path, 1, PatientName="Doe^Jane"), url="/v1/studies").json()["studies"]
        answer = house.client(Scope.AUDIT).get(URL)
        (shown,) = answer.json()["entries"]
        (entry, reading) = house.service.audit.read()
        assert shown == {
            "sequence": 1,
            "time": entry.time.isoformat().replace("+00:00", "Z"),
            "action": "study_stored",
            "outcome": "success",
            "actor_kind": "token",
            "actor": made.record.subject,
            "tenant": "clinic",
            "source": "127.0.0.1",
            "object_kind": "study",
            "object_id": study,
            "details": {"images": 1},
            "hash": entry.hash,
        }
        assert answer.json()["next"] is None
        assert (reading.event.action, reading.event.details) == (Action.AUDIT_READ, {"entries": 1})
        for name in ("Doe", "Ann"):
            assert name not in answer.text


def test_pages_hold_every_entry_once_newest_first(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        for _ in range(7):
            house.client(Scope.READ).get("/v1/studies")
        first = page(house, limit=3)
        second = page(house, limit=3, before=first["next"])  # what came meanwhile moves no page
        third = page(house, limit=3, before=second["next"])
        numbers = [one["sequence"] for part in (first, second, third) for one in part["entries"]]
        assert numbers == [7, 6, 5, 4, 3, 2, 1]
        assert (first["next"], second["next"], third["next"]) == (5, 2, None)
        assert page(house, before=1) == {"entries": [], "next": None}
        assert page(house, limit=8)["entries"][0]["action"] == "audit_read"


def test_of_others_and_of_nobody_there_is_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        house.service.record(SYSTEM, Action.STARTED, role="all")
        house.anybody().get("/v1/studies")  # refused before it was known who asks
        (study,) = post(house.client(), film(tmp_path, 1), url="/v1/studies").json()["studies"]
        problem(house.client(Scope.READ, tenant=OTHER).get(f"/v1/studies/{study}"), 404, "not-found")
        problem(house.client(Scope.READ, tenant=OTHER).get("/metrics"), 403, "forbidden")
        assert len(house.service.audit.read()) == 5
        assert [one["action"] for one in page(house)["entries"]] == ["study_stored"]
        assert [one["action"] for one in page(house, tenant=OTHER)["entries"]] == ["refused"]
        assert len(house.service.audit.read(Selection(tenant=""))) == 3


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 501}, {"before": 0}, {"before": 2**60}, {"before": "x"}])
def test_what_is_no_page(house: Running, params: dict[str, Any]) -> None:
    problem(house.client(Scope.AUDIT).get(URL, params=params), 422, "invalid-request")


def test_an_entry_that_was_tampered_with_is_not_shown(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        house.client(Scope.READ).get("/v1/studies")
        with house.service.engine.begin() as connection:
            connection.execute(text("DROP TRIGGER audit_entries_update"))
            connection.execute(text("UPDATE audit_entries SET action = 'nothing'"))
        problem(house.client(Scope.AUDIT).get(URL), 503, "unavailable", "medground audit verify")
