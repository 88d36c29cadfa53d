"""The description of a finding, sentence by sentence, each with its origin.

Everything about place and size is computed from the box; only the name, the look and the certainty are the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medground.data.questions import is_plural, with_article
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.result import Description, Origin, SizeMm, SpacingSource, Statement, StatementKind
from medground.schema.vocabulary import Concept

_CERTAINTY = ((0.9, "most likely"), (0.75, "likely"), (0.25, "possible"), (0.05, "unlikely"))
_LEAST_CERTAIN = "very unlikely"

_SPACING_NOTE = {
    SpacingSource.PATIENT_PLANE: "measured in the plane of the patient",
    SpacingSource.DETECTOR: "measured at the detector, where the patient appears magnified",
    SpacingSource.CALIBRATION: "measured with the calibration stated in the header",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a finding is, as header and geometry say it.

    Attributes:
        domain: kind of image.
        box: pixels of the stored image.
        rows: height of the stored image, pixels.
        columns: width of the stored image, pixels.
        side: patient side from the header, or None.
        header_tells_side: whether the header settles the patient side of a box at all; with `side` None it then means
            that the box lies across the midline.
        zone: third of the chest, measured, or None.
        size_mm: millimetres of the box, or None where there is no spacing.
    """

    domain: Domain
    box: Box
    rows: int
    columns: int
    side: Side | None = None
    header_tells_side: bool = False
    zone: Zone | None = None
    size_mm: SizeMm | None = None


def describe(
    concept: Concept,
    place: Place,
    score: float,
    *,
    also: Sequence[Concept] = (),
    appearance: tuple[str, ...] = (),
    appearance_synthetic: bool = False,
) -> Description:
    """Describe a finding.

    Args:
        concept: what it is.
        place: where it is and how large.
        score: calibrated probability, 0..1.
        also: what else the same box was read as.
        appearance: appearance words of the region, most certain first; empty where none were decoded.
        appearance_synthetic: whether these words were learnt from synthetic images.

    Returns:
        The statements in the order finding, location, size, appearance, certainty.
    """
    statements = [
        Statement(kind=StatementKind.FINDING, text=f"Marked as {with_article(concept.name)}.", origin=Origin.MODEL),
        *_also(also),
        *_location(place),
        Statement(kind=StatementKind.SIZE, text=_size(place.box, place.size_mm), origin=Origin.MEASURED),
    ]
    if appearance:
        text = _appearance(appearance, synthetic=appearance_synthetic)
        statements.append(Statement(kind=StatementKind.APPEARANCE, text=text, origin=Origin.MODEL))
    certainty = _certainty(concept, score)
    statements.append(Statement(kind=StatementKind.CERTAINTY, text=certainty, origin=Origin.MODEL))
    return Description(text=" ".join(statement.text for statement in statements), statements=tuple(statements))


def certainty_words(score: float) -> str:
    """The words for a calibrated probability.

    Args:
        score: calibrated probability, 0..1.

    Returns:
        `most likely` above 0.9, `likely` above 0.75, `possible` above 0.25, `unlikely` above 0.05,
        `very unlikely` below.

    Source:
        Brigham and Women's Hospital Radiology, Diagnostic Certainty Scale (2020); "may represent" is said `possible`.
    """
    return next((words for least, words in _CERTAINTY if score > least), _LEAST_CERTAIN)


def _certainty(concept: Concept, score: float) -> str:
    number = "below 0.01" if score < 0.01 else "above 0.99" if score > 0.99 else f"{score:.2f}"
    name = with_article(concept.name)
    verb = "are" if is_plural(concept.name) else "is"
    return f"{_capital(name)} {verb} {certainty_words(score)} here (calibrated probability {number})."


def _also(concepts: Sequence[Concept]) -> list[Statement]:
    if not concepts:
        return []
    names = _listed([with_article(concept.name) for concept in concepts])
    return [Statement(kind=StatementKind.FINDING, text=f"Also read as {names}.", origin=Origin.MODEL)]


def _location(place: Place) -> list[Statement]:
    """Patient side from the header where it is settled, and the rest from the box."""
    statements = []
    across = _across(place.box, place.columns)
    height = _height(place.box, place.rows)
    if place.zone is not None:
        height = f"centred in the {place.zone.value} of the chest"
    if place.side is not None:
        part = "in the patient's {} limb" if place.domain == Domain.LIMB_RADIOGRAPH else "on the patient's {} side"
        text = f"{_capital(part.format(place.side.value))}, by the image header."
        statements.append(Statement(kind=StatementKind.LOCATION, text=text, origin=Origin.HEADER))
        text = f"{_capital(height)}."
    elif place.header_tells_side:
        text = f"{_capital(height)}, {across}; it is given no patient side."
    else:
        text = f"{_capital(height)}, {across}; the patient side is not stated in the header."
    statements.append(Statement(kind=StatementKind.LOCATION, text=text, origin=Origin.MEASURED))
    return statements


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _across(box: Box, columns: int) -> str:
    """The half of the picture; never a half that the box leaves."""
    if box.x2 <= columns / 2:
        return "in the left half of the image"
    if box.x1 >= columns / 2:
        return "in the right half of the image"
    return "across the vertical midline of the image"


def _height(box: Box, rows: int) -> str:
    third = min(int(3 * box.centre_px[1] / rows), 2)
    return f"centred in the {('upper', 'middle', 'lower')[third]} third of the image"


def _size(box: Box, size_mm: SizeMm | None) -> str:
    if size_mm is None:
        return (
            f"The box is {box.width_px:.0f} x {box.height_px:.0f} pixels (width x height); no pixel spacing is stated."
        )
    sides = [size_mm.width, size_mm.height]
    order = "width x height"
    if size_mm.depth is not None:
        sides.append(size_mm.depth)
        order += " x depth"
    lengths = " x ".join(f"{length:.0f}" if length >= 10 else f"{length:.1f}" for length in sides)
    return f"The box measures {lengths} mm ({order}), {_SPACING_NOTE[size_mm.spacing_source]}."


def _appearance(words: tuple[str, ...], *, synthetic: bool) -> str:
    """One sentence of the appearance words, each once."""
    listed = _listed(list(dict.fromkeys(words)))
    return f"It looks {listed}{' (words learnt from synthetic images)' if synthetic else ''}."


def _listed(names: Sequence[str]) -> str:
    """At least one name, as an enumeration."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
