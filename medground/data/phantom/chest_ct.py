"""Synthetic chest CT: a volume, or one axial slice made alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.ct_anatomy import HEIGHT_CM, CtPatient, draw_patient, tissue
from medground.data.phantom.ct_lesions import CtLesion, draw_ct_lesion
from medground.data.phantom.grid import Array, Grid
from medground.schema.anatomy import Side, Zone
from medground.schema.box import Box
from medground.schema.errors import UsageError
from medground.schema.record import Region

CT_FINDINGS: Final[dict[str, float]] = {
    "nodule": 1.4,
    "mass": 1.0,
    "pleural_effusion": 1.0,
    "pneumothorax": 0.8,
    "consolidation": 1.1,
}
_AT_MOST: Final = {"pleural_effusion": 2, "pneumothorax": 2}
_LEAST_PX = 6


@dataclass(frozen=True)
class VolumeRegion:
    """A lesion through the volume; `boxes` maps each 0-based slice that shows it to its box."""

    concept: str
    boxes: dict[int, Box]
    side: Side
    appearance: tuple[str, ...]


@dataclass(frozen=True)
class PhantomVolume:
    """One synthetic volume.

    Attributes:
        hu: (slices, rows, columns), Hounsfield units; slice 0 is the lowest, columns run to the patient's left.
        spacing_mm: between slices, rows and columns.
        regions3d: the lesions, in the order of the findings.
        seed: what it was made from.
    """

    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    regions3d: tuple[VolumeRegion, ...]
    seed: int


def chest_ct(
    seed: int, *, size_px: int = 256, slices: int = 48, findings: Sequence[str] | None = None
) -> PhantomVolume:
    """Make one chest CT; the same seed gives the same bytes.

    Args:
        seed: non-negative.
        size_px: rows and columns, at least 64.
        slices: at least 8, from just below the lung bases to above the apices.
        findings: vocabulary keys; `[]` is normal; None draws them from the seed.

    Returns:
        The volume.

    Raises:
        UsageError: on a size or count too small, an unknown finding, or more of one kind than a patient can have.
    """
    if slices < 8:
        raise UsageError(f"slices is {slices}: a phantom volume needs at least 8")
    patient, grid, lesions = _start(seed, size_px, findings, None)
    levels = np.linspace(-0.06, 1.04, slices)
    volume = np.empty((slices, size_px, size_px), np.int16)
    boxes: list[dict[int, Box]] = [{} for _ in lesions]
    for number, level in enumerate(levels.tolist()):
        volume[number], masks = _slice(np.random.default_rng([seed, 1000 + number]), level, patient, grid, lesions)
        for found, mask in zip(boxes, masks, strict=True):
            if mask.sum() >= _LEAST_PX:
                found[number] = _box(mask)
    volume.flags.writeable = False
    regions = tuple(
        VolumeRegion(lesion.concept, found, lesion.patient_side, lesion.look.words)
        for lesion, found in zip(lesions, boxes, strict=True)
    )
    step = 10 * HEIGHT_CM * 1.1 / (slices - 1)
    return PhantomVolume(volume, (step, 10 * grid.px_cm, 10 * grid.px_cm), regions, seed)


def chest_ct_slice(
    seed: int, *, size_px: int = 256, findings: Sequence[str] | None = None
) -> tuple[NDArray[np.int16], tuple[Region, ...]]:
    """Make one axial slice that shows all its findings, without the rest of the volume.

    Args:
        seed: non-negative.
        size_px: rows and columns, at least 64.
        findings: vocabulary keys; `[]` is normal; None draws them from the seed.

    Returns:
        hu: (rows, columns), Hounsfield units, columns running to the patient's left.
        regions: the lesions in the slice.

    Raises:
        UsageError: as for `chest_ct`.
    """
    level = float(np.random.default_rng([seed, 5]).uniform(0.28, 0.82))
    patient, grid, lesions = _start(seed, size_px, findings, level)
    hu, masks = _slice(np.random.default_rng([seed, 999]), level, patient, grid, lesions)
    zone = (Zone.LOWER, Zone.MIDDLE, Zone.UPPER)[min(int(level * 3), 2)]
    regions = tuple(
        Region(
            concept=lesion.concept,
            box=_box(mask),
            source="phantom",
            side=lesion.patient_side,
            zone=zone,
            appearance=lesion.look.words,
        )
        for lesion, mask in zip(lesions, masks, strict=True)
    )
    return hu, regions


def _start(
    seed: int, size_px: int, findings: Sequence[str] | None, at_level: float | None
) -> tuple[CtPatient, Grid, list[CtLesion]]:
    """Check what was asked for and draw patient, field of view and lesions, each from its own stream."""
    if size_px < 64:
        raise UsageError(f"size_px is {size_px}: a phantom slice needs at least 64 pixels a side")
    names = list(findings) if findings is not None else _draw_findings(np.random.default_rng([seed, 50]))
    for name in names:
        if name not in CT_FINDINGS:
            raise UsageError(f"the phantom CT has no finding {name!r}; it has {', '.join(CT_FINDINGS)}")
        if names.count(name) > _AT_MOST.get(name, 20):
            raise UsageError(f"{names.count(name)} x {name} asked for: a patient can have at most {_AT_MOST[name]}")
    rng = np.random.default_rng([seed, 51])
    patient = draw_patient(rng)
    grid = Grid(size_px, (2 * patient.half_width + rng.uniform(2, 6)) / size_px)
    lesions: list[CtLesion] = []
    for place, name in enumerate(names):
        occurrence = names[:place].count(name)
        stream = np.random.default_rng([seed, 200 + list(CT_FINDINGS).index(name), occurrence])
        first = np.random.default_rng([seed, 300 + list(CT_FINDINGS).index(name)]).random() < 0.5
        side = LEFT if first != bool(occurrence % 2) else RIGHT
        lesions.append(draw_ct_lesion(name, patient, side, lesions, stream, at_level))
    return patient, grid, lesions


def _draw_findings(rng: np.random.Generator) -> list[str]:
    """Nothing on 15% of patients, else one to three findings."""
    if rng.random() < 0.15:
        return []
    odds = np.fromiter(CT_FINDINGS.values(), float)
    kinds = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    chosen = [list(CT_FINDINGS)[i] for i in rng.choice(len(odds), size=kinds, replace=False, p=odds / odds.sum())]
    return [*chosen, "nodule"] if "nodule" in chosen and rng.random() < 0.3 else chosen


def _slice(
    rng: np.random.Generator, level: float, patient: CtPatient, grid: Grid, lesions: list[CtLesion]
) -> tuple[NDArray[np.int16], list[NDArray[np.bool_]]]:
    """Render one slice with lesions, blur and noise; the masks are where a lesion fills half a pixel."""
    hu, lungs = tissue(patient, level, grid, rng)
    masks = []
    for lesion in lesions:
        share = lesion.share(patient, level, grid, lungs)
        hu = hu + (np.float32(lesion.hu) - hu) * share
        masks.append(share > 0.5)
    hu = ndimage.gaussian_filter(hu, rng.uniform(0.45, 0.75), truncate=2.5)
    noise: Array = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), 0.7, truncate=2.5)
    hu = hu + np.float32(rng.uniform(15, 50)) * noise
    return np.clip(np.round(hu), -1024, 3071).astype(np.int16), masks


def _box(mask: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(x1=float(columns[0]), y1=float(rows[0]), x2=float(columns[-1] + 1), y2=float(rows[-1] + 1))
