"""What people say of a result, entry by entry, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.serving.access.scope import Scope
from medground.serving.database import reviews
from tests.serving.http.answers import job_of, post, problem, result_of
from tests.serving.running import EFFUSION, NODULE, Running

New = Callable[..., Path]


@dataclass
class Reviewing:
    """A result and what is said of it."""

    house: Running
    job: str
    findings: list[str]
    image: str

    def add(self, seen: int, action: str, client: httpx.Client | None = None, **entry: Any) -> httpx.Response:
        usual: dict[str, dict[str, Any]] = {
            "accept": {"finding_id": self.findings[0]},
            "edit": {"finding_id": self.findings[0]},
            "reject": {"finding_id": self.findings[0], "reason": "artefact"},
            "add": {"box_xyxy_px": [1, 2, 30, 40], "concept": "mass", "sop_instance_uid": self.image},
        }
        body = {"job": self.job, "seen_revision": seen, "entry": {"action": action, **usual.get(action, {}), **entry}}
        return (client or self.house.client(Scope.REVIEW)).post("/v1/reviews", json=body)

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.house.client(Scope.READ).get("/v1/reviews", params={"job": self.job}).json()
        return found


@pytest.fixture
def reviewing(house: Running, new_film: New) -> Reviewing:
    answer = post(house.client(), new_film(NODULE, EFFUSION), query=["is there a nodule?", "a pleural effusion?"])
    study = result_of(answer).studies[0]
    findings = [one.id for answered in study.answers for one in answered.findings]
    return Reviewing(house, job_of(answer), findings, study.sources[0])


def test_a_result_that_nobody_has_reviewed(reviewing: Reviewing) -> None:
    state = reviewing.state()
    assert (state["job"], state["revision"], state["entries"], state["is_signed"]) == (reviewing.job, 0, [], False)
    assert [(one["finding_id"], one["status"], one["entry"]) for one in state["findings"]] == [
        (finding, "unreviewed", None) for finding in reviewing.findings
    ]


def test_entries_are_added_and_what_stands_comes_back(reviewing: Reviewing) -> None:
    first = reviewing.add(0, "accept", text="sicher\nja")
    assert first.status_code == 201
    second = reviewing.add(1, "reject", finding_id=reviewing.findings[1]).json()
    third = reviewing.add(2, "add").json()
    assert (first.json()["revision"], second["revision"], third["revision"]) == (1, 2, 3)
    assert third == reviewing.state()
    assert [one["status"] for one in third["findings"]] == ["accepted", "rejected", "added"]
    added = third["findings"][2]
    assert (added["finding"], added["entry"]["concept"], added["revision"]) == (None, "mass", 3)
    entry = third["entries"][0]
    assert entry["reviewer"].startswith("token:")
    assert (entry["reviewer_name"], entry["entry"]["text"]) == ("Ann Example", "sicher\nja")


def test_an_added_finding_gets_an_id_of_ours(reviewing: Reviewing) -> None:
    ids = [reviewing.add(n, "add", finding_id="mine").json()["findings"][-1]["finding_id"] for n in range(2)]
    assert len(set(ids)) == 2
    assert all(one.startswith("added-") for one in ids)
    edited = reviewing.add(2, "edit", finding_id=ids[0], concept="nodule").json()
    assert next(one for one in edited["findings"] if one["finding_id"] == ids[0])["entry"]["concept"] == "nodule"


def test_nobody_overwrites_what_he_has_not_read(reviewing: Reviewing) -> None:
    reviewing.add(0, "accept")
    for seen in (0, 2):
        problem(reviewing.add(seen, "reject"), 409, "stale-review", f"at revision 1, not {seen}")
    assert reviewing.state()["revision"] == 1


def test_an_undo_and_an_undo_of_it(reviewing: Reviewing) -> None:
    reviewing.add(0, "accept")
    undone = reviewing.add(1, "undo", undoes=1).json()
    assert (undone["revision"], undone["findings"][0]["status"]) == (2, "unreviewed")
    problem(reviewing.add(2, "undo", undoes=2), 422, "invalid-request", "revision 2 is nothing that can be undone")
    problem(reviewing.add(2, "undo", undoes=9), 422, "invalid-request", "revision 9 is nothing that can be undone")
    assert reviewing.state()["revision"] == 2


@pytest.mark.parametrize(
    ("action", "entry", "said"),
    [
        ("accept", {"finding_id": "0" * 24}, "no finding of this result"),
        ("accept", {"finding_id": None}, "takes a finding_id"),
        ("reject", {"reason": None}, "takes a reason"),
        ("reject", {"reason": "boredom"}, "entry.reason"),
        ("add", {"concept": "ennui"}, "no finding that is known"),
        ("add", {"sop_instance_uid": "1.2.3"}, "no image of this result"),
        ("add", {"box_xyxy_px": None}, "takes a box_xyxy_px"),
        ("add", {"box_xyxy_px": [1, 2, 257, 40]}, "leaves its image, which has 256 x 256 pixels"),
        ("add", {"box_xyxy_px": [1, 2, 30, 256.5]}, "leaves its image"),
        ("add", {"box_xyxy_px": [30, 2, 1, 40]}, "a box is"),
        ("add", {"box_xyxy_px": [1, 2, 30]}, "entry.box_xyxy_px"),
        ("add", {"frame": 2}, "the image has 1 frame(s)"),
        ("edit", {"box_xyxy_px": [1, 2, 300, 40]}, "leaves its image"),
        ("edit", {"concept": "ennui"}, "no finding that is known"),
        ("sign", {}, "is signed by POST"),
        ("undo", {}, "takes the revision"),
        ("destroy", {}, "entry.action"),
        ("accept", {"colour": "red"}, "entry.colour"),
        ("accept", {"text": "x" * 2001}, "entry.text"),
    ],
)
def test_what_is_refused(reviewing: Reviewing, action: str, entry: dict[str, Any], said: str) -> None:
    problem(reviewing.add(0, action, **entry), 422, "invalid-request", said)
    assert reviewing.state()["revision"] == 0


def test_a_box_may_fill_its_image(reviewing: Reviewing) -> None:
    assert reviewing.add(0, "add", box_xyxy_px=[0, 0, 256, 256]).status_code == 201
    assert reviewing.add(1, "edit", box_xyxy_px=[0, 0, 256, 256]).status_code == 201
    added = reviewing.state()["findings"][-1]["finding_id"]
    problem(reviewing.add(2, "edit", finding_id=added, box_xyxy_px=[0, 0, 257, 256]), 422, "invalid-request", "leaves")


def test_what_is_no_review(reviewing: Reviewing) -> None:
    client = reviewing.house.client(Scope.REVIEW)
    entry = {"action": "accept", "finding_id": reviewing.findings[0]}
    for body in (
        {},
        {"job": reviewing.job, "entry": entry},
        {"job": reviewing.job, "seen_revision": -1, "entry": entry},
        {"job": reviewing.job, "seen_revision": 0, "entry": entry, "reviewer": "somebody else"},
        {"job": "x", "seen_revision": 0, "entry": entry},
    ):
        problem(client.post("/v1/reviews", json=body), 422, "invalid-request")
    problem(client.post("/v1/reviews", json={"job": "0" * 40, "seen_revision": 0, "entry": entry}), 404, "not-found")


def test_a_review_is_its_tenants_alone(reviewing: Reviewing) -> None:
    other = reviewing.house.client(Scope.REVIEW, Scope.READ, tenant="other")
    problem(reviewing.add(0, "accept", other), 404, "not-found")
    problem(other.get("/v1/reviews", params={"job": reviewing.job}), 404, "not-found")
    assert reviewing.state()["revision"] == 0


def test_every_entry_is_recorded_without_its_words(reviewing: Reviewing) -> None:
    reviewing.add(0, "reject", text="Canary")
    reviewing.add(0, "accept")  # refused
    (entry,) = reviewing.house.service.audit.read(Selection(object_id=reviewing.job, action=Action.REVIEWED))
    assert entry.event.details == {"revision": 1, "kind": "reject", "reason": "artefact"}
    (row,) = [row for row in reviewing.house.rows(reviews) if row.job_id == reviewing.job]
    assert "Canary" in row.content
