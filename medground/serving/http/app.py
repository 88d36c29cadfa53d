"""The application: every route of the service, behind the gate."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import medground
from medground.serving.http import (
    audit,
    cases,
    grounding,
    images,
    jobs,
    me,
    model,
    model_card,
    model_drift,
    operations,
    pacs,
    review_export,
    reviews,
    signing,
    studies,
)
from medground.serving.http.examples import add_examples
from medground.serving.http.gate import Gate
from medground.serving.http.problems import Problem, add_problems
from medground.serving.service import Service

_TOLD = ("Content-Location", "Location", "Retry-After", "X-Frame", "X-Refused-Files", "X-Request-Id")
_OF_MODEL = (model, model_card, model_drift, cases)
_PARTS = (me, grounding, jobs, studies, images, pacs, review_export, reviews, signing, *_OF_MODEL, audit, operations)
DESCRIPTION = """\
Send a study, ask a question in words, get boxes with calibrated scores, a DICOM structured report and a presentation
state, or a plain "not found". Research software, not a medical device.

Every route but `/healthz`, `/readyz` and this document needs a bearer token with a scope. Errors are
`application/problem+json` (RFC 9457). Studies are named by a key and never by their UID, so that no URL tells anything.
"""


def create_app(service: Service) -> FastAPI:
    """The routes of a service; `guarded` puts the gate before them."""
    app = FastAPI(
        title="medground",
        version=medground.__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,  # a redirect would repeat the query, and with it what was searched for
    )
    app.state.service = service
    add_problems(app)
    for part in _PARTS:
        app.include_router(part.router)
    _complete_document(app)
    if service.config.http.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.config.http.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Prefer", "Idempotency-Key"],
            expose_headers=list(_TOLD),
        )
    return app


def guarded(service: Service) -> ASGIApp:
    """The application behind its gate."""
    return Gate(create_app(service), service)


def _complete_document(app: FastAPI) -> None:
    """Add to the OpenAPI document the examples, and the one schema that every problem refers to."""
    made = app.openapi

    def openapi() -> dict[str, object]:
        document = made()
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        add_examples(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending it
