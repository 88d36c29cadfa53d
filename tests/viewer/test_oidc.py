"""Signing in by an issuer: the code flow against an issuer that checks it, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from medground.schema.errors import AccessError, UsageError
from medground.viewer import oidc as module
from medground.viewer.config import OidcSignIn
from medground.viewer.oidc import CodeFlow, IssuerRefusedError, check_secret
from tests.viewer.code_issuer import (
    AUDIENCE,
    CLIENT,
    DISCOVERY,
    NOT_OURS,
    REDIRECT,
    TOKEN,
    CodeIssuer,
    config_of,
    sent_back,
)
from tests.viewer.people import Clock


def test_what_the_issuer_is_asked(issuer: CodeIssuer) -> None:
    flow = CodeFlow(config_of(issuer, scopes=("openid", "email"), audience=AUDIENCE), REDIRECT)
    address, state = flow.begin()
    asked = dict(parse_qsl(urlsplit(address).query))
    challenge = asked.pop("code_challenge")
    assert address.startswith(f"{issuer.url}/authorize?")
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scope": "openid email",
        "state": state,
        "code_challenge_method": "S256",
        "audience": AUDIENCE,
    }
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge)
    assert len(state) >= 32
    again, other = flow.begin()
    assert other != state
    assert challenge not in again


def test_an_address_that_has_a_query_keeps_it(issuer: CodeIssuer, flow: CodeFlow) -> None:
    issuer.discovered["authorization_endpoint"] = f"{issuer.url}/authorize?realm=h"
    address, _ = flow.begin()
    assert dict(parse_qsl(urlsplit(address).query))["realm"] == "h"
    assert address.count("?") == 1


def test_a_code_gives_the_token_that_the_issuer_signed(issuer: CodeIssuer, flow: CodeFlow) -> None:
    address, state = flow.begin()
    granted = flow.end(sent_back(address), state)
    assert granted.access_token.count(".") == 2
    assert granted.life_s == 600
    assert not any(token in repr(granted) for token in (granted.access_token, str(granted.refresh_token)))
    assert issuer.asked[-1].path == "/realm/token"
    assert "client_secret" not in issuer.asked[-1].form


def test_the_verifier_is_that_of_the_challenge(issuer: CodeIssuer, flow: CodeFlow) -> None:
    """The issuer refuses a code that came by another challenge."""
    (first, _), (_, other_state) = flow.begin(), flow.begin()
    back = sent_back(first)
    with pytest.raises(AccessError, match="the issuer refused: invalid_grant"):
        flow.end({**back, "state": other_state}, other_state)


def test_a_confidential_client_shows_its_secret(issuer: CodeIssuer, tmp_path: Path) -> None:
    issuer.secret = "s3cret"
    file = tmp_path / "secret"
    file.write_text("s3cret\n", encoding="utf-8")
    flow = CodeFlow(config_of(issuer, client_secret_file=file), REDIRECT)
    address, state = flow.begin()
    assert flow.end(sent_back(address), state)
    assert "s3cret" not in address
    public = CodeFlow(config_of(issuer), REDIRECT)
    address, state = public.begin()
    with pytest.raises(AccessError, match="the issuer refused: invalid_client"):
        public.end(sent_back(address), state)


def test_a_secret_that_cannot_be_read_is_told_at_the_start(issuer: CodeIssuer, tmp_path: Path) -> None:
    check_secret(config_of(issuer))
    latin = tmp_path / "latin"
    latin.write_bytes(b"\xe4")
    for file in (tmp_path / "absent", latin):
        with pytest.raises(UsageError, match=rf"oidc\.client_secret_file {file} cannot be read"):
            check_secret(config_of(issuer, client_secret_file=file))


@pytest.mark.parametrize("told", ["x" * 32, "", None])
@pytest.mark.parametrize("kept", ["x" * 32, "", "ü", None])
def test_a_state_that_is_not_this_browsers(
    issuer: CodeIssuer, flow: CodeFlow, told: str | None, kept: str | None
) -> None:
    """None stands for the right one; at most one of both is."""
    address, state = flow.begin()
    back = sent_back(address)
    issuer.paths()
    if told is not None or kept is not None:
        with pytest.raises(AccessError, match=NOT_OURS):
            flow.end({**back, "state": state if told is None else told}, state if kept is None else kept)
        assert issuer.paths() == []  # the code stays with us
    else:
        assert flow.end(back, state)


def test_a_state_of_another_browser(issuer: CodeIssuer, flow: CodeFlow) -> None:
    (mine, _), (_, theirs) = flow.begin(), flow.begin()
    with pytest.raises(AccessError, match=NOT_OURS):
        flow.end(sent_back(mine), theirs)


def test_a_state_counts_once(issuer: CodeIssuer, flow: CodeFlow) -> None:
    address, state = flow.begin()
    back = sent_back(address)
    assert flow.end(back, state)
    for again in (back, sent_back(address)):
        with pytest.raises(AccessError, match=NOT_OURS):
            flow.end(again, state)


def test_there_are_ten_minutes(issuer: CodeIssuer, flow: CodeFlow, clock: Clock) -> None:
    address, state = flow.begin()
    clock.now_s += 600
    assert flow.end(sent_back(address), state)
    address, state = flow.begin()
    clock.now_s += 601
    with pytest.raises(AccessError, match=NOT_OURS):
        flow.end(sent_back(address), state)


def test_not_everybody_can_begin_at_once(flow: CodeFlow, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    for _ in range(2):
        flow.begin()
    with pytest.raises(AccessError, match="too many people"):
        flow.begin()
    clock.now_s += 600
    assert flow.begin()


def test_an_issuer_that_refuses(issuer: CodeIssuer, flow: CodeFlow) -> None:
    for answered, words in (({"error": "access_denied"}, "access_denied"), ({}, "it gave no code")):
        _, state = flow.begin()
        with pytest.raises(AccessError, match=f"the issuer refused: {words}"):
            flow.end({**answered, "state": state}, state)
    address, state = flow.begin()
    with pytest.raises(AccessError, match="the issuer refused: invalid_grant"):
        flow.end({**sent_back(address), "code": "another"}, state)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, b"x" * (256 * 2**10 + 1)), "the issuer's answer is too long"),
        ((200, {}, b"<p>Sign in"), "the issuer answered 200 and nothing that can be read"),
        ((200, {}, b"[1]"), "the issuer answered 200 and nothing that can be read"),
        ((200, {}, b"\xff"), "the issuer answered 200 and nothing that can be read"),
        ((503, {}, b"{}"), "the issuer refused: 503"),
        ((400, {}, b'{"error": "no"}'), "the issuer refused: no"),
        ((302, {"Location": "/elsewhere"}, b"{}"), "the issuer refused: 302"),
    ],
)
def test_an_answer_that_is_none(
    issuer: CodeIssuer, flow: CodeFlow, answer: tuple[int, dict[str, str], bytes], words: str
) -> None:
    issuer.replaced[DISCOVERY] = lambda: answer
    with pytest.raises(AccessError, match=words):
        flow.begin()
    del issuer.replaced[DISCOVERY]
    address, state = flow.begin()
    back = sent_back(address)
    issuer.replaced[TOKEN] = lambda: answer
    with pytest.raises(AccessError, match=words):
        flow.end(back, state)


@pytest.mark.parametrize("given", [b"{}", b'{"access_token": ""}', b'{"access_token": 1}', b'{"id_token": "x"}'])
def test_an_issuer_that_gives_no_access_token(issuer: CodeIssuer, flow: CodeFlow, given: bytes) -> None:
    address, state = flow.begin()
    back = sent_back(address)
    issuer.replaced[TOKEN] = lambda: (200, {}, given)
    with pytest.raises(AccessError, match="the issuer gave no access token"):
        flow.end(back, state)


@pytest.mark.parametrize(
    ("told", "life_s"),
    [
        (300, 300),
        ("3599", 3599),
        (0.5, 0.5),
        (0, None),
        (-1, None),
        ("soon", None),
        ("inf", None),
        (None, None),
        pytest.param(10**400, None, id="huge"),
    ],
)
def test_how_long_an_access_token_lives(issuer: CodeIssuer, flow: CodeFlow, told: object, life_s: float | None) -> None:
    issuer.life_s = told
    address, state = flow.begin()
    assert flow.end(sent_back(address), state).life_s == life_s


@pytest.mark.parametrize("is_rotating", [True, False])
def test_a_refresh_token_gives_another_access_token(issuer: CodeIssuer, flow: CodeFlow, is_rotating: bool) -> None:
    issuer.is_rotating = is_rotating
    address, state = flow.begin()
    first = flow.end(sent_back(address), state)
    assert first.refresh_token is not None
    issuer.claims["name"] = "Li^Na^Mei"
    second = flow.renew(first.refresh_token)
    assert issuer.asked[-1].form == {
        "grant_type": "refresh_token",
        "refresh_token": first.refresh_token,
        "client_id": CLIENT,
    }
    assert second.access_token != first.access_token
    assert (second.refresh_token != first.refresh_token) == is_rotating
    assert second.refresh_token is not None
    assert flow.renew(second.refresh_token).access_token


def test_a_confidential_client_renews_with_its_secret(issuer: CodeIssuer, tmp_path: Path) -> None:
    issuer.secret, issuer.is_rotating = "s3cret", False
    file = tmp_path / "secret"
    file.write_text("s3cret", encoding="utf-8")
    flow = CodeFlow(config_of(issuer, client_secret_file=file), REDIRECT)
    address, state = flow.begin()
    granted = flow.end(sent_back(address), state)
    assert flow.renew(str(granted.refresh_token)).access_token
    issuer.secret = "another"
    with pytest.raises(IssuerRefusedError, match="the issuer refused: invalid_client"):
        flow.renew(str(granted.refresh_token))


def test_an_issuer_that_is_away_has_refused_nothing(issuer: CodeIssuer, flow: CodeFlow) -> None:
    with pytest.raises(IssuerRefusedError, match="the issuer refused: invalid_grant"):
        flow.renew("never given")
    away: list[tuple[int, dict[str, str], bytes]] = [
        (503, {}, b"{}"),
        (502, {}, b"bad gateway"),
        (429, {}, b'{"error": "slow_down"}'),
        (400, {}, b'{"error": "temporarily_unavailable"}'),
        (400, {}, b'{"error": ["invalid_grant"]}'),
        (403, {}, b"{}"),
    ]
    for answer in away:
        issuer.replaced[TOKEN] = lambda answer=answer: answer  # type: ignore[misc]
        with pytest.raises(AccessError) as error:
            flow.renew("never given")
        assert not isinstance(error.value, IssuerRefusedError)


def test_a_discovery_document_that_is_refused_ends_nothing(issuer: CodeIssuer, flow: CodeFlow) -> None:
    for status in (400, 401, 403):
        issuer.replaced[DISCOVERY] = lambda status=status: (status, {}, b'{"error": "invalid_client"}')  # type: ignore[misc]
        with pytest.raises(AccessError, match="the issuer refused: invalid_client") as error:
            flow.renew("never given")
        assert not isinstance(error.value, IssuerRefusedError)


@pytest.mark.parametrize(
    ("discovered", "words"),
    [
        ({"issuer": "https://elsewhere.example"}, "names another issuer"),
        ({"issuer": None}, "names another issuer"),
        ({"authorization_endpoint": None}, "has no authorization_endpoint"),
        ({"authorization_endpoint": "http://login.example/authorize"}, "authorization_endpoint is not encrypted"),
    ],
)
def test_a_discovery_document_that_is_wrong(
    issuer: CodeIssuer, flow: CodeFlow, discovered: dict[str, Any], words: str
) -> None:
    issuer.discovered = discovered
    with pytest.raises(AccessError, match=words):
        flow.begin()


def test_no_code_is_sent_in_the_clear(issuer: CodeIssuer, flow: CodeFlow) -> None:
    address, state = flow.begin()
    back = sent_back(address)
    issuer.discovered["token_endpoint"] = "http://login.example/token"
    with pytest.raises(AccessError, match="the issuer's token_endpoint is not encrypted"):
        flow.end(back, state)


def test_an_issuer_that_is_not_encrypted_is_not_asked() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(
            200, json={"issuer": "http://login.example", "authorization_endpoint": "https://x.example"}
        )

    config = OidcSignIn.model_validate({"issuer": "http://login.example", "client_id": CLIENT})
    with pytest.raises(AccessError, match="the issuer's address is not encrypted"):
        CodeFlow(config, REDIRECT, transport=httpx.MockTransport(answer)).begin()
    assert asked == []


def test_an_issuer_that_is_away(clock: Clock) -> None:
    config = OidcSignIn.model_validate({"issuer": "http://127.0.0.1:1/realm", "client_id": CLIENT})
    with pytest.raises(AccessError, match=r"the issuer does not answer \(ConnectError\); try again in a minute"):
        CodeFlow(config, REDIRECT, clock=clock).begin()


def test_an_issuer_with_a_slash_at_its_end(issuer: CodeIssuer) -> None:
    issuer.discovered["issuer"] = f"{issuer.url}/"
    config = OidcSignIn.model_validate({"issuer": f"{issuer.url}/", "client_id": CLIENT})
    address, _ = CodeFlow(config, REDIRECT).begin()
    assert address.startswith(f"{issuer.url}/authorize?")
