"""The rendered volume of a CT phantom, and where each of its lesions is, voxel by voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medground.data.phantom.ct_anatomy import HEIGHT_CM, CtPatient, tissue
from medground.data.phantom.ct_nodules import CtNodule
from medground.data.phantom.grid import Array, Grid
from medground.schema.anatomy import Side, Zone
from medground.schema.box import Box

_A_TOUCH: Final = 0.05  # of a pixel: less of a lesion is not seen


class Solid(Protocol):
    """Anything that fills a share of each pixel of a slice, and what it is made of."""

    @property
    def hu(self) -> float:
        """Hounsfield units."""

    def share(self, patient: CtPatient, level: float, grid: Grid, lungs: dict[int, Array]) -> Array:
        """How much of each pixel it fills at that level, 0..1."""


@dataclass(frozen=True)
class VolumeRegion:
    """A lesion through the volume.

    Attributes:
        concept: vocabulary key.
        boxes: each 0-based slice that shows it, and its box there.
        side: of the patient.
        appearance: the words it was drawn from.
        lesion_id: the same in all slices, of no other volume.
        voxels: by slice, how many voxels it fills by more than half.
        touched: slices that it reaches too little of for a box.
        nodule: the recipe, where it is one of `nodule_ct`.
    """

    concept: str
    boxes: dict[int, Box]
    side: Side
    appearance: tuple[str, ...]
    lesion_id: str = ""
    voxels: dict[int, int] = field(default_factory=dict)
    touched: frozenset[int] = frozenset()
    nodule: CtNodule | None = None

    @property
    def extent(self) -> tuple[slice, slice, slice]:
        """Slices, rows and columns that hold the lesion's boxes."""
        numbers, boxes = sorted(self.boxes), self.boxes.values()
        return (
            slice(numbers[0], numbers[-1] + 1),
            slice(int(min(box.y1 for box in boxes)), int(max(box.y2 for box in boxes))),
            slice(int(min(box.x1 for box in boxes)), int(max(box.x2 for box in boxes))),
        )


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


def slice_levels(slices: int) -> Array:
    """Levels of that many slices, from just below the lung bases to above the apices."""
    return np.linspace(-0.06, 1.04, slices)


def level_of(number: int, slices: int) -> float:
    """Level of a 0-based slice: 0 at the lung bases, 1 at the apices."""
    return float(slice_levels(slices)[number])


def zone_of(level: float) -> Zone:
    """The third of the lungs at that level."""
    return (Zone.LOWER, Zone.MIDDLE, Zone.UPPER)[int(np.clip(int(level * 3), 0, 2))]


def spacing_of(grid: Grid, slices: int) -> tuple[float, float, float]:
    """Spacing between slices, rows and columns, mm."""
    return 10 * HEIGHT_CM * 1.1 / (slices - 1), 10 * grid.px_cm, 10 * grid.px_cm


@dataclass(frozen=True)
class Trace:
    """Where one lesion is in the volume; see `VolumeRegion`."""

    boxes: dict[int, Box]
    voxels: dict[int, int]
    touched: frozenset[int]


def render_volume(
    seed: int, patient: CtPatient, grid: Grid, lesions: Sequence[Solid], levels: Array, least_px: int
) -> tuple[NDArray[np.int16], list[Trace]]:
    """Render all slices, and find where each lesion is.

    Args:
        seed: of the volume.
        patient: the shapes.
        grid: of a slice.
        lesions: what is wrong with them; a later one fills what an earlier one did.
        levels: of the slices, ascending.
        least_px: a slice with fewer pixels of a lesion has no box of it.

    Returns:
        hu: (slices, rows, columns).
        traces: one for each lesion.
    """
    volume = np.empty((len(levels), grid.size_px, grid.size_px), np.int16)
    boxes: list[dict[int, Box]] = [{} for _ in lesions]
    voxels: list[dict[int, int]] = [{} for _ in lesions]
    touched: list[set[int]] = [set() for _ in lesions]
    for number, level in enumerate(levels.tolist()):
        volume[number], shares = render_slice(
            np.random.default_rng([seed, 1000 + number]), level, patient, grid, lesions
        )
        for place, share in enumerate(shares):
            mask = share > 0.5
            filled = int(mask.sum())
            if filled:
                voxels[place][number] = filled
            if filled >= least_px:
                boxes[place][number] = box_of(mask)
            elif share.max() > _A_TOUCH:
                touched[place].add(number)
    volume.flags.writeable = False
    return volume, [Trace(b, v, frozenset(t)) for b, v, t in zip(boxes, voxels, touched, strict=True)]


def render_slice(
    rng: np.random.Generator, level: float, patient: CtPatient, grid: Grid, lesions: Sequence[Solid]
) -> tuple[NDArray[np.int16], list[Array]]:
    """Render one slice with lesions, blur and noise.

    Args:
        rng: the slice's stream.
        level: 0 at the lung bases, 1 at the apices.
        patient: the shapes.
        grid: of the slice.
        lesions: what is wrong with them.

    Returns:
        hu: (rows, columns).
        shares: how much of each pixel each lesion fills, 0..1.
    """
    hu, lungs = tissue(patient, level, grid, rng)
    shares = []
    for lesion in lesions:
        share = lesion.share(patient, level, grid, lungs)
        hu = hu + (np.float32(lesion.hu) - hu) * share
        shares.append(share)
    hu = ndimage.gaussian_filter(hu, rng.uniform(0.45, 0.75), truncate=2.5)
    noise: Array = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), 0.7, truncate=2.5)
    hu = hu + np.float32(rng.uniform(15, 50)) * noise
    return np.clip(np.round(hu), -1024, 3071).astype(np.int16), shares


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Bounding box of a mask, xyxy pixel edges."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(x1=float(columns[0]), y1=float(rows[0]), x2=float(columns[-1] + 1), y2=float(rows[-1] + 1))
