"""Connection: requests to a service, and what its answers are if they are not what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from medground.client.errors import ServiceError, ServiceUnreachableError

_PROBLEM = "urn:medground:problem:"
Read = TypeVar("Read", bound=BaseModel)
Token = str | Callable[[], str]
"""A bearer token, or what gives the one that counts now: asked before each request."""


class Connection:
    """A connection to a service.

    Args:
        base: root of the service.
        token: bearer token, or what gives it; an error that it raises is the request's.
        timeout_s: for one answer.
        transport: for tests.
    """

    def __init__(self, base: str, token: Token, *, timeout_s: float, transport: httpx.BaseTransport | None) -> None:
        def signed(request: httpx.Request) -> httpx.Request:
            request.headers["Authorization"] = f"Bearer {(token if isinstance(token, str) else token()).strip()}"
            return request

        self._http = httpx.Client(base_url=base, auth=signed, timeout=timeout_s, transport=transport)

    def close(self) -> None:
        """Close it."""
        self._http.close()

    def send(self, method: str, url: str, **parts: Any) -> httpx.Response:
        """The answer to a request.

        Args:
            method: of HTTP.
            url: below the root.
            parts: as httpx takes them.

        Raises:
            ServiceError: the answer is a problem.
            ServiceUnreachableError: there is none.
        """
        try:
            answer = self._http.request(method, url, **parts)
        except httpx.HTTPError as cause:
            raise ServiceUnreachableError(
                f"the service does not answer ({type(cause).__name__}); asking again is safe"
            ) from cause
        if answer.status_code >= 400:
            raise _problem_of(answer)
        return answer

    def read(self, kind: type[Read], method: str, url: str, **parts: Any) -> Read:
        """The answer to a request, as what it must be; raises as `send`."""
        return read(kind, self.send(method, url, **parts))

    def content(self, kinds: tuple[str, ...], method: str, url: str, **parts: Any) -> httpx.Response:
        """The answer to a request whose body has one of these media types; raises as `send`."""
        answer = self.send(method, url, **parts)
        is_known = answer.status_code == 200 and answer.headers.get("content-type", "").startswith(kinds)
        if not (is_known and "x-request-id" in answer.headers):  # which a service gives, and a page to sign in does not
            raise no_service(answer)
        return answer


def read(kind: type[Read], answer: httpx.Response) -> Read:
    """An answer as what it must be.

    Raises:
        ServiceError: it is something else.
    """
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError:
        raise no_service(answer) from None  # the cause quotes the answer


def no_service(answer: httpx.Response) -> ServiceError:
    """The error that an answer is which no service gives; it quotes nothing of it."""
    return ServiceError(answer.status_code, "unknown", _words(answer))


def _words(answer: httpx.Response) -> str:
    return f"the answer was {answer.status_code} and nothing that is known: is it a medground service?"


def _problem_of(answer: httpx.Response) -> ServiceError:
    try:
        body = answer.json()
        kind, detail = str(body["type"]).removeprefix(_PROBLEM), str(body["detail"])
    except (ValueError, KeyError, TypeError):
        kind, detail = "unknown", _words(answer)
    return ServiceError(answer.status_code, kind, detail)
