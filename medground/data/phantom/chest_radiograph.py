"""Synthetic frontal chest radiographs with exact lesion boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medground.data.phantom import lesions, opacities
from medground.data.phantom.anatomy import LEFT, RIGHT, Anatomy, draw_anatomy
from medground.data.phantom.appearance import Appearance, draw_appearance
from medground.data.phantom.chest import Chest, Lesion, render_chest, total_thickness
from medground.data.phantom.clutter import annotate, devices
from medground.data.phantom.exposure import draw_exposure, expose, film_curve
from medground.data.phantom.grid import Grid
from medground.schema.anatomy import Domain
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord, Region

# Odds of each finding on a film that has some.
RADIOGRAPH_FINDINGS: Final[dict[str, float]] = {
    "nodule": 1.4,
    "mass": 1.1,
    "cavity": 0.6,
    "pleural_effusion": 1.3,
    "pneumothorax": 1.1,
    "consolidation": 1.3,
    "atelectasis": 1.0,
    "cardiomegaly": 1.0,
    "calcification": 0.8,
    "fracture": 0.8,
    "diffuse_nodules": 0.5,
    "emphysema": 0.6,
}
_AT_MOST: Final = {"cardiomegaly": 1, "pleural_effusion": 2, "pneumothorax": 2, "diffuse_nodules": 2, "emphysema": 2}
_BY_SIDE: Final = ("pleural_effusion", "pneumothorax", "diffuse_nodules", "emphysema")
_ORDER: Final = tuple(RADIOGRAPH_FINDINGS)


@dataclass(frozen=True)
class PhantomImage:
    """One synthetic film.

    Attributes:
        pixels: (rows, columns), display intensity 0..1, white dense.
        spacing_mm: row and column spacing on the detector.
        regions: the lesions, in the order of the findings.
        seed: what it was made from.
    """

    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    regions: tuple[Region, ...]
    seed: int


def chest_radiograph(seed: int, *, size_px: int = 512, findings: Sequence[str] | None = None) -> PhantomImage:
    """Make one frontal chest film; the same seed gives the same bytes, and the same patient whatever the findings.

    Args:
        seed: non-negative.
        size_px: rows and columns, at least 64.
        findings: vocabulary keys, repeated for several lesions; `[]` is a normal film; None draws them from the seed.

    Returns:
        The film, patient's right on the picture's left.

    Raises:
        UsageError: on a size below 64, an unknown finding, or more of one kind than a patient can have.
    """
    if size_px < 64:
        raise UsageError(f"size_px is {size_px}: a phantom film needs at least 64 pixels a side")
    streams = [np.random.default_rng([seed, number]) for number in range(10)]
    names = list(findings) if findings is not None else _draw_findings(streams[0])
    _check(names)
    grid = Grid(size_px, streams[1].uniform(31.5, 40) / size_px)
    anatomy = draw_anatomy(streams[2], grid.px_cm * size_px)
    plan = [(name, *_lesion_stream(seed, name, names[:place].count(name))) for place, name in enumerate(names)]
    first_side = {name: LEFT if streams[3].random() < 0.5 else RIGHT for name in _BY_SIDE}
    sides = [first_side.get(name, 0) * (-1 if names[:place].count(name) else 1) for place, name in enumerate(names)]
    chest = _patient(anatomy, grid, seed, plan, sides)
    drawn: list[Lesion] = []
    for (name, look, rng), side in zip(plan, sides, strict=True):
        drawn.append(_draw(name, chest, look, side, drawn, rng))
    healthy = total_thickness(chest, [], np.random.default_rng([seed, 21]))
    curve = film_curve(healthy, chest.air, grid, draw_exposure(streams[4]))
    sick = total_thickness(chest, drawn, np.random.default_rng([seed, 21])) if drawn else healthy
    extra = devices(anatomy, grid, streams[5])
    if extra is not None:
        sick = sick + extra
    pixels = annotate(expose(sick, grid, curve, streams[6]), grid, streams[7])
    pixels.flags.writeable = False
    spacing = 10 * grid.px_cm
    return PhantomImage(pixels, (spacing, spacing), tuple(_region(chest, lesion) for lesion in drawn), seed)


def to_record(image: PhantomImage, *, record_id: str) -> ImageRecord:
    """The film as a labelled record without a file.

    Args:
        image: the film.
        record_id: unique within the data set.

    Returns:
        The record, exhaustive for every phantom finding.
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
        exhaustive_for=frozenset(RADIOGRAPH_FINDINGS),
        synthetic=True,
    )


def _draw_findings(rng: np.random.Generator) -> list[str]:
    """Nothing on 15% of films, else one to four kinds of finding; whole-lung disease is mostly on both sides."""
    if rng.random() < 0.15:
        return []
    odds = np.fromiter(RADIOGRAPH_FINDINGS.values(), float)
    kinds = int(rng.choice([1, 2, 3, 4], p=[0.4, 0.32, 0.18, 0.1]))
    chosen = [_ORDER[i] for i in rng.choice(len(odds), size=kinds, replace=False, p=odds / odds.sum())]
    for name, share in (("emphysema", 0.85), ("diffuse_nodules", 0.75), ("nodule", 0.3), ("fracture", 0.3)):
        if name in chosen and rng.random() < share:
            chosen.append(name)
    return chosen


def _check(names: list[str]) -> None:
    for name in names:
        if name not in RADIOGRAPH_FINDINGS:
            raise UsageError(f"the phantom film has no finding {name!r}; it has {', '.join(_ORDER)}")
        if names.count(name) > _AT_MOST.get(name, 30):
            raise UsageError(
                f"{names.count(name)} x {name} asked for: a patient can have at most {_AT_MOST.get(name, 30)}"
            )


def _lesion_stream(seed: int, name: str, occurrence: int) -> tuple[Appearance, np.random.Generator]:
    """A lesion's own look and stream, which do not depend on what else the patient has."""
    rng = np.random.default_rng([seed, 100 + _ORDER.index(name), occurrence])
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
    return render_chest(anatomy, grid, [np.random.default_rng([seed, 31 + i]) for i in range(4)], sparse)


def _draw(
    name: str, chest: Chest, look: Appearance, side: int, taken: list[Lesion], rng: np.random.Generator
) -> Lesion:
    by_side = {
        "pleural_effusion": opacities.pleural_effusion,
        "pneumothorax": opacities.pneumothorax,
        "diffuse_nodules": opacities.diffuse_nodules,
        "emphysema": opacities.emphysema,
    }
    if name in by_side:
        return by_side[name](chest, look, side, rng)
    if name == "cardiomegaly":
        return opacities.cardiomegaly(chest, look)
    if name == "consolidation":
        return opacities.consolidation(chest, look, taken, rng)
    if name == "fracture":
        return lesions.fracture(chest, look, taken, rng)
    if name == "atelectasis":
        kind = lesions.plate_atelectasis if look.shape == "band-like" else opacities.wedge_atelectasis
        return kind(chest, look, rng)
    return lesions.round_lesion(name, chest, look, taken, rng)


def _region(chest: Chest, lesion: Lesion) -> Region:
    box = lesion.box
    return Region(
        concept=lesion.concept,
        box=box,
        source="phantom",
        side=lesion.patient_side,
        zone=chest.zone(box.centre_px[1] * chest.grid.px_cm),
        appearance=lesion.look.words,
    )
