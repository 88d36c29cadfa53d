"""`GET /v1/model/cases/{case}`: what the model learnt a rare finding from, in words and, where kept, in a picture."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from medground.imaging.thumbnail import png_of
from medground.model.cases import WHY_NOT, Case
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.result import CASE_ID, BoxPx
from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.security import MayRead, ServiceOf
from medground.serving.service import Service

router = APIRouter(prefix="/v1/model/cases", tags=["model"])
CaseId = Annotated[str, Path(pattern=CASE_ID, description="as the `similar` of a finding names it")]
# A case never changes. Only the browser of whoever asked may keep it, and not for whoever asks after him.
_KEPT = {"Cache-Control": "private, max-age=3600, immutable", "Vary": "Authorization"}


class CaseView(BaseModel):
    """A lesion that the model learnt from; nothing tells whose it is."""

    id: str
    concept: str
    domain: Domain
    side: Side | None
    zone: Zone | None
    longest_mm: float | None = Field(description="longest side of its box; on a radiograph at the detector")
    appearance: tuple[str, ...] = Field(description="words that are true of it")
    source: str
    synthetic: bool = Field(description="made by code, of no patient")
    has_thumbnail: bool
    why_no_thumbnail: str = Field(description="empty where there is one")
    box_xyxy_px: BoxPx | None = Field(description="where it lies on the thumbnail; null without one")


@router.get("/{case}", responses=problems(404, 422))
def case(service: ServiceOf, who: MayRead, case: CaseId) -> CaseView:
    """What is known of a case that a finding looks like."""
    del who
    known = _case(service, case)
    return CaseView(
        id=known.id,
        concept=known.concept,
        domain=known.domain,
        side=known.side,
        zone=known.zone,
        longest_mm=known.longest_mm,
        appearance=known.appearance,
        source=known.source,
        synthetic=known.synthetic,
        has_thumbnail=known.box_xyxy_px is not None,
        why_no_thumbnail=WHY_NOT.get(known.picture, ""),
        box_xyxy_px=known.box_xyxy_px,
    )


@router.get(
    "/{case}/thumbnail",
    responses={200: {"content": {"image/png": {}}, "description": "grey, 8 bits"}, **problems(404, 422)},
    response_class=Response,
)
def thumbnail(service: ServiceOf, who: MayRead, case: CaseId) -> Response:
    """The picture of a case: the lesion with its surroundings, without the box."""
    del who
    known = _case(service, case)
    picture = service.model.cases.pictures.get(known.id)
    if picture is None:
        raise ProblemError(404, "no-thumbnail", WHY_NOT[known.picture])
    return Response(png_of(picture), media_type="image/png", headers=_KEPT)


def _case(service: Service, case: str) -> Case:
    known = service.model.cases.find(case)
    if known is None:
        detail = "the model that answers now has no such case; findings of earlier models may name others"
        raise ProblemError(404, "not-found", detail)
    return known
