"""Synthetic frontal chest radiographs with exact lesion boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medground.data.phantom.anatomy import LEFT, RIGHT, Anatomy, draw_anatomy
from medground.data.phantom.appearance import Appearance, draw_appearance
from medground.data.phantom.chest import Chest, Lesion, render_chest, total_thickness
from medground.data.phantom.clutter import annotate, devices
from medground.data.phantom.exposure import Exposure, draw_exposure, expose, film_curve
from medground.data.phantom.findings import (
    DRAWABLE,
    DRAWN_BY_DEFAULT,
    ODDS_OF_LEFT,
    check_findings,
    draw_default_findings,
    draw_finding,
)
from medground.data.phantom.grid import Grid
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord, Region

RADIOGRAPH_FINDINGS: Final = DRAWN_BY_DEFAULT


@dataclass(frozen=True)
class PhantomImage:
    """One synthetic film.

    Attributes:
        pixels: (rows, columns), display intensity 0..1, white dense.
        spacing_mm: row and column spacing on the detector.
        regions: the lesions, in the order of the findings.
        seed: what it was made from.
        attributes: what is true of the film as a whole: exposure, devices, letters, collimation.
    """

    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    regions: tuple[Region, ...]
    seed: int
    attributes: dict[str, str] = field(default_factory=dict)


def chest_radiograph(seed: int, *, size_px: int = 512, findings: Sequence[str] | None = None) -> PhantomImage:
    """Make one frontal chest film; the same seed gives the same bytes, and the same patient whatever the findings.

    Args:
        seed: non-negative.
        size_px: rows and columns, at least 64.
        findings: keys of `DRAWABLE`, repeated for several lesions; `[]` is a normal film; None draws some of
            `RADIOGRAPH_FINDINGS` from the seed.

    Returns:
        The film, patient's right on the picture's left.

    Raises:
        UsageError: on a size below 64, an unknown finding, or more of one kind than a patient can have.
    """
    if size_px < 64:
        raise UsageError(f"size_px is {size_px}: a phantom film needs at least 64 pixels a side")
    streams = [np.random.default_rng([seed, number]) for number in range(10)]
    names = list(findings) if findings is not None else draw_default_findings(streams[0])
    check_findings(names)
    grid = Grid(size_px, streams[1].uniform(31.5, 40) / size_px)
    anatomy = draw_anatomy(streams[2], grid.px_cm * size_px)
    plan = [(name, *_lesion_stream(seed, name, names[:place].count(name))) for place, name in enumerate(names)]
    first_side = {name: LEFT if streams[3].random() < odds else RIGHT for name, odds in ODDS_OF_LEFT.items()}
    sides = [first_side.get(name, 0) * (-1 if names[:place].count(name) else 1) for place, name in enumerate(names)]
    chest = _patient(anatomy, grid, seed, plan, sides)
    drawn: list[Lesion] = []
    for (name, look, rng), side in zip(plan, sides, strict=True):
        drawn += draw_finding(name, chest, look, side, drawn, rng)
    healthy = total_thickness(chest, [])
    exposure = draw_exposure(streams[4])
    curve = film_curve(healthy, chest.air, grid, exposure)
    sick = total_thickness(chest, drawn) if drawn else healthy
    extra, in_place = devices(anatomy, grid, streams[5])
    if extra is not None:
        sick = sick + extra
    pixels, written = annotate(expose(sick, grid, curve, streams[6]), grid, streams[7])
    pixels.flags.writeable = False
    spacing = 10 * grid.px_cm
    attributes = {"view": "frontal", "devices": ", ".join(in_place) or "none", **written, **_technique(exposure)}
    regions = tuple(_region(chest, lesion) for lesion in drawn)
    return PhantomImage(pixels, (spacing, spacing), regions, seed, attributes)


def to_record(
    image: PhantomImage,
    *,
    record_id: str,
    part: str | None = None,
    exhaustive_for: frozenset[str] = frozenset(RADIOGRAPH_FINDINGS),
) -> ImageRecord:
    """The film as a labelled record without a file.

    Args:
        image: the film.
        record_id: unique within the data set; also the patient's, for each film is of another.
        part: of the data set.
        exhaustive_for: concepts to be asked about where they are absent, too; `known_of` gives all that are known.

    Returns:
        The record.
    """
    rows, columns = image.pixels.shape
    return ImageRecord(
        record_id=record_id,
        patient_id=record_id,
        columns=columns,
        rows=rows,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset="phantom",
        regions=image.regions,
        exhaustive_for=exhaustive_for,
        synthetic=True,
        part=part,
        columns_toward_left=1,
        rows_toward_feet=1,
        spacing_mm=image.spacing_mm,
        attributes=image.attributes,
    )


def _technique(exposure: Exposure) -> dict[str, str]:
    """What the exposure was, in words and figures."""
    return {
        "lung_level": f"{exposure.lung:.2f}",
        "mediastinum_level": f"{exposure.centre:.2f}",
        "scatter_to_primary": f"{exposure.scatter:.2f}",
        "noise": f"{exposure.noise:.4f}",
        "edge_enhancement": f"{exposure.enhance:.2f}",
    }


def _lesion_stream(seed: int, name: str, occurrence: int) -> tuple[Appearance, np.random.Generator]:
    """A lesion's own look and stream, which do not depend on what else the patient has."""
    rng = np.random.default_rng([seed, 100 + DRAWABLE.index(name), occurrence])
    return draw_appearance(name, rng), rng


def _patient(
    anatomy: Anatomy,
    grid: Grid,
    seed: int,
    plan: list[tuple[str, Appearance, np.random.Generator]],
    sides: list[int],
) -> Chest:
    """Render the patient, with the heart or lungs that the findings change."""
    sparse: dict[int, float] = {}
    for (name, _, rng), side in zip(plan, sides, strict=True):
        if name == "cardiomegaly":
            anatomy = anatomy.enlarged_heart(rng.uniform(0.55, 0.7))
        if name == "emphysema":
            anatomy = anatomy.hyperinflated(side, rng.uniform(0.5, 1))
            sparse[side] = rng.uniform(0.35, 0.7)
    return render_chest(anatomy, grid, [np.random.default_rng([seed, 31 + i]) for i in range(4)], sparse, (seed, 21))


def _region(chest: Chest, lesion: Lesion) -> Region:
    box = lesion.box
    return Region(
        concept=lesion.concept,
        box=box,
        source="phantom",
        side=lesion.patient_side,
        # A pattern of both lungs is in no third of them.
        zone=None if lesion.concept == "miliary_pattern" else chest.zone(box.centre_px[1] * chest.grid.px_cm),
        appearance=lesion.look.words,
    )
