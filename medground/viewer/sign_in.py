"""Signing in and out: plain pages of our own, before Streamlit, which nobody reaches without a session."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from medground.client.client import Client
from medground.client.connection import Token
from medground.client.errors import ServiceError, ServiceUnreachableError
from medground.schema.errors import MedgroundError
from medground.viewer.oidc import CodeFlow
from medground.viewer.renewal import RenewedToken
from medground.viewer.sessions import COOKIE, Sessions

PAGE, OUT, OIDC, BACK = "/sign-in", "/sign-out", "/sign-in/oidc", "/sign-in/back"
FLOW_COOKIE = "medground_signing_in"
_AWAY = 503
_LONGEST_TOKEN, _LONGEST_FORM_BYTES = 16_384, 65_536
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_STYLE = (
    ":root{color-scheme:dark}body{font:16px/1.5 system-ui,sans-serif;background:#0e1117;color:#f2f4f8;margin:0}"
    "main{max-width:30em;margin:12vh auto;padding:0 1.5em}label{display:block;margin:1.2em 0 .3em}"
    "input{width:100%;box-sizing:border-box;font:inherit;padding:.6em;border:1px solid #8a93a6;border-radius:4px;"
    "background:#161b26;color:inherit}"
    "button,a.button{display:inline-block;font:inherit;margin-top:1em;padding:.6em 1.4em;"
    "border:0;border-radius:4px;background:#9cc4ff;color:#0b1526;text-decoration:none;cursor:pointer}"
    "[role=alert]{border-left:4px solid #ff9d8a;padding:.4em 1em;background:#2a1614}.notice{color:#c3cad8}"
    "a{color:#9cc4ff}:focus-visible{outline:3px solid #ffd166;outline-offset:2px}"
)


@dataclass
class SignIn:
    """The pages of signing in.

    Args:
        sessions: where sessions begin.
        connect: a client of the service with somebody's credentials.
        is_encrypted: whether browsers come by HTTPS, so that cookies never travel otherwise.
        flow: signing in by an issuer; None if there is none.
        doors: one-time keys, each with the credentials it opens with: how a viewer that started its own service lets
            in who started it.
    """

    sessions: Sessions
    connect: Callable[[Token], Client]
    is_encrypted: bool
    flow: CodeFlow | None = None
    doors: dict[str, str] = field(default_factory=dict, repr=False)

    def routes(self) -> list[Route]:
        """For the application."""
        return [
            Route(PAGE, self._page, methods=["GET"]),
            Route(PAGE, self._by_token, methods=["POST"]),
            Route(OIDC, self._to_issuer, methods=["GET"]),
            Route(BACK, self._from_issuer, methods=["GET"]),
            Route(OUT, self._out, methods=["POST"]),
        ]

    def door(self, token: str) -> str:
        """A path that lets in once, with these credentials."""
        key = secrets.token_urlsafe(24)
        self.doors[key] = token
        return f"{PAGE}?key={key}"

    async def _page(self, request: Request) -> Response:
        key = request.query_params.get("key")
        if key is not None:
            token = self.doors.pop(key, None)
            if token is None:
                return self._shown("This link has been used, or is of an earlier start. Start the viewer again.", 403)
            answer = await self._begin(token, is_from_elsewhere=True)
            if answer.status_code == _AWAY:
                self.doors[key] = token  # nobody was let in
            return answer
        secret = request.cookies.get(COOKIE)
        has_ended = bool(secret) and self.sessions.get(secret, is_sign_of_life=False) is None
        return self._shown("Your session has ended. Sign in again." if has_ended else "", 200)

    async def _by_token(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return self._shown("This form came from another page. Sign in here.", 403)  # as somebody else, unnoticed
        if int(request.headers.get("content-length") or 0) > _LONGEST_FORM_BYTES:
            return self._shown("That is longer than any token.", 413)
        async with request.form(max_files=0, max_fields=4) as form:
            token = str(form.get("token", "")).strip()
        if not token or len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
            return self._shown("That is no token. Paste the whole line that `medground token create` wrote.", 422)
        return await self._begin(token)

    async def _begin(self, token: Token, *, is_from_elsewhere: bool = False) -> Response:
        client = self.connect(token)
        try:
            me = await anyio.to_thread.run_sync(client.me)
        except MedgroundError as error:
            client.close()
            return self._shown(words_of(error), _AWAY if isinstance(error, ServiceUnreachableError) else 403)
        if "read" not in me.scopes:
            client.close()
            return self._shown("These credentials may not see studies: they lack the scope read.", 403)
        answer = _onward() if is_from_elsewhere else RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
        answer.set_cookie(
            COOKIE,
            self.sessions.begin(client, me),
            httponly=True,
            samesite="strict",
            secure=self.is_encrypted,
            path="/",
        )
        answer.delete_cookie(FLOW_COOKIE, path=PAGE)
        return answer

    async def _to_issuer(self, request: Request) -> Response:
        del request
        if self.flow is None:
            return self._shown("This viewer knows no issuer; sign in with a token.", 404)
        try:
            address, state = await anyio.to_thread.run_sync(self.flow.begin)
        except MedgroundError as error:
            return self._shown(words_of(error), 503)
        answer = RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})
        # Lax: the browser comes back from the issuer's site with it. It opens nothing by itself.
        answer.set_cookie(
            FLOW_COOKIE, state, httponly=True, samesite="lax", secure=self.is_encrypted, max_age=600, path=PAGE
        )
        return answer

    async def _from_issuer(self, request: Request) -> Response:
        if self.flow is None:
            return self._shown("This viewer knows no issuer; sign in with a token.", 404)
        asked, kept = dict(request.query_params), request.cookies.get(FLOW_COOKIE, "")
        try:
            granted = await anyio.to_thread.run_sync(self.flow.end, asked, kept)
        except MedgroundError as error:
            return self._shown(words_of(error), 403)
        renewed = RenewedToken(granted, self.flow.renew, self.sessions.clock)
        return await self._begin(renewed, is_from_elsewhere=True)

    async def _out(self, request: Request) -> Response:
        self.sessions.end(request.cookies.get(COOKIE))
        answer = RedirectResponse(PAGE, 303, headers={"Cache-Control": "no-store"})
        answer.delete_cookie(COOKIE, path="/")
        return answer

    def _shown(self, words: str, status: int) -> Response:
        alert = f'<p role="alert">{escape(words)}</p>' if words else ""
        issuer = f'<p><a class="button" href="{OIDC}">Sign in with your organisation</a></p>' if self.flow else ""
        return _page(
            f"{alert}{issuer}"
            f'<form method="post" action="{PAGE}"><label for="token">Access token</label>'
            '<input id="token" name="token" type="password" autocomplete="off" required autofocus>'
            "<button>Sign in</button></form>"
            '<p class="notice">Research only, not a medical device. What you do here is in the audit log.</p>',
            status,
        )


def _onward() -> Response:
    """A page of our own that goes on by itself.

    A browser that another site has sent here does not send a strict cookie with what a redirect leads to; with what a
    page of ours leads to it does.
    """
    return _page(
        '<p>You are signed in. <a href="/">Open the viewer</a></p>',
        200,
        '<meta http-equiv="refresh" content="0;url=/">',
    )


def _page(body: str, status: int, head: str = "") -> Response:
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in - medground</title>'
        f'<meta name="viewport" content="width=device-width">{head}<style>{_STYLE}</style></head><body><main>'
        f"<h1>medground</h1>{body}</main></body></html>",
        status,
        headers=_HEADERS,
    )


def words_of(error: MedgroundError) -> str:
    """What to tell a person who could not sign in, and what to do."""
    if isinstance(error, ServiceUnreachableError):
        return "The service does not answer. Wait a moment and sign in again; if it stays away, ask whoever runs it."
    if isinstance(error, ServiceError) and error.status == 401:
        return "The service does not know this token, or it has ended. Ask an administrator for a new one."
    return str(error)
