"""Lesions of the chest CT: solid balls, consolidation, layered fluid and free air, each cut at any level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from medground.data.phantom.anatomy import LEFT
from medground.data.phantom.appearance import Appearance, draw_appearance
from medground.data.phantom.ct_anatomy import HEIGHT_CM, CtPatient, centred, edge_of, lung_inside, lung_taper
from medground.data.phantom.grid import Array, Grid, column, smoothstep
from medground.schema.anatomy import Side

# Radius, cm: median, spread of the logarithm, limits.
_RADIUS_CM: Final = {
    "nodule": (0.7, 0.35, 0.35, 1.5),
    "mass": (2.1, 0.25, 1.5, 3.6),
    "consolidation": (2.8, 0.3, 1.6, 4.8),
}
# Hounsfield units that a lesion of that density tends to.
_HU: Final = {
    "faint": (-620.0, -480.0),
    "moderate": (-330.0, -150.0),
    "dense": (10.0, 70.0),
    "lucent": (-1000.0, -985.0),
}


@dataclass(frozen=True)
class CtLesion:
    """One lesion in three dimensions.

    Attributes:
        concept: vocabulary key.
        look: the words it is drawn from.
        side: -1 patient's right, +1 left.
        x, y, level: centre, cm from the middle of the slice and 0..1.
        radius: cm; of fluid and free air: greatest depth.
        stretch: length over width.
        turn: direction of the length, radians.
        phases: where the bumps of an irregular outline are.
        hu: what it is made of.
    """

    concept: str
    look: Appearance
    side: int
    x: float
    y: float
    level: float
    radius: float
    stretch: float
    turn: float
    phases: tuple[float, ...]
    hu: float

    @property
    def patient_side(self) -> Side:
        """Side of the patient."""
        return Side.LEFT if self.side == LEFT else Side.RIGHT

    def share(self, patient: CtPatient, level: float, grid: Grid, lungs: dict[int, Array]) -> Array:
        """How much of each pixel is lesion, 0..1, at that level.

        Args:
            patient: the shapes.
            level: of the slice.
            grid: the slice.
            lungs: distance inside each lung, cm.

        Returns:
            (rows, columns).
        """
        x, y = centred(grid)
        inside = lungs[self.side]
        lung = np.minimum(2 * edge_of(grid)(inside), 1)  # to the very edge, or a rim of air would be left
        if self.concept == "pleural_effusion":
            depth = self.radius * float(smoothstep(column((self.level + 0.3 - level) / 0.5))[0, 0])
            back = np.float32(patient.lung_b * lung_taper(level) - 2 * depth)
            top = back - 0.05 * (x - np.float32(self.side * patient.lung_x)) ** 2
            return np.asarray(lung * smoothstep((y - top) / np.float32(0.2)) * (depth > 0.15), np.float32)
        if self.concept == "pneumothorax":
            depth = self.radius * float(smoothstep(column((level - self.level + 0.35) / 0.3))[0, 0])
            front = np.float32(depth) * smoothstep((np.float32(3.0) - y) / 7)
            return np.asarray(lung * smoothstep((front - inside) / np.float32(0.12)) * (front > 0.15), np.float32)
        return np.asarray(lung * self._ball(x, y, level), np.float32)

    def _ball(self, x: Array, y: Array, level: float) -> Array:
        """A ball, ellipsoid or lump cut at that level; the margin word sets the width of its edge."""
        rise = (level - self.level) * HEIGHT_CM
        dx, dy = x - np.float32(self.x), y - np.float32(self.y)
        c, s = float(np.cos(self.turn)), float(np.sin(self.turn))
        root = self.stretch**0.5
        r = np.sqrt(((dx * c + dy * s) / root) ** 2 + ((dy * c - dx * s) * root) ** 2 + np.float32(rise * rise))
        if self.look.shape == "irregular":
            angle = np.arctan2(dy, dx)
            for waves, phase in zip((2, 3, 5, 8), self.phases, strict=True):
                r = r * (1 + np.float32(0.08) * np.cos(waves * angle + np.float32(phase + 0.8 * rise)))
        edge = 0.12 if self.look.margin == "well-defined" else 0.5 * self.radius
        return smoothstep((np.float32(self.radius) - r) / np.float32(edge) + np.float32(0.5))


def draw_ct_lesion(
    concept: str,
    patient: CtPatient,
    side: int,
    taken: list[CtLesion],
    rng: np.random.Generator,
    at_level: float | None,
) -> CtLesion:
    """Draw one lesion.

    Args:
        concept: vocabulary key of a CT finding.
        patient: the shapes.
        side: -1 right, +1 left.
        taken: lesions so far.
        rng: the lesion's stream.
        at_level: a level that the lesion must show at; None puts it anywhere.

    Returns:
        The lesion.
    """
    look = draw_appearance(concept, rng)
    shape = {"round": 1.0, "oval": rng.uniform(1.3, 1.7)}.get(look.shape, rng.uniform(1.0, 1.4))
    level = rng.uniform(0.3, 0.8) if at_level is None else at_level
    x = y = 0.0
    if concept in _RADIUS_CM:
        median, spread, least, most = _RADIUS_CM[concept]
        radius = float(np.clip(median * np.exp(rng.normal(0, spread)), least, most))
        if at_level is not None:
            level += 0.4 * radius / HEIGHT_CM * rng.uniform(-1, 1)
        x, y = _place(patient, side, level, radius, taken, rng)
    else:
        radius = rng.uniform(1.0, 3.0) if concept == "pleural_effusion" else rng.uniform(0.9, 3.2)
    phases = tuple(rng.uniform(0, 6.28, 4).tolist())
    hu = rng.uniform(*(_HU[look.density] if concept != "pleural_effusion" else (0.0, 25.0)))
    return CtLesion(concept, look, side, x, y, level, radius, shape, rng.uniform(0, 3.14), phases, hu)


def _place(
    patient: CtPatient, side: int, level: float, radius: float, taken: list[CtLesion], rng: np.random.Generator
) -> tuple[float, float]:
    """A point in the lung at that level with room about it, as far from other lesions as a few tries allow."""
    grid = Grid(80, 0.5)
    inside = lung_inside(patient, side, level, grid)
    rows, columns = np.nonzero(inside > min(0.8 * radius, 0.8 * float(inside.max())))
    x, y = centred(grid)
    best, best_gap = (0.0, 0.0), -np.inf
    for pick in rng.integers(len(rows), size=10).tolist():
        px, py = float(x[0, columns[pick]]), float(y[rows[pick], 0])
        balls = [other for other in taken if other.concept in _RADIUS_CM]
        gap = min((np.hypot(other.x - px, other.y - py) - 1.3 * other.radius for other in balls), default=np.inf)
        if gap > best_gap:
            best, best_gap = (px, py), float(gap)
    return best
