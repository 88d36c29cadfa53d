"""Who may call a route: its signature says so, and there is no other way in."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from medground.audit.event import Action, Outcome
from medground.schema.errors import AccessError
from medground.serving.access.scope import Principal, PrincipalKind, Scope
from medground.serving.service import Service

BEARER = HTTPBearer(auto_error=False, description="`mg_...` from `medground token create`, or a JWT of the OIDC issuer")


def service_of(request: Request) -> Service:
    """The service behind an application."""
    return cast(Service, request.app.state.service)


def address_of(request: Request) -> str:
    """Where a request comes from; empty where that is no IP address."""
    try:
        return str(ipaddress.ip_address(request.client.host)) if request.client else ""
    except ValueError:
        return ""


def needs(scope: Scope) -> Callable[..., Principal]:
    """A dependency that lets pass who has a scope, within the quota; everybody else is refused, and that is recorded.

    Args:
        scope: what the route needs.
    """

    def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
    ) -> Principal:
        del credentials  # declared for OpenAPI; the header itself is what counts
        service = service_of(request)
        known: Principal | None = None
        try:
            known = service.authenticator.authenticate(request.headers.get("authorization"))
            known.require(scope)
            service.quota.require(known, bytes_=int(request.headers.get("content-length") or 0))
        except AccessError as error:
            reason, source = error.reason or "other", address_of(request)
            service.metrics.refusals.labels(reason=reason).inc()
            repeated = service.refusals.admit(source, reason)
            if repeated is not None:
                service.record(
                    known or _proven(error),
                    Action.REFUSED,
                    source=source,
                    outcome=Outcome.MINOR_FAILURE,
                    reason=reason,
                    scope=scope.value,
                    method=request.method,
                    status=error.http_status,
                    repeated=repeated,
                )
            raise
        return known

    check.__name__ = f"needs_{scope.value}"
    check.scope = scope  # type: ignore[attr-defined]  # read by the test of every route by every scope
    return check


def _proven(error: AccessError) -> Principal | None:
    """Whose credentials they were that count no more; None where that was not proven."""
    if error.subject is None:
        return None
    kind = PrincipalKind(error.subject.partition(":")[0])
    return Principal(error.subject, kind, "", frozenset(), error.subject)


def may(scope: Scope) -> object:
    """Mark a parameter of a route as the caller, who has this scope."""
    return Security(needs(scope), scopes=[scope.value])  # the scopes stand in the OpenAPI document


ServiceOf = Annotated[Service, Depends(service_of)]
MayGround = Annotated[Principal, may(Scope.GROUND)]
MayRead = Annotated[Principal, may(Scope.READ)]
MayReview = Annotated[Principal, may(Scope.REVIEW)]
MaySign = Annotated[Principal, may(Scope.SIGN)]
MayAdmin = Annotated[Principal, may(Scope.ADMIN)]
MayAudit = Annotated[Principal, may(Scope.AUDIT)]
