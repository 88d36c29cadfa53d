"""Who was not let in, and who asked for what is another tenant's, is recorded: with a reason, and not without end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.serving.access.refusals import PER_MINUTE
from medground.serving.access.scope import Scope
from tests.serving.http.answers import problem
from tests.serving.running import CLINIC, NODULE, OTHER, Running, film, running

DAY = timedelta(days=1)
New = Callable[..., Path]


def test_refusals_are_recorded_with_their_reason(house: Running) -> None:
    before = house.service.audit.head().sequence
    house.anybody().get("/v1/studies")
    house.anybody(Authorization="Bearer mg_x").get("/v1/model")
    house.client(Scope.READ).get("/metrics")
    entries = house.service.audit.read(Selection(action=Action.REFUSED), after=before)
    assert [one.event.details["reason"] for one in entries] == ["missing", "malformed", "scope"]
    assert [one.event.details["status"] for one in entries] == [401, 401, 403]
    assert [one.event.actor[:6] for one in entries] == ["", "", "token:"]
    assert {one.event.source for one in entries} == {"127.0.0.1"}
    assert {one.event.details["scope"] for one in entries} == {"read", "admin"}


def test_who_asks_for_what_is_another_tenants_is_recorded(house: Running, new_film: New) -> None:
    """He is told what is told of nothing, and neither tenant finds the entry in its own log."""
    answer = house.client().post(
        "/v1/ground", files={"file": ("a", new_film(NODULE).read_bytes())}, data={"query": "is there a nodule?"}
    )
    job = answer.headers["location"].rpartition("/")[2]
    study = house.job(job).study_key
    token = house.service.tokens.create("Max", OTHER, tuple(Scope), DAY)
    stranger = house.anybody(Authorization=f"Bearer {token.plain}")
    entry = {"job": job, "seen_revision": 0, "entry": {"action": "accept", "finding_id": "f"}}
    signature = {"job": job, "seen_revision": 0, "person_name": "A^B"}
    before = house.service.audit.head().sequence
    asked = [
        *(stranger.get(f"/v1/studies/{study}{part}") for part in ("", "/series", "/results", "/report")),
        stranger.get(f"/v1/studies/{study}/instances/1/frames/1"),
        stranger.delete(f"/v1/studies/{study}"),
        stranger.post(f"/v1/studies/{study}/sign", json=signature),
        stranger.post("/v1/ground", data={"query": "is there a nodule?", "study": study}),
        *(stranger.get(f"/v1/jobs/{job}{part}") for part in ("", "/result", "/events", "/signed")),
        stranger.post(f"/v1/jobs/{job}/cancel"),
        stranger.delete(f"/v1/jobs/{job}"),
        stranger.get("/v1/reviews", params={"job": job}),
        stranger.post("/v1/reviews", json=entry),
    ]
    for one in asked:
        problem(one, 404, "not-found")
    events = [one.event for one in house.service.audit.read(after=before)]
    assert [(one.action, one.object_id) for one in events] == [
        *[(Action.REFUSED, study)] * 8,
        *[(Action.REFUSED, job)] * 8,
    ]
    assert {(one.actor, one.tenant, one.details["reason"], one.details["status"]) for one in events} == {
        (token.record.subject, "", "other_tenant", 404)
    }
    assert [one.details["scope"] for one in events[4:8]] == ["read", "admin", "sign", "ground"]
    assert 'refusals_total{reason="other_tenant"} 16.0' in house.client().get("/metrics").text


def test_what_is_nowhere_is_no_refusal(house: Running, new_film: New) -> None:
    content = new_film(NODULE).read_bytes()
    answer = house.client().post("/v1/ground", files={"file": ("a", content)}, data={"query": "is there a nodule?"})
    url = answer.headers["location"]
    before = house.service.audit.head().sequence
    for path in (f"{url}/signed", f"{url}/sr?number=9", f"/v1/jobs/{'0' * 40}", f"/v1/studies/{'0' * 24}/series"):
        problem(house.client().get(path), 404, "not-found")
    assert house.service.audit.head().sequence == before


def test_who_asks_for_what_is_anothers_without_end_fills_no_log(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        stored = house.client().post("/v1/studies", files={"file": ("a", film(tmp_path, 1).read_bytes())})
        (study,) = stored.json()["studies"]
        stranger, before = house.client(Scope.READ, tenant=OTHER), house.service.audit.head().sequence
        statuses = {stranger.get(f"/v1/studies/{study}").status_code for _ in range(PER_MINUTE + 5)}
        assert statuses == {404}
        assert len(house.service.audit.read(after=before)) == PER_MINUTE


def test_who_knocks_without_end_fills_no_log(tmp_path: Path) -> None:
    with running(tmp_path) as house:
        anybody, before = house.anybody(), house.service.audit.head().sequence
        statuses = {anybody.get("/v1/studies").status_code for _ in range(2 * PER_MINUTE)}
        entries = list(house.service.audit.read(Selection(action=Action.REFUSED), after=before))
        assert statuses == {401}
        assert len(entries) == PER_MINUTE
        anybody.get("/v1/studies", headers={"Authorization": "Bearer mg_x"})  # for another reason
        (other,) = house.service.audit.read(Selection(action=Action.REFUSED), after=entries[-1].sequence)
        assert other.event.details["reason"] == "malformed"


def test_whose_credentials_count_no_more_is_recorded(house: Running) -> None:
    service = house.service
    made = [service.tokens.create("Ann", CLINIC, (Scope.READ,), life) for life in (timedelta(microseconds=1), DAY)]
    service.tokens.revoke(made[1].record.token_id)
    before = service.audit.head().sequence
    for one in made:
        house.anybody(Authorization=f"Bearer {one.plain}").get("/v1/studies")
    entries = service.audit.read(Selection(action=Action.REFUSED), after=before)
    assert [(one.event.actor_kind.value, one.event.actor) for one in entries] == [
        ("token", one.record.subject) for one in made
    ]
    assert [one.event.details["reason"] for one in entries] == ["expired", "revoked"]
