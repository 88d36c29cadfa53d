"""Files that a page holds: so many at once, and none that were stored."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_routes import XSRF_COOKIE_NAME
from websockets.sync.client import ClientConnection

from medground.serving.access.scope import Scope
from medground.viewer import server
from medground.viewer.sessions import COOKIE
from medground.viewer.uploads import LIMIT_WORDS, MOST_MIB, UPLOAD, UploadLimit, held_bytes
from tests.serving.running import Running
from tests.viewer.test_guard import rerun, socket
from tests.viewer.whole import Whole, whole_viewer

MOST = 100_000


class Small(UploadLimit):
    """The limit, of less."""

    def __init__(self, app: object) -> None:
        super().__init__(app, most_bytes=MOST)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(house: Running) -> Iterator[Whole]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "UploadLimit", Small)
        with whole_viewer(house.url) as it:
            yield it


def page_of(open_one: ClientConnection) -> str:
    """Id of the page that a socket has."""
    open_one.send(rerun())
    while True:
        message = ForwardMsg.FromString(open_one.recv(timeout=120))
        if message.WhichOneof("type") == "new_session":
            return str(message.new_session.initialize.session_id)


def put(browser: httpx.Client, page: str, name: str, size: int) -> httpx.Response:
    browser.get("/_stcore/health")  # gives the cookie against requests of other sites
    headers = {"X-Xsrftoken": browser.cookies[XSRF_COOKIE_NAME]}
    return browser.put(f"{UPLOAD}{page}/{name}", files={name: b"x" * size}, headers=headers)


def test_a_page_holds_so_much_and_no_more(whole: Whole, house: Running) -> None:
    token = house.token(Scope.READ, Scope.GROUND)
    with whole.signed_in(token) as browser, socket(whole, browser.cookies[COOKIE]) as open_one:
        page = page_of(open_one)
        assert put(browser, page, "a", 60_000).status_code == 204
        assert held_bytes(page) == 60_000
        refused = put(browser, page, "b", 60_000)
        assert (refused.status_code, refused.json()) == (413, {"detail": LIMIT_WORDS})
        assert put(browser, page, "c", 30_000).status_code == 204
        assert browser.delete(f"{UPLOAD}{page}/a", headers=_token(browser)).status_code == 204
        assert put(browser, page, "b", 60_000).status_code == 204
        with socket(whole, browser.cookies[COOKIE]) as other:
            assert put(browser, page_of(other), "b", 60_000).status_code == 204


def test_a_file_of_unknown_length_is_not_taken(whole: Whole, house: Running) -> None:
    with whole.signed_in(house.token(Scope.READ)) as browser:
        assert browser.put(f"{UPLOAD}page/file", content=iter([b"x"])).status_code == 411


def test_it_stands_on_the_page_and_in_the_settings() -> None:
    assert server._STREAMLIT["server.maxUploadSize"] == MOST_MIB
    assert f"{MOST_MIB} MiB at once" in LIMIT_WORDS
    assert "C-STORE" in LIMIT_WORDS


def _token(browser: httpx.Client) -> dict[str, str]:
    return {"X-Xsrftoken": browser.cookies[XSRF_COOKIE_NAME]}
