"""`GET /v1/audit`: what the audit log has of a tenant, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import Select

from medground.audit.entry import Entry
from medground.audit.event import Action, ActorKind, ObjectKind, Outcome
from medground.audit.log import Selection
from medground.audit.tables import audit_entries
from medground.serving.http.problems import problems
from medground.serving.http.security import MayAudit, ServiceOf, address_of

router = APIRouter(tags=["audit"])
MOST_ENTRIES = 500


class EntryView(BaseModel):
    """An entry of the log; it names keys, and no patient."""

    sequence: int
    time: datetime
    action: Action
    outcome: Outcome
    actor_kind: ActorKind
    actor: str
    tenant: str
    source: str
    object_kind: ObjectKind
    object_id: str
    details: dict[str, bool | int | float | str]
    hash: str


class AuditPage(BaseModel):
    """A page of the log; `next` is `before` of the page after it."""

    entries: tuple[EntryView, ...]
    next: int | None = Field(description="null where there is no older entry")


@dataclass(frozen=True, slots=True)
class _Older(Selection):
    """Of what is selected, the entries before one."""

    before: int | None = None

    def statement(self) -> Select[Any]:
        """The rows that are meant, in no order."""
        chosen = Selection.statement(self)
        return chosen if self.before is None else chosen.where(audit_entries.c.sequence < self.before)


@router.get("/v1/audit", responses=problems(422))
def audit(
    request: Request,
    service: ServiceOf,
    who: MayAudit,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**53 - 1, description="`next` of the page before")] = None,
) -> AuditPage:
    """Entries of the own tenant, newest first (scope `audit`); reading them is an entry itself.

    What belongs to no tenant is not among them: processes that start and end, who was refused before it was known who
    he is, and who asked for what is another tenant's. `medground audit show` on the machine of the database has that.
    """
    found = service.audit.latest(_Older(tenant=who.tenant, before=before), limit=limit + 1)
    page = found[:limit]
    service.record(who, Action.AUDIT_READ, source=address_of(request), entries=len(page))
    more = page[-1].sequence if len(found) > limit else None
    return AuditPage(entries=tuple(_view(entry) for entry in page), next=more)


def _view(entry: Entry) -> EntryView:
    event = entry.event
    return EntryView(
        sequence=entry.sequence,
        time=entry.time,
        action=event.action,
        outcome=event.outcome,
        actor_kind=event.actor_kind,
        actor=event.actor,
        tenant=event.tenant,
        source=event.source,
        object_kind=event.object_kind,
        object_id=event.object_id,
        details=dict(event.details),
        hash=entry.hash,
    )
