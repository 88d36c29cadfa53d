"""Nothing of the viewer answers who is not signed in: page, socket, pixels, files of Streamlit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from medground.serving.access.scope import Scope
from medground.viewer.guard import cookie_of, is_by_person
from medground.viewer.sessions import COOKIE
from tests.serving.running import NODULE, Running
from tests.viewer.conftest import New
from tests.viewer.whole import Whole, whole_viewer

STREAM = "/_stcore/stream"
GUARDED = (
    "/",
    "/index.html",
    "/anything",
    "/sign-in/",
    "/sign-in/oidc/x",
    "//sign-in",
    "/_stcore/health",
    "/_stcore/script-health-check",
    "/_stcore/host-config",
    "/_stcore/metrics",
    "/_stcore/message",
    "/static/js/index.js",
    "/media/x.png",
    "/component/x/index.html",
    "/pixels/0123456789abcdef01234567/1/1",
    "/oauth2callback",
)


@pytest.fixture(scope="module")
def whole(house: Running) -> Iterator[Whole]:
    with whole_viewer(house.url) as it:
        yield it


def socket(whole: Whole, secret: str | None, **more: Any) -> AbstractContextManager[ClientConnection]:
    """The socket of a page, as a browser opens it."""
    headers = {} if secret is None else {"Cookie": f"{COOKIE}={secret}"}
    origin = more.pop("origin", whole.url)
    url = whole.url.replace("http://", "ws://") + STREAM
    patient: dict[str, Any] = {"open_timeout": 120, "ping_timeout": 120}
    return connect(
        url, origin=origin, additional_headers=headers, proxy=None, subprotocols=["streamlit"], **patient, **more
    )


@pytest.mark.parametrize("path", GUARDED)
def test_who_is_not_signed_in_gets_nothing(whole: Whole, path: str) -> None:
    with whole.browser() as browser, whole.browser(accepts="*/*") as program:
        page = browser.get(path)
        assert (page.status_code, page.headers["location"], page.content) == (303, "/sign-in", b"")
        for cookie in ({}, {"Cookie": f"{COOKIE}="}, {"Cookie": f"{COOKIE}={'x' * 43}"}):
            answer = program.get(path, headers=cookie)
            assert answer.status_code == 401
            assert answer.json() == {"detail": "not signed in, or the session has ended: sign in again"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_no_method_goes_round(whole: Whole, method: str) -> None:
    with whole.browser() as browser:
        for path in ("/", "/_stcore/upload_file/session/file", "/pixels/0123456789abcdef01234567/1/1"):
            assert browser.request(method, path).status_code == 401


def test_who_is_signed_in_gets_the_page(whole: Whole, house: Running) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser:
        page = browser.get("/")
        assert page.status_code == 200
        assert "<title>Streamlit</title>" in page.text
        assert browser.get("/_stcore/health").text == "ok"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/_stcore/health", "/nowhere", "/pixels/x/1/1"])
def test_every_answer_says_how_it_may_be_used(whole: Whole, house: Running, path: str) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser, whole.browser() as nobody:
        for answer in (browser.get(path), nobody.get(path)):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            assert "access-control-allow-origin" not in answer.headers


def test_life_can_be_asked_for_by_anybody(whole: Whole) -> None:
    with whole.browser() as browser:
        assert (browser.get("/healthz").status_code, browser.get("/healthz").text) == (200, "ok")


@pytest.mark.parametrize("secret", [None, "", "x" * 43])
def test_no_socket_without_a_session(whole: Whole, secret: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(whole, secret):
        pass
    assert refused.value.response.status_code == 403


def test_no_socket_for_a_page_of_another_site(whole: Whole, house: Running) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser:
        secret = browser.cookies[COOKIE]
        port = whole.url.rpartition(":")[2]
        for origin in (
            "https://evil.example",
            "null",
            f"http://localhost:{port}",
            "http://127.0.0.1:1",
            f"{whole.url}0",
        ):
            with pytest.raises(InvalidStatus) as refused, socket(whole, secret, origin=origin):
                pass
            assert refused.value.response.status_code == 403
        with socket(whole, secret):
            pass


def test_a_socket_of_who_is_signed_in_shows_the_page(whole: Whole, house: Running) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser, socket(whole, browser.cookies[COOKIE]) as open_one:
        open_one.send(rerun())
        assert "Work list" in "".join(_headings(open_one))


def test_a_socket_ends_with_its_session(whole: Whole, house: Running) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser, socket(whole, browser.cookies[COOKIE]) as open_one:
        open_one.send(rerun())
        assert _headings(open_one)
        assert browser.post("/sign-out").status_code == 303
        open_one.send(rerun())
        assert "new_session" not in _until_it_closes(open_one)  # the page was not made anew


def test_a_socket_ends_when_its_session_has_been_silent(whole: Whole, house: Running) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser, socket(whole, browser.cookies[COOKIE]) as open_one:
        open_one.send(rerun())
        assert _headings(open_one)
        for _ in range(3):  # each message is a sign of life
            whole.clock.now_s += 50
            open_one.send(rerun())
            assert _headings(open_one)
        whole.clock.now_s += 61
        open_one.send(rerun())
        assert "new_session" not in _until_it_closes(open_one)


def test_a_page_that_asks_by_itself_is_no_sign_of_life(whole: Whole, house: Running) -> None:
    """A waiting question asks every half second, a page that lost its socket opens another and asks for everything."""
    with whole.signed_in(house.token(Scope.READ)) as browser:
        for _ in range(2):
            whole.clock.now_s += 20
            with socket(whole, browser.cookies[COOKIE]) as open_one:
                open_one.send(rerun())
                assert _headings(open_one)
        with socket(whole, browser.cookies[COOKIE]) as open_one:
            open_one.send(rerun())
            assert _headings(open_one)
            whole.clock.now_s += 20
            open_one.send(rerun(is_auto=True))
            assert _headings(open_one)
            whole.clock.now_s += 1
            open_one.send(rerun(is_auto=True))
            assert "new_session" not in _until_it_closes(open_one)


def test_what_a_person_does() -> None:
    assert is_by_person(rerun())
    assert not is_by_person(rerun(is_auto=True))
    assert is_by_person(BackMsg(stop_script=True).SerializeToString())
    assert not is_by_person(BackMsg(app_heartbeat=True).SerializeToString())
    assert not is_by_person(BackMsg(load_git_info=True).SerializeToString())
    assert not is_by_person(b"")
    assert not is_by_person(b"\xff")


def test_what_a_page_loads_by_itself_is_no_sign_of_life(whole: Whole, house: Running, new_film: New) -> None:
    with whole.signed_in(house.token(Scope.READ, Scope.GROUND)) as browser:
        session = whole.sessions.get(browser.cookies[COOKIE])
        assert session is not None
        (study,) = session.client.store([new_film(NODULE)]).studies
        image = session.client.series(study)[0].instances[0].id
        for path in (f"/pixels/{study}/{image}/1", "/_stcore/health", "/_stcore/host-config"):
            whole.clock.now_s += 20
            assert browser.get(path).status_code == 200
        whole.clock.now_s += 1
        assert browser.get("/_stcore/health", headers={"Accept": "*/*"}).status_code == 401


def test_opening_the_page_and_uploading_are_signs_of_life(whole: Whole, house: Running) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser:
        for method, path in (("GET", "/"), ("PUT", "/_stcore/upload_file/s/f"), ("GET", "/")):
            whole.clock.now_s += 50
            assert browser.request(method, path).status_code != 401


def test_our_cookie_among_others() -> None:
    assert cookie_of(f"{COOKIE}=abc") == "abc"
    assert cookie_of(f'theme={{"dark":true}}; {COOKIE}=abc; x') == "abc"
    assert cookie_of(f"x{COOKIE}=abc; y={COOKIE}") is None
    assert cookie_of("") is None


def test_who_signs_in_again_has_a_new_session(whole: Whole, house: Running) -> None:
    """Signing in anew in the same browser makes a new session; the old one is not the new one's."""
    with whole.browser() as browser:
        first = browser.post("/sign-in", data={"token": house.token(Scope.READ)}).cookies[COOKIE]
        second = browser.post("/sign-in", data={"token": house.token(Scope.READ, Scope.SIGN)}).cookies[COOKIE]
        sessions = whole.sessions.get(first), whole.sessions.get(second)
        assert [one.me.scopes for one in sessions if one] == [("read",), ("read", "sign")]
        for secret in (first, second):
            whole.sessions.end(secret)


def rerun(*, is_auto: bool = False) -> bytes:
    """What a browser sends to have the page made; by itself, or because somebody did something."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    message.rerun_script.is_auto_rerun = is_auto
    return message.SerializeToString()


def _until_it_closes(open_one: ClientConnection) -> list[str]:
    """Kinds of the messages that still come."""
    found = []
    try:
        while True:
            found.append(ForwardMsg.FromString(open_one.recv(timeout=120)).WhichOneof("type"))
    except ConnectionClosed:
        return found


def _headings(open_one: ClientConnection) -> list[str]:
    """Headings of the page that is made next."""
    found = []
    while True:
        message = ForwardMsg.FromString(open_one.recv(timeout=120))
        if message.WhichOneof("type") == "script_finished":
            return found
        if message.WhichOneof("type") == "delta" and message.delta.new_element.WhichOneof("type") == "heading":
            found.append(message.delta.new_element.heading.body)
