from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from medground.schema.errors import NotAuthenticatedError
from medground.serving.access.authenticator import Authenticator
from medground.serving.access.oidc import Oidc
from medground.serving.access.oidc_config import OidcConfig
from medground.serving.access.scope import PrincipalKind, Scope
from medground.serving.access.tokens import Tokens
from medground.serving.database import connect
from tests.serving.access.clock import Clock
from tests.serving.access.issuer import Issuer, RsaKey, written

OUTWARD = "these credentials are not accepted; ask an administrator for a new token, or sign in again"


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Iterator[Tokens]:
    engine = connect(f"sqlite:///{tmp_path / 'tokens.db'}")
    made = Tokens(engine, clock.now_us, secrets.token_bytes)
    made.create_table()
    yield made
    engine.dispose()


@pytest.fixture
def oidc(issuer: Issuer, client: httpx.Client, clock: Clock) -> Oidc:
    config = OidcConfig(issuer=issuer.url, audience="medground", tenant="main", scopes_of={})
    return Oidc(config, client, clock.now_us, clock.monotonic_s)


@pytest.fixture
def jwt(issuer: Issuer, clock: Clock, rsa_key: RsaKey) -> str:
    claims = {"iss": issuer.url, "aud": "medground", "sub": "x", "iat": clock.now_s, "exp": clock.now_s + 60}
    return written({"alg": "RS256", "kid": rsa_key.key_id}, claims, rsa_key.sign)


def refusal(authenticator: Authenticator, header: str | None) -> tuple[str, str]:
    with pytest.raises(NotAuthenticatedError) as caught:
        authenticator.authenticate(header)
    return caught.value.reason, str(caught.value)


def test_both_kinds_of_credentials(tokens: Tokens, oidc: Oidc, jwt: str) -> None:
    both, plain = Authenticator(tokens, oidc), tokens.create("a", "main", [Scope.READ]).plain
    assert both.authenticate(f"Bearer {plain}").kind is PrincipalKind.TOKEN
    assert both.authenticate(f"  bEARER   {plain}  ").kind is PrincipalKind.TOKEN
    assert both.authenticate(f"Bearer {jwt}").kind is PrincipalKind.OIDC
    for header in (plain, jwt, f"Basic {plain}", f"Basic {jwt}", f"Bearer:{plain}", f"Bearer Bearer {plain}"):
        assert refusal(both, header) == ("malformed", OUTWARD)


def test_no_credentials(tokens: Tokens, oidc: Oidc) -> None:
    for header in (None, "", "  "):
        reason, message = refusal(Authenticator(tokens, oidc), header)
        assert reason == "missing"
        assert "Authorization: Bearer TOKEN" in message


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Bearer", "malformed"),
        ("Bearer ", "malformed"),
        ("Basic YWxhZGRpbjpvcGVuc2VzYW1l", "malformed"),
        ("mg_0011223344556677_x", "malformed"),
        ("Bearer mg_0011223344556677_x", "malformed"),
        ("Bearer\tmg_0011223344556677_x", "malformed"),
        ("Bearer a b", "malformed"),
        ("Bearer é.é.é", "malformed"),
        ("Bearer " + "x" * 2**20, "too_long"),
        ("Bearer mg_" + "x" * 2**20, "malformed"),
    ],
)
def test_headers_that_are_none(tokens: Tokens, oidc: Oidc, header: str, reason: str) -> None:
    assert refusal(Authenticator(tokens, oidc), header) == (reason, OUTWARD)


def test_without_an_issuer_its_tokens_are_refused(tokens: Tokens, jwt: str) -> None:
    assert refusal(Authenticator(tokens, None), f"Bearer {jwt}") == ("not_configured", OUTWARD)
