"""Signing in by an issuer, the whole way: viewer, issuer, viewer, and a service that trusts the issuer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from medground.client.client import Client
from medground.serving.access.oidc_config import OidcConfig
from medground.viewer.oidc import CodeFlow
from medground.viewer.renewal import SignInEndedError
from medground.viewer.sessions import COOKIE, Sessions
from medground.viewer.sign_in import BACK, SignIn
from tests.serving.running import running
from tests.viewer.code_issuer import AUDIENCE, DISCOVERY, NOT_OURS, TOKEN, CodeIssuer, sent_back
from tests.viewer.opened_page import OpenedPage
from tests.viewer.people import Clock

Clinic = tuple[TestClient, Sessions]


@pytest.fixture
def clinic(issuer: CodeIssuer, tmp_path: Path, flow: CodeFlow, sessions: Sessions) -> Iterator[Clinic]:
    """A viewer whose service trusts the issuer."""
    oidc = OidcConfig.model_validate(
        {
            "issuer": issuer.url,
            "audience": AUDIENCE,
            "tenant_claim": ("tenant",),
            "timeout_s": 60,
            "scopes_of": {"radiologist": {"read", "review"}, "student": {"ground"}},
        }
    )
    with running(tmp_path / "house", oidc=oidc) as house:
        sign_in = SignIn(sessions, lambda token: Client(house.url, token, timeout_s=120), False, flow)
        app = Starlette(routes=list(sign_in.routes()))
        with TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False) as browser:
            yield browser, sessions


def _to_issuer_and_back(browser: TestClient) -> Any:
    answer = browser.get("/sign-in/oidc")
    assert answer.status_code == 303
    return browser.get(BACK, params=sent_back(answer.headers["location"]))


def test_the_whole_way(clinic: Clinic) -> None:
    browser, sessions = clinic
    assert 'href="/sign-in/oidc"' in browser.get("/sign-in").text
    answer = browser.get("/sign-in/oidc")
    (kept,) = answer.headers.get_list("set-cookie")
    assert all(part in kept for part in ("HttpOnly", "SameSite=lax", "Path=/sign-in", "Max-Age=600"))
    answer = browser.get(BACK, params=sent_back(answer.headers["location"]))
    assert answer.status_code == 200
    session = sessions.get(browser.cookies.get(COOKIE))
    assert session is not None
    assert (session.me.name, session.me.tenant, session.me.kind) == ("Li^Na", "clinic", "oidc")
    assert session.me.scopes == ("read", "review")
    assert session.me.expires is not None
    assert session.client.studies().studies == ()
    assert browser.cookies.get("medground_signing_in") is None


def test_a_browser_that_an_issuer_sends_back_is_led_on_by_a_page_of_ours(clinic: Clinic) -> None:
    """A redirect would still be the issuer's navigation, with which a browser sends no strict cookie."""
    answer = _to_issuer_and_back(clinic[0])
    assert (answer.status_code, answer.headers.get("location")) == (200, None)
    assert '<meta http-equiv="refresh" content="0;url=/">' in answer.text
    assert '<a href="/">' in answer.text
    assert "SameSite=strict" in answer.headers["set-cookie"]


def test_another_browser_cannot_use_what_came_back(clinic: Clinic) -> None:
    browser, _ = clinic
    back = sent_back(browser.get("/sign-in/oidc").headers["location"])
    browser.cookies.clear()
    answer = browser.get(BACK, params=back)
    assert answer.status_code == 403
    assert NOT_OURS in answer.text
    assert browser.cookies.get(COOKIE) is None


def test_whom_the_service_does_not_let_see_studies(issuer: CodeIssuer, clinic: Clinic) -> None:
    browser, _ = clinic
    for roles, words in ((["student"], "they lack the scope read"), (["cleaner"], "")):
        issuer.claims["roles"] = roles
        answer = _to_issuer_and_back(browser)
        assert answer.status_code == 403
        assert words in answer.text
        assert browser.cookies.get(COOKIE) is None


def test_an_issuer_that_is_away_is_told_on_the_page(issuer: CodeIssuer, clinic: Clinic) -> None:
    browser, _ = clinic
    issuer.replaced[DISCOVERY] = lambda: (502, {}, b"bad gateway")
    answer = browser.get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "the issuer answered 502 and nothing that can be read" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_session_outlives_its_access_token(issuer: CodeIssuer, clinic: Clinic, clock: Clock) -> None:
    """The service is asked with the new token, which says another name; nothing that a browser is given holds one."""
    issuer.life_s = 55
    browser, sessions = clinic
    answers = [_to_issuer_and_back(browser)]
    for number in range(3):
        clock.now_s += 50
        issuer.claims["name"] = f"Li^Na^{number}"
        session = sessions.get(browser.cookies.get(COOKIE))
        assert session is not None
        assert session.client.me().name == f"Li^Na^{number}"
        assert [one.form["grant_type"] for one in issuer.asked if one.path == TOKEN][1:] == ["refresh_token"] * (
            number + 1
        )
        answers.append(browser.get("/sign-in"))
    given = [one.form["refresh_token"] for one in issuer.asked if "refresh_token" in one.form]
    assert len(set(given)) == 3
    for one in answers:
        assert not any(token in one.text + str(one.headers) for token in given)


def test_an_issuer_that_refuses_ends_the_session(issuer: CodeIssuer, clinic: Clinic, clock: Clock) -> None:
    issuer.life_s = 50
    browser, sessions = clinic
    _to_issuer_and_back(browser)
    issuer.revoke()
    clock.now_s += 45
    session = sessions.get(browser.cookies.get(COOKIE))
    assert session is not None
    with pytest.raises(SignInEndedError):
        session.client.studies()
    page = OpenedPage(session, sessions)
    assert page.words == [
        "Your organisation does not renew your sign-in any more. What was saved is kept. [Sign in again](/sign-in)"
    ]
    assert page.labels == []
    assert sessions.get(browser.cookies.get(COOKIE)) is None
