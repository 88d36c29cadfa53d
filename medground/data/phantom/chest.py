"""The rendered patient that lesions are put into, and a lesion once it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medground.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from medground.data.phantom.appearance import Appearance
from medground.data.phantom.grid import Array, Grid, resized
from medground.data.phantom.skeleton import Break, ribs, shoulder_girdle, spine
from medground.data.phantom.soft_tissue import body_thickness, lung_air
from medground.data.phantom.vessels import airways, texture, vessels
from medground.schema.anatomy import Side, Zone
from medground.schema.box import Box

LUNG_DENSITY = np.float32(0.25)
_COARSE = 4


@dataclass(frozen=True)
class Chest:
    """Layers of one patient on one film, water-equivalent cm except where said.

    Attributes:
        anatomy: the shapes.
        grid: the film.
        air: thickness of lung in the ray, cm of lung.
        heart: the heart's thickness as a share of its depth.
        markings: what vessels and interstitium add within the lungs.
        rest: everything but lungs and ribs.
        ribs: none of them broken.
        rib_seed: of their stream, to draw them again broken.
    """

    anatomy: Anatomy
    grid: Grid
    air: Array
    heart: Array
    markings: Array
    rest: Array
    ribs: Array
    rib_seed: tuple[int, int]

    def from_middle(self) -> Array:
        """Signed distance of each pixel from the midline, cm."""
        return self.grid.x - self.anatomy.middle_x(self.grid.y)

    def lung_mask(self, side: int, at_least_cm: float) -> NDArray[np.bool_]:
        """Pixels of one side with at least that much lung in the ray."""
        return np.asarray((self.air > at_least_cm) & ((self.from_middle() > 0) == (side == LEFT)), bool)

    def zone(self, y_cm: float) -> Zone:
        """The third of the imaged chest at that height."""
        top = min(self.anatomy.left.apex_y, self.anatomy.right.apex_y)
        bottom = max(self.anatomy.left.dome_y, self.anatomy.right.dome_y) + 2
        third = int(np.clip(3 * (y_cm - top) / (bottom - top), 0, 2))
        return (Zone.UPPER, Zone.MIDDLE, Zone.LOWER)[third]


@dataclass(frozen=True)
class Lesion:
    """A lesion drawn on the film.

    Attributes:
        concept: vocabulary key.
        look: the words it was drawn from.
        side: -1 patient's right, +1 left, 0 both.
        rows, columns: window on the film that holds it.
        added: water-equivalent cm to add within the window; None where the finding is the anatomy itself.
        support: visible extent within the window.
        broken: the rib fracture to draw, if that is what it is.
    """

    concept: str
    look: Appearance
    side: int
    rows: slice
    columns: slice
    added: Array | None
    support: NDArray[np.bool_]
    broken: Break | None = None

    @property
    def box(self) -> Box:
        """Bounding box of the support, xyxy pixel edges of the film."""
        rows, columns = np.flatnonzero(self.support.any(axis=1)), np.flatnonzero(self.support.any(axis=0))
        return Box(
            x1=float(self.columns.start + columns[0]),
            y1=float(self.rows.start + rows[0]),
            x2=float(self.columns.start + columns[-1] + 1),
            y2=float(self.rows.start + rows[-1] + 1),
        )

    @property
    def patient_side(self) -> Side:
        """Side of the patient."""
        return {LEFT: Side.LEFT, RIGHT: Side.RIGHT, 0: Side.BILATERAL}[self.side]


def render_chest(
    anatomy: Anatomy,
    grid: Grid,
    streams: list[np.random.Generator],
    sparse: dict[int, float],
    rib_seed: tuple[int, int],
) -> Chest:
    """Render the layers of one patient.

    Args:
        anatomy: the shapes.
        grid: the film.
        streams: four streams: body, girdle and spine, vessels, fine texture.
        sparse: share of markings left per side, where a lung has lost some.
        rib_seed: of the ribs' stream.

    Returns:
        The layers.
    """
    coarse = grid.coarser(_COARSE)
    air, heart = lung_air(anatomy, grid)
    body = resized(body_thickness(anatomy, coarse, streams[0]), grid.size_px)
    half = grid.coarser(2)
    bones = resized(shoulder_girdle(anatomy, half, streams[1]) + spine(anatomy, half, streams[1]), grid.size_px)
    grain = texture(grid, streams[3])
    fineness = 0.013 * anatomy.markings * streams[3].uniform(0.5, 1.4)
    rest = np.ascontiguousarray(grain.T)
    rest *= np.float32(0.07)
    rest += 1
    rest *= bones
    rest += body
    rows, columns, inner_air = airways(anatomy, grid)
    rest[rows, columns] -= inner_air
    tree = vessels(anatomy, grid, streams[2])
    tree *= np.minimum(air / 5, 1)
    tree *= np.float32(1.25 * anatomy.markings)
    markings = np.float32(fineness) * grain
    markings *= air
    markings += tree
    speckle = np.float32(streams[3].uniform(0.06, 0.16)) * np.ascontiguousarray(grain[::-1, ::-1])
    speckle *= np.minimum(body / 10, 1)
    rest += speckle
    left = grid.x > anatomy.middle_x(grid.y)
    for side, share in sparse.items():
        markings = np.where(left == (side == LEFT), np.float32(share) * markings, markings)
    unbroken = ribs(anatomy, grid, np.random.default_rng(rib_seed))
    return Chest(anatomy, grid, air, heart, markings, rest, unbroken, rib_seed)


def total_thickness(chest: Chest, lesions: list[Lesion]) -> Array:
    """Everything in the ray, cm of water.

    Args:
        chest: the patient.
        lesions: what is wrong with them.

    Returns:
        (rows, columns).
    """
    breaks = tuple(lesion.broken for lesion in lesions if lesion.broken)
    bones = ribs(chest.anatomy, chest.grid, np.random.default_rng(chest.rib_seed), breaks) if breaks else chest.ribs
    total = chest.rest + chest.markings
    total -= (1 - LUNG_DENSITY) * chest.air
    total += bones
    for lesion in lesions:
        if lesion.added is not None:
            total[lesion.rows, lesion.columns] += lesion.added
    return total
