"""Problems: every error of the HTTP side as `application/problem+json` (RFC 9457), each kind with a type of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from medground.schema import errors
from medground.serving.database import is_gone
from medground.serving.http.security import record_foreign
from medground.serving.intake import ConflictError
from medground.serving.missing import MissingError
from medground.serving.objects import is_full
from medground.serving.reviews import StaleReviewError
from medground.serving.signing import UnreviewedError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong, and what to do about it.

    Attributes:
        type: which kind; stable, for programs.
        title: the kind in words.
        status: HTTP status.
        detail: this case in words.
    """

    type: str = Field(examples=["urn:medground:problem:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no such job; ids are given by POST /v1/ground"])


class ProblemError(HTTPException):
    """A problem of the HTTP side's own; an HTTPException, since FastAPI lets no other error out of reading a body."""

    def __init__(self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind


# The first that fits counts.
_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (MissingError, 404, "not-found"),
    (ConflictError, 409, "instance-conflict"),
    (StaleReviewError, 409, "stale-review"),
    (UnreviewedError, 409, "unreviewed"),
    (errors.NotAuthenticatedError, 401, "not-authenticated"),
    (errors.ForbiddenError, 403, "forbidden"),
    (errors.QuotaError, 429, "quota"),
    (errors.AccessUnavailableError, 503, "access-unavailable"),
    (errors.QueryError, 422, "query"),
    (errors.UsageError, 422, "invalid-request"),
    (errors.LimitError, 413, "too-large"),
    (errors.NotAnImageError, 422, "not-an-image"),
    (errors.InputError, 422, "unreadable-input"),
    (errors.PeerError, 502, "archive"),
    (errors.AuditError, 503, "unavailable"),
    (errors.BundleError, 503, "model-unavailable"),
    (errors.CardError, 503, "model-unavailable"),
)


def told(message: str) -> str:
    """What pydantic says is wrong, without its word for where it was noticed."""
    return message.removeprefix("Value error, ")


def response_of(error: Exception) -> JSONResponse:
    """The answer to an error; of one that is not ours it says nothing but that there was one."""
    headers: dict[str, str] = {}
    if isinstance(error, ProblemError):
        return _response(error.status_code, error.kind, error.detail, error.headers or {})
    if isinstance(error, errors.NotAuthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="medground"'
    if isinstance(error, errors.AccessError) and error.wait_s is not None:
        headers["Retry-After"] = str(max(1, round(error.wait_s)))
    if isinstance(error, errors.InputNotFoundError | FileNotFoundError):  # nobody but the store names a path here
        detail = "a file is missing from the store; the log has more under the id in X-Request-Id"
        return _response(500, "internal", detail, {})
    for kind, status, name in _KINDS:
        if isinstance(error, kind):
            return _response(status, name, str(error), headers)
    if is_gone(error):
        detail = "the database does not answer; nothing was lost, try again in a few seconds"
        return _response(503, "unavailable", detail, {})
    if is_full(error):
        detail = "the service has no room for more files; what it said it has is kept, try again later"
        return _response(503, "storage-full", detail, {"Retry-After": "60"})
    return _response(500, "internal", "the service failed; the log has more under the id in X-Request-Id", {})


def _response(status: int, kind: str, detail: str, headers: Mapping[str, str]) -> JSONResponse:
    if status == 503:
        headers = {"Retry-After": "5", **headers}
    title = kind.replace("-", " ").capitalize()
    body = Problem(type=f"urn:medground:problem:{kind}", title=title, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status, dict(headers), media_type=MEDIA_TYPE)


def add_problems(app: FastAPI) -> None:
    """Answer every error of an application with a problem."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        del request
        return response_of(error)

    async def missing(request: Request, error: Exception) -> JSONResponse:
        if isinstance(error, MissingError):
            await anyio.to_thread.run_sync(record_foreign, request, error)
        return response_of(error)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        del request
        first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": ""}
        where = ".".join(str(part) for part in first["loc"] if str(part).isprintable())
        return _response(422, "invalid-request", f"{where}: {told(str(first['msg']))}"[:300], {})

    async def http(request: Request, error: Exception) -> JSONResponse:
        del request
        status = error.status_code if isinstance(error, HTTPException) else 500
        kind = {404: "not-found", 405: "method-not-allowed", 400: "bad-request"}.get(status, "http")
        headers = dict((error.headers if isinstance(error, HTTPException) else None) or {})
        detail = str(getattr(error, "detail", ""))
        if status == 404:
            detail = "there is no such route; GET /v1/openapi.json lists them"
        if status == 405:
            detail = f"this route does not take that method; it takes {headers.get('allow') or headers.get('Allow')}"
        return _response(status, kind, detail, headers)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(MissingError, missing)
    for kind in (ProblemError, errors.MedgroundError, Exception):
        app.add_exception_handler(kind, ours)


def problems(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The OpenAPI responses of a route that may answer with problems of these statuses, besides those of access."""
    of_all = (401, 403, 429, 500, 503)
    return {status: _declared(status) for status in sorted({*of_all, *statuses})}


def _declared(status: int) -> dict[str, object]:
    kind, detail = _EXAMPLES[status]
    example = json.loads(bytes(_response(status, kind, detail, {}).body))
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": _MEANING[status], "content": {MEDIA_TYPE: content}}


_MEANING = {
    400: "the request cannot be read",
    401: "no credentials, or none that count",
    403: "the credentials lack the scope",
    404: "there is no such thing, or it is another tenant's",
    409: "it contradicts what is there",
    413: "larger than the limits allow",
    415: "of a type that is not read",
    422: "readable, and cannot be acted on",
    429: "too much was asked within a minute",
    500: "a fault of the service",
    502: "the archive does not answer, or not as it should",
    503: "something the service needs does not answer",
}
_EXAMPLES = {
    400: ("bad-request", "the form cannot be read: it is damaged or cut short"),
    401: ("not-authenticated", "no credentials were sent; send the header `Authorization: Bearer TOKEN`"),
    403: ("forbidden", "this needs the scope sign, and these credentials have read; ask an administrator for others"),
    404: ("not-found", "there is no such study; GET /v1/studies lists them"),
    409: ("stale-review", "somebody else has reviewed the result since; read what he wrote, then add yours"),
    413: ("too-large", "this request may have 536870912 bytes; send the study in several requests"),
    415: ("media-type", "the body must be multipart/form-data with the fields `file` and `query`"),
    422: ("not-an-image", "the upload holds no image object"),
    429: ("quota", "600 requests a minute are allowed; try again in 4 s"),
    500: ("internal", "the service failed; the log has more under the id in X-Request-Id"),
    502: ("archive", "the archive is not reached"),
    503: ("unavailable", "the database does not answer; nothing was lost, try again in a few seconds"),
}
