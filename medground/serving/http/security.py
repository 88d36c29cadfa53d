"""Who may call a route: its signature says so, and there is no other way in."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Final, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from medground.audit.event import Action, ObjectKind, Outcome
from medground.schema.errors import AccessError, AccessUnavailableError
from medground.serving.access.refusal import Reason
from medground.serving.access.scope import Principal, PrincipalKind, Scope
from medground.serving.missing import MissingError
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


ANY_SCOPE: Final = "any"


def needs(scope: Scope | None) -> Callable[..., Principal]:
    """A dependency that lets pass who has a scope, within the quota; everybody else is refused, and that is recorded.

    Args:
        scope: what the route needs; None for credentials of any scope.
    """
    name = scope.value if scope else ANY_SCOPE

    def check(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
    ) -> Principal:
        del credentials  # declared for OpenAPI; the header itself is what counts
        service = service_of(request)
        known: Principal | None = None
        try:
            known = service.authenticator.authenticate(request.headers.get("authorization"))
            if scope is not None:
                known.require(scope)
            service.quota.require(known, bytes_=int(request.headers.get("content-length") or 0))
        except AccessError as error:
            _record_refusal(request, known or _proven(error), name, error.reason or "other", error.http_status)
            raise
        request.state.let_in = known, name
        return known

    check.__name__ = f"needs_{name}"
    check.scope = scope or ANY_SCOPE  # type: ignore[attr-defined]  # read by the test of every route by every scope
    return check


def still_may(request: Request, who: Principal, scope: Scope) -> bool:
    """Whether a caller may be told more over a connection that stays open; a refusal is recorded as any other.

    Args:
        request: that opened it.
        who: was let in then.
        scope: what that needed.
    """
    service = service_of(request)
    if who.is_expired(service.jobs.now_us()):
        return False
    try:
        service.authenticator.authenticate(request.headers.get("authorization")).require(scope)
    except AccessUnavailableError:
        return False
    except AccessError as error:
        _record_refusal(request, who, scope.value, error.reason or "other", error.http_status)
        return False
    return True


def record_foreign(request: Request, error: MissingError) -> None:
    """Record that somebody who was let in asked for what is another tenant's, if that is so.

    The entry belongs to no tenant, so that neither learns from it that the other has something under that key.
    """
    if error.foreign is not None:
        who, scope = request.state.let_in
        _record_refusal(request, replace(who, tenant=""), scope, Reason.OTHER_TENANT, 404, about=error.foreign)


def _record_refusal(
    request: Request,
    who: Principal | None,
    scope: str,
    reason: str,
    status: int,
    about: tuple[ObjectKind, str] = (ObjectKind.NONE, ""),
) -> None:
    """Append a refusal to the audit log, unless its caller has filled enough of it lately."""
    service, source = service_of(request), address_of(request)
    service.metrics.refusals.labels(reason=reason).inc()
    repeated = service.refusals.admit(source, reason)
    if repeated is not None:
        service.record(
            who,
            Action.REFUSED,
            source=source,
            outcome=Outcome.MINOR_FAILURE,
            about=about,
            reason=reason,
            scope=scope,
            method=request.method,
            status=status,
            repeated=repeated,
        )


def _proven(error: AccessError) -> Principal | None:
    """Whose credentials they were that count no more; None where that was not proven."""
    if error.subject is None:
        return None
    kind = PrincipalKind(error.subject.partition(":")[0])
    return Principal(error.subject, kind, "", frozenset(), error.subject)


def may(scope: Scope | None) -> object:
    """Mark a parameter of a route as the caller, who has this scope; None for any."""
    return Security(needs(scope), scopes=[scope.value] if scope else [])  # they stand in the OpenAPI document


ServiceOf = Annotated[Service, Depends(service_of)]
Known = Annotated[Principal, may(None)]
MayGround = Annotated[Principal, may(Scope.GROUND)]
MayRead = Annotated[Principal, may(Scope.READ)]
MayReview = Annotated[Principal, may(Scope.REVIEW)]
MaySign = Annotated[Principal, may(Scope.SIGN)]
MayAdmin = Annotated[Principal, may(Scope.ADMIN)]
MayAudit = Annotated[Principal, may(Scope.AUDIT)]
