"""Sightings at chosen places, as `see` would make them of a reader's boxes."""

from __future__ import annotations

from collections.abc import Sequence

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.dicom.geometry import plane_of
from medground.dicom.header import ImageHeader
from medground.inference.describe import Place
from medground.inference.location import size_of
from medground.inference.sighting import Sighting
from medground.inference.views import View
from medground.model.reading import Candidate
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.result import Relation, Understood
from tests.inference.drawn import drawn
from tests.inference.truth_reader import fits_of

ROWS, COLUMNS = 600, 500


def sighting(
    box: Sequence[float],
    score: float = 0.9,
    header: ImageHeader | None = None,
    *,
    image: str = "1",
    domain: Domain = Domain.CHEST_RADIOGRAPH,
    said: tuple[str, ...] = (),
) -> Sighting:
    view = View(image, "a.dcm", 1, header, plane_of(header) if header else None, drawn)
    x1, y1, x2, y2 = (float(edge) for edge in box)
    place = Place(domain, Box(x1=x1, y1=y1, x2=x2, y2=y2), ROWS, COLUMNS, size_mm=size_of(view, (x1, y1, x2, y2)))
    likeness = fits_of(said, tuple(APPEARANCE_WORDS.values()))
    return Sighting("nodule", Candidate((x1, y1, x2, y2), score, likeness), view, place)


def square(side: float, score: float = 0.9, x: float = 10, y: float = 10, **more: object) -> Sighting:
    return sighting((x, y, x + side, y + side), score, **more)  # type: ignore[arg-type]  # the cases are data


def at(x: float, y: float, score: float = 0.9, **more: object) -> Sighting:
    """A box of 20 pixels around a point."""
    return sighting((x - 10, y - 10, x + 10, y + 10), score, **more)  # type: ignore[arg-type]  # the cases are data


def asked(relation: Relation | None = Relation.LARGEST, **more: object) -> Understood:
    return Understood(concepts=("nodule",), relation=relation, **more)  # type: ignore[arg-type]  # the cases are data
