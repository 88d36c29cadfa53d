"""`GET /v1/me`: who asks, as the service knows him."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from medground.serving.access.scope import PrincipalKind
from medground.serving.http.problems import problems
from medground.serving.http.security import Known
from medground.serving.times import time_of

router = APIRouter(tags=["access"])


class MeView(BaseModel):
    """Whose credentials these are, and what they open."""

    name: str
    tenant: str
    scopes: tuple[str, ...]
    kind: PrincipalKind
    expires: datetime | None = Field(description="when the credentials end; null if they do not")


@router.get("/v1/me", responses=problems())
def me(who: Known) -> MeView:
    """Who asks; any credentials that count will do, whatever their scopes."""
    return MeView(
        name=who.name,
        tenant=who.tenant,
        scopes=tuple(sorted(scope.value for scope in who.scopes)),
        kind=who.kind,
        expires=None if who.expires_us is None else time_of(who.expires_us),
    )
