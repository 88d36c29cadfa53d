"""`GET /v1/model/drift`: scores and acceptance of the model by finding and week, in numbers that name nobody."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from medground.audit.event import Action, ObjectKind
from medground.cards.drift import Drift
from medground.serving.drift import WEEK_US, drift_in
from medground.serving.http.problems import problems
from medground.serving.http.security import MayAudit, ServiceOf, address_of

router = APIRouter(prefix="/v1/model", tags=["model"])


@router.get("/drift", responses=problems(422))
def drift(
    request: Request,
    service: ServiceOf,
    who: MayAudit,
    weeks: Annotated[int, Query(ge=1, le=104, description="how far back")] = 26,
) -> Drift:
    """How the model does on the own tenant's studies (scope `audit`), with what is out of the ordinary.

    Scores are compared with the evaluation on the model's card. Only results of the model that answers now count, and
    of several about the same study that go beyond each other the last.
    """
    found = drift_in(service, who.tenant, since_us=service.jobs.now_us() - weeks * WEEK_US)
    about = (ObjectKind.MODEL, service.model.info.sha256)
    service.record(who, Action.READ, source=address_of(request), about=about, entries=found.results, format="drift")
    return found
