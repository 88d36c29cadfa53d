"""The viewer's whole application on loopback, with a service behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpx
import uvicorn
from streamlit.runtime import Runtime

from medground.client.client import Client
from medground.viewer.config import ViewerConfig
from medground.viewer.oidc import CodeFlow
from medground.viewer.running import Viewer, run_as
from medground.viewer.server import by_cookie, viewer_app
from medground.viewer.sessions import COOKIE, Sessions
from medground.viewer.sign_in import SignIn
from tests.serving.running import eventually
from tests.viewer.people import Clock


@dataclass
class Whole:
    """A viewer that listens, and its parts.

    Attributes:
        url: of the page.
        sessions: who is signed in.
        sign_in: its pages.
        clock: of the sessions.
    """

    url: str
    sessions: Sessions
    sign_in: SignIn
    clock: Clock

    def browser(self, *, accepts: str = "text/html,application/xhtml+xml,*/*;q=0.8") -> httpx.Client:
        """A browser with cookies of its own; it follows no redirect by itself."""
        return httpx.Client(base_url=self.url, headers={"Accept": accepts}, timeout=120, trust_env=False)

    @contextmanager
    def signed_in(self, token: str) -> Iterator[httpx.Client]:
        """A browser in which somebody has signed in with a token; the session ends with the block."""
        with self.browser() as browser:
            answer = browser.post("/sign-in", data={"token": token})
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
            try:
                yield browser
            finally:
                self.sessions.end(browser.cookies.get(COOKIE))


@contextmanager
def whole_viewer(service: str, flow: CodeFlow | None = None) -> Iterator[Whole]:
    """A viewer of the service at this address."""
    clock = Clock()
    sessions = Sessions(clock, idle_s=60, longest_s=3600)
    sign_in = SignIn(sessions, lambda token: Client(service, token, timeout_s=120), False, flow)
    server = uvicorn.Server(uvicorn.Config(lambda *_: None, port=0, log_config=None, access_log=False, lifespan="on"))
    sockets = [server.config.bind_socket()]
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    config = ViewerConfig.model_validate({"service": service, "port": sockets[0].getsockname()[1]})
    server.config.app = viewer_app(config, sessions, sign_in)
    run_as(Viewer(config, sessions, by_cookie(sessions)))
    thread = threading.Thread(target=server.run, args=(sockets,), daemon=True)
    thread.start()
    assert eventually(lambda: server.started)
    try:
        with closing(sessions):
            yield Whole(url, sessions, sign_in, clock)
    finally:
        server.should_exit = True
        thread.join()
        sockets[0].close()
        Runtime._instance = None  # Streamlit lets a process have one in its life
