"""Guard: nothing of the viewer answers a browser that is not signed in, neither page nor socket nor pixel."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # comes with Streamlit
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

from medground.viewer.sessions import COOKIE, Sessions
from medground.viewer.sign_in import BACK, OIDC, OUT, PAGE
from medground.viewer.uploads import UPLOAD

OPEN = (PAGE, OIDC, BACK, OUT, "/healthz")
_BY_ITSELF = ("/pixels/", "/_stcore/")  # asked for by an open page while nobody need be there
_BY_PERSON = ("rerun_script", "stop_script", "file_urls_request")
_ENDED = 4401  # a close code of our own (RFC 6455, 7.4.2): the page then shows that the session ended
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}


class Guard:
    """ASGI middleware.

    Args:
        app: what it stands before.
        sessions: who is signed in.
        origins: as browsers name the page; a socket that another site's page opens is refused.
    """

    def __init__(self, app: ASGIApp, *, sessions: Sessions, origins: Sequence[str]) -> None:
        self._app, self._sessions, self._origins = app, sessions, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        secret = cookie_of(headers.get("cookie", ""))
        path: str = scope["path"]
        if scope["type"] == "websocket":
            # A page opens its socket by itself, and again whenever it broke off.
            if self._sessions.get(secret, is_sign_of_life=False) is None or not self._is_own(headers):
                await receive()
                await send({"type": "websocket.close", "code": _ENDED})
                return
            await self._app(scope, self._watched(receive, secret), send)
            return
        is_sign_of_life = path.startswith(UPLOAD) or not path.startswith(_BY_ITSELF)
        if path in OPEN or self._sessions.get(secret, is_sign_of_life=is_sign_of_life) is not None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            await RedirectResponse(PAGE, 303)(scope, receive, _with_headers(send))
        else:
            words = {"detail": "not signed in, or the session has ended: sign in again"}
            await JSONResponse(words, 401)(scope, receive, _with_headers(send))

    def _is_own(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        return origin is None or origin in self._origins or origin.partition("://")[2] == headers.get("host")

    def _watched(self, receive: Receive, secret: str | None) -> Receive:
        """What a person does on an open page is a sign of life; once the session has ended, the socket ends."""
        is_first = True  # what a page asks for when its socket opens it asks for by itself

        async def watched() -> Message:
            nonlocal is_first
            message = await receive()
            if message["type"] == "websocket.receive":
                is_sign_of_life = not is_first and is_by_person(message.get("bytes") or b"")
                is_first = False
                if self._sessions.get(secret, is_sign_of_life=is_sign_of_life) is None:
                    return {"type": "websocket.disconnect", "code": _ENDED}
            return message

        return watched


def is_by_person(message: bytes) -> bool:
    """Whether somebody pressed, wrote or chose something, and not a page that looks every so often how far a job is.

    Args:
        message: of a page to Streamlit.
    """
    try:
        said = BackMsg.FromString(message)
    except DecodeError:
        return False
    return said.WhichOneof("type") in _BY_PERSON and not said.rerun_script.is_auto_rerun


def cookie_of(header: str) -> str | None:
    """Our cookie in a header."""
    return cookie_parser(header).get(COOKIE)  # not `http.cookies`: it gives up at a foreign cookie that holds JSON


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            had = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *((n, v) for n, v in _HEADERS.items() if n not in had)]
        await send(message)

    return sending
