"""A token of a real issuer, through a route: what it opens, and what a wrong one is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from medground.audit.event import Action
from medground.audit.log import Selection
from medground.serving.access.oidc_config import OidcConfig
from tests.serving.access.issuer import Issuer, RsaKey, written
from tests.serving.http.answers import post, problem, result_of
from tests.serving.running import NODULE, OTHER, Running, running

New = Callable[..., Path]


@dataclass
class Trusting:
    """A service that trusts an issuer, and the issuer's key."""

    house: Running
    issuer: Issuer
    key: RsaKey

    def token(self, key: RsaKey | None = None, algorithm: str = "RS256", **changes: Any) -> str:
        now = int(time.time())
        usual = {"iss": self.issuer.url, "aud": "medground", "sub": "staff-1", "iat": now, "exp": now + 600}
        claims = usual | {"tenant": "clinic", "roles": ["radiologist"]} | changes
        return written({"alg": algorithm, "kid": self.key.key_id}, claims, (key or self.key).sign)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusting]:
    key = RsaKey("rsa-1")
    with Issuer(key.public()) as issuer:
        oidc = OidcConfig.model_validate(
            {
                "issuer": issuer.url,
                "audience": "medground",
                "tenant_claim": ("tenant",),
                "timeout_s": 60,
                "scopes_of": {"radiologist": {"ground", "read"}},
            }
        )
        with running(tmp_path_factory.mktemp("oidc"), oidc=oidc) as house:
            yield Trusting(house, issuer, key)


def test_a_role_opens_its_routes_to_its_tenant(trusting: Trusting, new_film: New) -> None:
    client = trusting.house.anybody(Authorization=f"Bearer {trusting.token()}")
    result_of(post(client, new_film(NODULE)))
    (study,) = client.get("/v1/studies").json()["studies"]
    problem(client.get("/metrics"), 403, "forbidden", "scope admin")
    other = trusting.house.anybody(Authorization=f"Bearer {trusting.token(tenant=OTHER)}")
    assert other.get("/v1/studies").json()["studies"] == []
    problem(other.get(f"/v1/studies/{study['study']}"), 404, "not-found")


def test_who_has_no_role_is_told_who_he_is(trusting: Trusting) -> None:
    """And what he lacks: an administrator gives it by the issuer."""
    ends = int(time.time()) + 500
    token = trusting.token(name="Ann Example", roles=[], exp=ends)
    client = trusting.house.anybody(Authorization=f"Bearer {token}")
    assert client.get("/v1/me").json() == {
        "name": "Ann Example",
        "tenant": "clinic",
        "scopes": [],
        "kind": "oidc",
        "expires": datetime.fromtimestamp(ends, UTC).isoformat().replace("+00:00", "Z"),
    }
    problem(client.get("/v1/studies"), 403, "forbidden", "scope read")


def test_what_is_no_good_is_refused_and_recorded_with_its_reason(trusting: Trusting) -> None:
    now = int(time.time())
    wrong = {
        "expired": trusting.token(exp=now - 600),
        "audience": trusting.token(aud="another"),
        "issuer": trusting.token(iss="https://elsewhere.example"),
        "signature": trusting.token(key=RsaKey("rsa-1")),
        "algorithm": trusting.token(algorithm="none"),
    }
    before = trusting.house.service.audit.head().sequence
    for token in wrong.values():
        answer = trusting.house.anybody(Authorization=f"Bearer {token}").get("/v1/studies")
        problem(answer, 401, "not-authenticated", "these credentials are not accepted")
    entries = trusting.house.service.audit.read(Selection(action=Action.REFUSED), after=before)
    reasons = [str(one.event.details["reason"]) for one in entries]
    assert len(reasons) == len(set(reasons)) == len(wrong)
