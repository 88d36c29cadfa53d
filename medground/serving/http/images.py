"""The images of a study for viewing: its series in order, and frames."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from medground.audit.event import Action, ObjectKind
from medground.schema.result import SpacingSource
from medground.serving.frames import frame_values
from medground.serving.http.problems import ProblemError, problems
from medground.serving.http.security import MayRead, ServiceOf, address_of
from medground.serving.http.studies import StudyKey
from medground.serving.viewing import Edges, ShownInstance, ShownSeries, ShownWindow, series_shown

router = APIRouter(prefix="/v1/studies", tags=["studies"])
# Frames never change. Only the browser of whoever asked may keep them, and not for whoever asks after him.
_KEPT = {"Cache-Control": "private, max-age=3600, immutable", "Vary": "Authorization"}


class InstanceView(BaseModel):
    """An image object.

    Attributes:
        id: what its frames are asked for by.
    """

    id: int
    sop_instance_uid: str
    frames: int
    rows: int
    columns: int
    is_colour: bool = Field(description="frames have red, green and blue; no window is for them")
    position_mm: float | None = Field(description="along the normal of its (first) frame; null where unknown")
    frame_positions_mm: tuple[float | None, ...] = Field(
        description="of each frame of several, along the same normal; empty where the header has none"
    )
    edges: Edges
    spacing_mm: tuple[float, float] | None = Field(description="between rows, between columns")
    spacing_source: SpacingSource | None
    windows: tuple[ShownWindow, ...] = Field(description="of the header, in the values that frames have")
    image_laterality: str | None
    view_position: str | None


class SeriesView(BaseModel):
    """A series with its image objects in viewing order; of a series that mixes stacks of slices, one of them."""

    series_instance_uid: str
    stack: int = Field(ge=1, description="counted within the series; most have one")
    is_volume: bool = Field(description="slices of one volume, in the order of their positions")
    modality: str
    description: str
    number: int | None
    instances: tuple[InstanceView, ...]


@router.get("/{study}/series", responses=problems(404, 422))
def series(request: Request, service: ServiceOf, who: MayRead, study: StudyKey) -> tuple[SeriesView, ...]:
    """The series of a study with what a viewer needs: slices by position, other images by instance number."""
    service.worklist.get(who.tenant, study)
    service.record(who, Action.STUDY_READ, source=address_of(request), about=(ObjectKind.STUDY, study))
    listed = service.worklist.instances(who.tenant, study)
    return tuple(_series(one) for one in series_shown(listed, service.views.of(listed)))


@router.get(
    "/{study}/instances/{instance}/frames/{frame}",
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": "16-bit little-endian values, row by row; X-Frame says how to read them",
        },
        **problems(404, 413, 422),
    },
    response_class=Response,
)
def frame(
    request: Request,
    service: ServiceOf,
    who: MayRead,
    study: StudyKey,
    instance: Annotated[int, Path(ge=1, le=2**62)],
    frame: Annotated[int, Path(ge=1, le=65536)],
) -> Response:
    """A frame for viewing: values in the units that the object measures, as 16 bits with slope and intercept."""
    chosen = service.worklist.instance(who.tenant, study, instance)
    if chosen is None or frame > chosen.frames:
        service.worklist.get(who.tenant, study)
        raise ProblemError(404, "not-found", "there is no such frame; GET /v1/studies/{study}/series lists them")
    values = frame_values(service.untrusted.open(service.store.path(chosen.sha256)), frame)
    service.record(who, Action.STUDY_READ, source=address_of(request), about=(ObjectKind.STUDY, study), images=1)
    headers = {"X-Frame": json.dumps(values.reading()), **_KEPT}
    return Response(values.pixels.astype("<u2").tobytes(), media_type="application/octet-stream", headers=headers)


def _series(shown: ShownSeries) -> SeriesView:
    first = shown.instances[0].view
    return SeriesView(
        series_instance_uid=shown.series_uid,
        stack=shown.stack,
        is_volume=shown.is_volume,
        modality=first.header.modality,
        description=first.series_description,
        number=first.series_number,
        instances=tuple(_instance(one) for one in shown.instances),
    )


def _instance(shown: ShownInstance) -> InstanceView:
    header = shown.view.header
    return InstanceView(
        id=shown.listed.instance_id,
        sop_instance_uid=shown.listed.sop_uid,
        frames=header.frames,
        rows=header.rows,
        columns=header.columns,
        is_colour=shown.view.is_colour,
        position_mm=shown.position_mm,
        frame_positions_mm=shown.view.frame_positions_mm or (),
        edges=shown.edges,
        spacing_mm=header.spacing_mm,
        spacing_source=header.spacing_source,
        windows=shown.view.windows,
        image_laterality=header.image_laterality,
        view_position=header.view_position,
    )
