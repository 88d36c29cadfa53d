"""Signing in and out: what begins a session, what does not, and what a browser is given."""

from __future__ import annotations

import re
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from medground.client.client import Client
from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.schema.errors import AccessError
from medground.serving.access.scope import Scope
from medground.viewer.sessions import COOKIE, Sessions
from medground.viewer.sign_in import OUT, PAGE, SignIn, words_of
from tests.serving.running import Running
from tests.viewer.people import Clock


def pages(sessions: Sessions, url: str, *, is_encrypted: bool = False) -> SignIn:
    return SignIn(sessions, lambda token: Client(url, token, timeout_s=120), is_encrypted)


def browser_of(sign_in: SignIn, base: str = "http://viewer.example") -> TestClient:
    return TestClient(Starlette(routes=list(sign_in.routes())), base_url=base, follow_redirects=False)


@pytest.fixture
def browser(sessions: Sessions, house: Running) -> TestClient:
    return browser_of(pages(sessions, house.url))


def cookie(answer: object, name: str = COOKIE) -> Morsel[str]:
    """What the browser is told to keep."""
    (header,) = (one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{name}="))  # type: ignore[attr-defined]
    return SimpleCookie(header)[name]


def test_a_token_begins_a_session(browser: TestClient, sessions: Sessions, house: Running) -> None:
    answer = browser.post(PAGE, data={"token": f"  {house.token(Scope.READ, Scope.REVIEW)}\n"})
    assert (answer.status_code, answer.headers["location"], answer.headers["cache-control"]) == (303, "/", "no-store")
    session = sessions.get(browser.cookies[COOKIE])
    assert session is not None
    assert (session.me.name, session.me.tenant, session.me.kind) == ("Ann Example", "clinic", "token")
    assert session.me.scopes == ("read", "review")
    assert session.client.studies().studies == ()


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_cookie_is_for_this_page_alone(sessions: Sessions, house: Running, is_encrypted: bool) -> None:
    base = "https://viewer.example" if is_encrypted else "http://viewer.example"
    browser = browser_of(pages(sessions, house.url, is_encrypted=is_encrypted), base)
    token = house.token(Scope.READ)
    kept = cookie(browser.post(PAGE, data={"token": token}))
    assert (kept["httponly"], kept["samesite"], kept["path"], kept["domain"]) == (True, "strict", "/", "")
    assert bool(kept["secure"]) == is_encrypted
    assert kept["max-age"] == kept["expires"] == ""  # it goes with the browser
    assert token not in kept.value


def test_two_browsers_have_two_sessions(sessions: Sessions, house: Running) -> None:
    sign_in, token = pages(sessions, house.url), house.token(Scope.READ)
    first, second = (cookie(browser_of(sign_in).post(PAGE, data={"token": token})).value for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        ("", 422, "That is no token. Paste the whole line"),
        ("   ", 422, "That is no token."),
        ("mg_ä", 422, "That is no token."),
        ("mg_\x00", 422, "That is no token."),
        ("mg_a\r\nX-Header: 1", 422, "That is no token."),
        ("x" * 16_385, 422, "That is no token."),
        ("x" * 66_000, 413, "That is longer than any token."),
        ("mg_wrong", 403, "The service does not know this token, or it has ended."),
        ("x" * 16_384, 403, "The service does not know this token"),
    ],
)
def test_what_is_no_token_begins_none(browser: TestClient, token: str, status: int, words: str) -> None:
    answer = browser.post(PAGE, data={"token": token})
    assert (answer.status_code, words in answer.text) == (status, True)
    assert "set-cookie" not in answer.headers


def test_forms_that_are_none(browser: TestClient) -> None:
    assert browser.post(PAGE).status_code == 422
    assert browser.post(PAGE, data={"key": "x"}).status_code == 422
    assert browser.post(PAGE, json={"token": "mg_x"}).status_code == 422
    assert browser.post(PAGE, files={"token": b"mg_x"}).status_code == 400
    assert browser.post(PAGE, data={str(n): "x" for n in range(5)}).status_code == 400


def test_credentials_that_may_not_see_studies(browser: TestClient, house: Running) -> None:
    answer = browser.post(PAGE, data={"token": house.token(Scope.GROUND)})
    assert (answer.status_code, "they lack the scope read" in answer.text) == (403, True)
    assert "set-cookie" not in answer.headers


def test_a_token_that_was_taken_back(browser: TestClient, house: Running) -> None:
    made = house.service.tokens.create("Bob", "clinic", (Scope.READ,), timedelta(days=1))
    house.service.tokens.revoke(made.record.token_id)
    answer = browser.post(PAGE, data={"token": made.plain})
    assert (answer.status_code, "it has ended. Ask an administrator" in answer.text) == (403, True)
    assert made.plain not in answer.text


def test_a_service_that_is_away(sessions: Sessions) -> None:
    answer = browser_of(pages(sessions, "http://127.0.0.1:1")).post(PAGE, data={"token": "mg_x"})
    assert (answer.status_code, "The service does not answer." in answer.text) == (503, True)
    assert "set-cookie" not in answer.headers


def test_the_page_says_nothing_until_a_session_has_ended(
    browser: TestClient, sessions: Sessions, house: Running, clock: Clock
) -> None:
    ended = "Your session has ended. Sign in again."
    page = browser.get(PAGE)
    assert (page.status_code, ended in page.text) == (200, False)
    browser.post(PAGE, data={"token": house.token(Scope.READ)})
    assert ended not in browser.get(PAGE).text
    clock.now_s += 61
    assert ended in browser.get(PAGE).text


def test_looking_at_the_page_is_no_sign_of_life(browser: TestClient, house: Running, clock: Clock) -> None:
    browser.post(PAGE, data={"token": house.token(Scope.READ)})
    for _ in range(2):
        clock.now_s += 31
        page = browser.get(PAGE)
    assert "Your session has ended." in page.text


def test_the_page_runs_nothing_and_is_kept_nowhere(browser: TestClient) -> None:
    page = browser.get(PAGE)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text
    assert 'type="password"' in page.text
    assert 'autocomplete="off"' in page.text
    assert '<html lang="en">' in page.text
    assert re.search(r'<label for="token">', page.text)
    assert re.search(r'<input id="token"', page.text)
    assert "Sign in with your organisation" not in page.text


def test_words_of_others_are_no_html(sessions: Sessions) -> None:
    sign_in = pages(sessions, "http://127.0.0.1:1")
    assert "&lt;script&gt;" in bytes(sign_in._shown("<script>", 200).body).decode()


def test_a_link_lets_in_once(sessions: Sessions, house: Running) -> None:
    sign_in = pages(sessions, house.url)
    token = house.token(Scope.READ)
    door, other = sign_in.door(token), sign_in.door(token)
    assert token not in door
    browser = browser_of(sign_in)
    for wrong in (f"{door}x", f"{PAGE}?key=", door[:-1]):
        assert browser.get(wrong).status_code == 403
    answer = browser.get(door)
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/">' in answer.text  # see `_onward`
    session = sessions.get(cookie(answer).value)
    assert session is not None
    assert session.me.scopes == ("read",)
    again = browser_of(sign_in).get(door)
    assert (again.status_code, "This link has been used" in again.text) == (403, True)
    assert "set-cookie" not in again.headers
    assert browser_of(sign_in).get(other).status_code == 200


def test_a_link_is_not_used_up_while_the_service_is_away(sessions: Sessions) -> None:
    sign_in = pages(sessions, "http://127.0.0.1:1")
    door = sign_in.door("mg_x")
    browser = browser_of(sign_in)
    for _ in range(2):
        answer = browser.get(door)
        assert (answer.status_code, "does not answer" in answer.text) == (503, True)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_form_on_another_page_signs_nobody_in(browser: TestClient, house: Running, site: str) -> None:
    form = {"token": house.token(Scope.READ)}
    answer = browser.post(PAGE, data=form, headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert browser.post(PAGE, data=form, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_no_door_is_told_by_what_is_written_of_the_pages(sessions: Sessions) -> None:
    sign_in = pages(sessions, "http://127.0.0.1:1")
    door = sign_in.door("mg_secret")
    assert door.partition("key=")[2] not in repr(sign_in)
    assert "mg_secret" not in repr(sign_in)


def test_signing_out_ends_the_session(browser: TestClient, sessions: Sessions, house: Running) -> None:
    secret = cookie(browser.post(PAGE, data={"token": house.token(Scope.READ)})).value
    session = sessions.get(secret)
    assert session is not None
    answer = browser.post(OUT)
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    assert (cookie(answer).value, cookie(answer)["max-age"], cookie(answer)["path"]) == ("", "0", "/")
    assert sessions.get(secret) is None
    with pytest.raises(RuntimeError, match="closed"):
        session.client.me()
    assert browser.post(OUT).status_code == 303
    assert browser.get(OUT).status_code == 405  # an image on another page signs nobody out


@pytest.mark.parametrize("path", ["/sign-in/oidc", "/sign-in/back?code=x&state=y"])
def test_a_viewer_that_knows_no_issuer(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, "This viewer knows no issuer; sign in with a token." in answer.text) == (404, True)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServiceUnreachableError("ConnectError"), "The service does not answer. Wait a moment and sign in again"),
        (ServiceError(401, "x", "no"), "The service does not know this token, or it has ended."),
        (ServiceError(429, "x", "too many requests"), "too many requests"),
        (AccessError("the issuer refused: x"), "the issuer refused: x"),
    ],
)
def test_what_to_tell_and_what_to_do(error: ServiceError, words: str) -> None:
    assert words_of(error).startswith(words)
