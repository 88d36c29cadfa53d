"""The gate every request passes: an id, a limit on its size, headers of caution, a line in the log, a count."""

from __future__ import annotations

import re
import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medground.serving.http.problems import ProblemError, response_of
from medground.serving.service import Service

_REQUEST_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a UUID: no patient's number
_FORM, _TAKE_FILES = b"multipart/form-data", frozenset({"/v1/ground", "/v1/studies"})
MAX_TEXT_BYTES = 2**20  # of every other body: it is held in memory, before who sends it is asked
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=31536000"


class Gate:
    """ASGI middleware.

    Args:
        app: behind it.
        service: whose limits, log and metrics count.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        started, status, sent = time.perf_counter(), 500, False

        async def send_with_headers(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status, sent = message["status"], True
                added = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    added.setdefault(name, value)
                added["X-Request-Id"] = request_id
                if self._service.config.http.tls:
                    added["Strict-Transport-Security"] = _HSTS
            await send(message)

        try:
            limit = self._limit(scope["path"], headers)
            refused = self._announced(headers, limit)
            if refused is not None:
                await response_of(refused)(scope, receive, send_with_headers)
                return
            await self._app(scope, self._counted(receive, limit), send_with_headers)
        except ProblemError as error:
            if not sent:
                await response_of(error)(scope, receive, send_with_headers)
        except Exception as error:
            self._service.log.error("request_failed", request=request_id, kind=type(error).__name__)
            if not sent:
                await response_of(error)(scope, receive, send_with_headers)
        finally:
            self._note(scope, status, request_id, time.perf_counter() - started)

    def _limit(self, path: str, headers: dict[bytes, bytes]) -> int:
        """Bytes that the body may have: what it says of itself opens nothing where no files are taken."""
        most = self._service.config.http.max_body_bytes
        is_upload = path in _TAKE_FILES and headers.get(b"content-type", b"").lower().startswith(_FORM)
        return most if is_upload else min(most, MAX_TEXT_BYTES)

    def _announced(self, headers: dict[bytes, bytes], limit: int) -> ProblemError | None:
        text = headers.get(b"content-length", b"0")
        if not text.isdigit() or len(text) > _MOST_DIGITS:
            return ProblemError(400, "bad-request", "the header Content-Length is no number of bytes")
        return _too_large(limit) if int(text) > limit else None

    def _counted(self, receive: Receive, limit: int) -> Receive:
        """The same body, which ends in an error once it is longer than announced bodies may be."""
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > limit:
                raise _too_large(limit)
            return message

        return counted

    def _note(self, scope: Scope, status: int, request_id: str, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")  # never the path itself
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._service.metrics.requests.labels(route=route, method=method, status=str(status)).inc()
        self._service.metrics.seconds.labels(route=route).observe(seconds)
        self._service.log.info(
            "request", request=request_id, route=route, method=method, status=status, milliseconds=round(seconds * 1e3)
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_MOST_DIGITS = 18


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, "too-large", f"this request may have {limit} bytes; send the study in several requests")
