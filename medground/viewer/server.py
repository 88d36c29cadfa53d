"""The viewer as a server: Streamlit's application with a guard before it and our own routes beside it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from streamlit import config as streamlit_config
from streamlit.starlette import App

from medground.client.client import Client
from medground.client.connection import Token
from medground.schema.errors import UsageError
from medground.viewer.config import ViewerConfig
from medground.viewer.guard import Guard
from medground.viewer.oidc import CodeFlow, check_secret
from medground.viewer.pixels import pixel_route
from medground.viewer.running import Viewer, run_as
from medground.viewer.sessions import COOKIE, Session, Sessions
from medground.viewer.sign_in import BACK, SignIn
from medground.viewer.uploads import MOST_MIB, UploadLimit

SCRIPT = Path(__file__).with_name("page.py")
_STREAMLIT = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",  # a sentence, never a stack trace
    "client.toolbarMode": "minimal",
    "runner.fastReruns": False,  # one run of the page at a time
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.maxUploadSize": MOST_MIB,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "theme.base": "dark",
    "theme.primaryColor": "#2f6fde",  # red is for what is wrong
}


def serve_viewer(
    config: ViewerConfig,
    *,
    say: Callable[[str], None],
    token: str | None = None,
) -> None:
    """Run until stopped.

    Args:
        config: with a `service`.
        say: told in words for people where the page is.
        token: credentials for a link that lets in once; None where everybody signs in.

    Raises:
        UsageError: the address is taken, or a file of the config cannot be read.
    """
    service = config.service
    if service is None:
        raise UsageError("a viewer needs the address of a service")
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        listening = socket.create_server((config.host, config.port), family=family, backlog=128)
    except OSError as error:
        raise UsageError(
            f"{config.host} port {config.port} cannot be taken ({error.strerror}); try --port 0"
        ) from error
    config = config.model_copy(update={"port": listening.getsockname()[1]})
    sessions = Sessions(time.monotonic, idle_s=config.idle_minutes * 60, longest_s=config.longest_hours * 3600)
    with listening, closing(sessions):
        sign_in = SignIn(sessions, _connector(config), config.is_encrypted, _flow(config))
        run_as(Viewer(config, sessions, by_cookie(sessions)))
        settings = uvicorn.Config(
            viewer_app(config, sessions, sign_in),
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ssl_certfile=config.tls.certificate if config.tls else None,
            ssl_keyfile=config.tls.key if config.tls else None,
        )
        door = "" if token is None else f"{config.url}{sign_in.door(token)}"
        say(f"the viewer is at {door or config.url}" + ("  (this link lets in once)" if door else ""))
        uvicorn.Server(settings).run(sockets=[listening])


def viewer_app(config: ViewerConfig, sessions: Sessions, sign_in: SignIn) -> ASGIApp:
    """The ASGI application.

    Args:
        config: of the viewer.
        sessions: who is signed in.
        sign_in: its pages.
    """
    own = {"server.corsAllowedOrigins": [config.url], "browser.serverAddress": urlsplit(config.url).hostname}
    for name, value in {**_STREAMLIT, **own}.items():
        streamlit_config.set_option(name, value)
    return App(
        SCRIPT,
        routes=[*sign_in.routes(), pixel_route(sessions), Route("/healthz", _healthz)],
        middleware=[Middleware(Guard, sessions=sessions, origins=(config.url,)), Middleware(UploadLimit)],
    )


def by_cookie(sessions: Sessions) -> Callable[[], Session | None]:
    """What finds the session of a page by the cookie that its socket was opened with.

    A page is also made anew without anybody there, at the end of a wait: what is a sign of life the guard knows.

    Args:
        sessions: who is signed in.
    """
    return lambda: sessions.get(st.context.cookies.get(COOKIE), is_sign_of_life=False)


def _connector(config: ViewerConfig) -> Callable[[Token], Client]:
    def connect(token: Token) -> Client:
        return Client(str(config.service).rstrip("/"), token, timeout_s=config.request_timeout_s)

    return connect


def _flow(config: ViewerConfig) -> CodeFlow | None:
    if config.oidc is None:
        return None
    check_secret(config.oidc)
    return CodeFlow(config.oidc, f"{config.url}{BACK}")


async def _healthz(request: Request) -> Response:
    del request
    return PlainTextResponse("ok")
