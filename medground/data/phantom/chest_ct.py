"""Synthetic chest CT: a volume, or one axial slice made alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.ct_anatomy import CtPatient, draw_patient
from medground.data.phantom.ct_lesions import CtLesion, draw_ct_lesion
from medground.data.phantom.ct_nodules import draw_nodules
from medground.data.phantom.ct_volume import (
    PhantomVolume,
    VolumeRegion,
    box_of,
    render_slice,
    render_volume,
    slice_levels,
    spacing_of,
    zone_of,
)
from medground.data.phantom.grid import Grid
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
    hu, traces = render_volume(seed, patient, grid, lesions, slice_levels(slices), _LEAST_PX)
    regions = tuple(
        VolumeRegion(
            lesion.concept,
            trace.boxes,
            lesion.patient_side,
            lesion.look.words,
            f"{seed}-{place + 1}",
            trace.voxels,
            trace.touched,
        )
        for place, (lesion, trace) in enumerate(zip(lesions, traces, strict=True))
    )
    return PhantomVolume(hu, spacing_of(grid, slices), regions, seed)


def nodule_ct(
    seed: int,
    *,
    size_px: int = 256,
    slices: int = 96,
    count: int | None = None,
    diameters_mm: tuple[float, ...] = (),
) -> PhantomVolume:
    """Make one chest CT with nodules of known diameter, free, on a vessel or on the pleura.

    Args:
        seed: non-negative.
        size_px: rows and columns, at least 192, or the smallest nodules would be lost between pixels.
        slices: at least 8, from just below the lung bases to above the apices.
        count: number of nodules; None draws one to six.
        diameters_mm: of the first ones, 3 to 30.

    Returns:
        The volume; each region carries its nodule.

    Raises:
        UsageError: on a size or count too small, a diameter that is no nodule's, or no room.
    """
    if slices < 8 or size_px < 192:
        raise UsageError(f"{slices} slices of {size_px} pixels: a volume of nodules needs at least 8 of 192")
    rng = np.random.default_rng([seed, 52])
    patient, grid, _ = _start(seed, size_px, [], None)
    wanted = max(int(rng.integers(1, 7)), len(diameters_mm)) if count is None else count
    nodules = draw_nodules(patient, slice_levels(slices), wanted, rng, diameters_mm)
    hu, traces = render_volume(seed, patient, grid, nodules, slice_levels(slices), 1)
    regions = tuple(
        VolumeRegion(
            "nodule",
            trace.boxes,
            nodule.patient_side,
            nodule.words,
            f"{seed}-{place + 1}",
            trace.voxels,
            trace.touched,
            nodule,
        )
        for place, (nodule, trace) in enumerate(zip(nodules, traces, strict=True))
    )
    return PhantomVolume(hu, spacing_of(grid, slices), regions, seed)


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
    hu, shares = render_slice(np.random.default_rng([seed, 999]), level, patient, grid, lesions)
    regions = tuple(
        Region(
            concept=lesion.concept,
            box=box_of(share > 0.5),
            source="phantom",
            side=lesion.patient_side,
            zone=zone_of(level),
            appearance=lesion.look.words,
        )
        for lesion, share in zip(lesions, shares, strict=True)
    )
    return hu, regions


def ct_slice_spacing_mm(seed: int, *, size_px: int = 256) -> tuple[float, float]:
    """Spacing between rows and columns of `chest_ct_slice`, whatever its findings."""
    _, grid, _ = _start(seed, size_px, [], None)
    return 10 * grid.px_cm, 10 * grid.px_cm


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
            raise UsageError(
                f"{names.count(name)} x {name} asked for: a patient can have at most {_AT_MOST.get(name, 20)}"
            )
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
