"""Who asks, as the service knows him."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from medground.serving.access.scope import Scope
from tests.serving.http.answers import problem
from tests.serving.running import Running


def test_a_token(house: Running) -> None:
    made = house.service.tokens.create("Ann Example", "clinic", (Scope.READ, Scope.GROUND), timedelta(days=2))
    told = house.anybody(Authorization=f"Bearer {made.plain}").get("/v1/me").json()
    expires = datetime.fromisoformat(told.pop("expires"))
    assert told == {"name": "Ann Example", "tenant": "clinic", "scopes": ["ground", "read"], "kind": "token"}
    assert expires.timestamp() == pytest.approx(made.record.expires_us / 1e6, abs=1e-5)
    assert expires.tzinfo is not None


@pytest.mark.parametrize("scope", list(Scope))
def test_any_scope_will_do(house: Running, scope: Scope) -> None:
    assert house.client(scope, tenant="other").get("/v1/me").json()["scopes"] == [scope.value]


def test_who_is_unknown_is_nobody(house: Running) -> None:
    problem(house.anybody().get("/v1/me"), 401, "not-authenticated")
    before = house.service.audit.head().sequence
    made = house.service.tokens.create("Ann", "clinic", (Scope.READ,))
    house.service.tokens.revoke(made.record.token_id)
    problem(house.anybody(Authorization=f"Bearer {made.plain}").get("/v1/me"), 401, "not-authenticated")
    (entry,) = house.service.audit.read(after=before)
    assert (entry.event.details["scope"], entry.event.details["reason"]) == ("any", "revoked")
