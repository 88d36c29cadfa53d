"""`/healthz`, `/readyz`, `/metrics`: for who runs the service, not for who uses it."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from medground.serving.http.problems import problems
from medground.serving.http.security import MayAdmin, ServiceOf

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """Whether the process lives."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether it can be given work, and which part cannot."""

    ready: bool
    parts: dict[str, str]


@router.get("/healthz")
async def health() -> Health:
    """The process lives and answers; nothing else is looked at, and no thread is waited for."""
    return Health()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "some part does not work"}})
def readiness(service: ServiceOf) -> Response:
    """Database, files and, where it runs here, the model: each as it is now. It names parts and never why."""
    parts = {name: look() for name, look in service.ready.items()}
    ready = not any(parts.values())
    view = Readiness(ready=ready, parts={name: said or "ok" for name, said in parts.items()})
    return JSONResponse(view.model_dump(), 200 if ready else 503)


@router.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {}}}, **problems()},
    response_class=Response,
)
def metrics(service: ServiceOf, who: MayAdmin) -> Response:
    """Counts and times for Prometheus (scope `admin`: give its scraper a token)."""
    del who
    return Response(
        service.metrics.text({state.value: count for state, count in service.jobs.counts().items()}),
        media_type="text/plain; version=0.0.4",
    )
