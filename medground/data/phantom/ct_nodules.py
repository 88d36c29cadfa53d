"""Nodules of the chest CT in three dimensions: 3 to 30 mm, free in the lung, on a vessel or on the pleura."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.ct_anatomy import HEIGHT_CM, CtPatient, centred, edge_of, lung_inside
from medground.data.phantom.grid import Array, Grid, smoothstep
from medground.schema.anatomy import Side
from medground.schema.errors import UsageError

Surface = Literal["smooth", "spiculated"]
Composition = Literal["solid", "calcified", "ground-glass"]
NODULE_WORDS: Final = (*get_args(Surface), *get_args(Composition))
Attachment = Literal["none", "vessel", "pleura"]

DIAMETER_MM: Final = (3.0, 30.0)
_HU: Final[dict[Composition, tuple[float, float]]] = {
    "solid": (10.0, 70.0),
    "calcified": (280.0, 600.0),
    "ground-glass": (-640.0, -480.0),
}
_ODDS_OF_COMPOSITION: Final[dict[Composition, float]] = {"solid": 0.6, "calcified": 0.15, "ground-glass": 0.25}
_ODDS_OF_ATTACHMENT: Final[dict[Attachment, float]] = {"none": 0.5, "vessel": 0.25, "pleura": 0.25}
_SPICULE: Final = 0.7  # how far a spicule reaches beyond the ball, in radii
_TRIES: Final = 60


@dataclass(frozen=True)
class CtNodule:
    """One nodule.

    Attributes:
        side: -1 patient's right, +1 left.
        x, y, level: centre, cm from the middle of the slice and 0..1.
        diameter_mm: of the ball, without spicules and before the pleura cuts it.
        surface, composition, attachment: what it is drawn from.
        spicules: unit vectors (x, y, up), one row each.
        hu: what it is made of.
    """

    side: int
    x: float
    y: float
    level: float
    diameter_mm: float
    surface: Surface
    composition: Composition
    attachment: Attachment
    spicules: Array
    hu: float

    @property
    def radius(self) -> float:
        """Radius of the ball, cm."""
        return self.diameter_mm / 20

    @property
    def patient_side(self) -> Side:
        """Side of the patient."""
        return Side.LEFT if self.side == LEFT else Side.RIGHT

    @property
    def words(self) -> tuple[str, ...]:
        """What it looks like."""
        outline = ("round", "well-defined") if self.surface == "smooth" else ("irregular",)
        return (*outline, self.surface, self.composition)

    def share(self, patient: CtPatient, level: float, grid: Grid, lungs: dict[int, Array]) -> Array:  # noqa: ARG002
        """How much of each pixel is nodule, 0..1, at that level.

        Args:
            patient: not looked at: a nodule has its place already.
            level: of the slice.
            grid: the slice.
            lungs: distance inside each lung, cm.

        Returns:
            (rows, columns), 0.5 on the surface.
        """
        total = np.zeros((grid.size_px, grid.size_px), np.float32)
        rise = (level - self.level) * HEIGHT_CM
        reach = self.radius * (1 + _SPICULE) + 0.1
        if abs(rise) > reach:
            return total
        window = grid.window(self.x, self.y + grid.px_cm * grid.size_px / 2, reach, reach)
        x, y = centred(grid)
        dx, dy = x[:, window[1]] - np.float32(self.x), y[window[0]] - np.float32(self.y)
        r = np.sqrt(dx * dx + dy * dy + np.float32(rise * rise))
        ball = np.asarray(r / self._outline(dx, dy, np.float32(rise), r), np.float32)
        inside = smoothstep((np.float32(self.radius) - ball) / np.float32(0.12) + np.float32(0.5))
        lung = np.minimum(2 * edge_of(grid)(lungs[self.side][window]), 1)  # to the very edge, or a rim would be left
        total[window] = inside * lung
        return total

    def _outline(self, dx: Array, dy: Array, rise: np.float32, r: Array) -> Array:
        """How far the surface lies from the centre in each direction, in radii."""
        far = np.ones_like(r)
        for ux, uy, up in self.spicules:
            along = (dx * ux + dy * uy + rise * up) / np.maximum(r, 1e-3)
            far = np.maximum(far, 1 + np.float32(_SPICULE) * smoothstep((along - 0.94) / 0.06))
        return far


def draw_nodules(
    patient: CtPatient, levels: Array, count: int, rng: np.random.Generator, diameters_mm: tuple[float, ...] = ()
) -> list[CtNodule]:
    """Draw nodules that do not touch each other, each with its centre in a slice so that none falls between two.

    Args:
        patient: the shapes.
        levels: of the slices, ascending.
        count: number of nodules.
        rng: the nodules' stream.
        diameters_mm: of the first ones; the others are drawn, small ones as often as large ones per octave.

    Returns:
        The nodules.

    Raises:
        UsageError: on a diameter that is no nodule's, or more nodules than there is room for.
    """
    nodules: list[CtNodule] = []
    low, high = DIAMETER_MM
    for number in range(count):
        drawn = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        diameter = diameters_mm[number] if number < len(diameters_mm) else drawn
        if not low <= diameter <= high:
            raise UsageError(f"a nodule of {diameter:g} mm was asked for: they measure {low:g} to {high:g} mm")
        first = str(rng.choice(list(_ODDS_OF_ATTACHMENT), p=list(_ODDS_OF_ATTACHMENT.values())))
        for attachment in sorted(_ODDS_OF_ATTACHMENT, key=lambda name: name != first):
            place = _place(patient, levels, diameter / 20, attachment, nodules, rng)
            if place is not None:
                nodules.append(_nodule(place, diameter, attachment, rng))
                break
        else:
            raise UsageError(f"there is no room for {count} nodules in this patient: ask for fewer or smaller ones")
    return nodules


def _nodule(
    place: tuple[int, float, float, float], diameter_mm: float, attachment: Attachment, rng: np.random.Generator
) -> CtNodule:
    """A nodule at that place, its other looks drawn."""
    composition = list(_ODDS_OF_COMPOSITION)[int(rng.choice(3, p=list(_ODDS_OF_COMPOSITION.values())))]
    spiculated = composition == "solid" and diameter_mm >= 8 and rng.random() < 0.5
    spicules = rng.normal(size=(int(rng.integers(22, 36)) if spiculated else 0, 3)).astype(np.float32)
    spicules /= np.maximum(np.linalg.norm(spicules, axis=1, keepdims=True), 1e-6)
    side, x, y, level = place
    hu = rng.uniform(*_HU[composition])
    surface: Surface = "spiculated" if spiculated else "smooth"
    return CtNodule(side, x, y, level, diameter_mm, surface, composition, attachment, spicules, hu)


def _place(
    patient: CtPatient,
    levels: Array,
    radius: float,
    attachment: Attachment,
    taken: list[CtNodule],
    rng: np.random.Generator,
) -> tuple[int, float, float, float] | None:
    """Side, x, y and level of a nodule so attached; None if many tries found none."""
    within = levels[(levels > 0.1) & (levels < 0.92)]
    grid = Grid(160, 0.25)
    for _ in range(_TRIES):
        side, level = LEFT if rng.random() < 0.5 else RIGHT, float(rng.choice(within))
        inside = lung_inside(patient, side, level, grid)
        if attachment == "vessel":
            point = _beside_vessel(patient, side, level, radius, rng)
            if point is None:
                continue
            x, y = point
        else:
            wanted = (
                inside > 1.1 * radius + 0.2
                if attachment == "none"
                else (inside > 0.3 * radius) & (inside < 0.7 * radius)
            )
            rows, columns = np.nonzero(wanted)
            if not len(rows):
                continue
            pick = int(rng.integers(len(rows)))
            xs, ys = centred(grid)
            x, y = float(xs[0, columns[pick]]), float(ys[rows[pick], 0])
        row, column = int((y + 20) / grid.px_cm), int((x + 20) / grid.px_cm)
        if attachment == "vessel" and inside[row, column] < 1.1 * radius:
            continue
        if attachment == "none" and _vessel_gap(patient, level, x, y) < radius + 0.15:
            continue
        apart = (
            np.hypot(np.hypot(o.x - x, o.y - y), (o.level - level) * HEIGHT_CM) - (1 + _SPICULE) * (o.radius + radius)
            for o in taken
        )
        if min(apart, default=1.0) > 0.2:
            return side, x, y, level
    return None


def _sections(patient: CtPatient, level: float) -> list[tuple[float, float, float, float]]:
    """Where the vessels cross the slice: x, y, radius and half the length of the cut, cm."""
    found = []
    for x1, y1, l1, x2, y2, l2, radius in patient.vessels.tolist():
        t = (level - l1) / (l2 - l1) if abs(l2 - l1) > 1e-4 else 2.0
        if 0 <= t <= 1:
            thick, rise = radius * (1 - 0.6 * t), abs(l2 - l1) * HEIGHT_CM
            slant = float(np.hypot(np.hypot(x2 - x1, y2 - y1), rise)) / rise
            found.append((x1 + t * (x2 - x1), y1 + t * (y2 - y1), thick, thick * min(slant, 6)))
    return found


def _vessel_gap(patient: CtPatient, level: float, x: float, y: float) -> float:
    """Distance from a point to the nearest vessel in its slice, cm."""
    gaps = (np.hypot(px - x, py - y) - long for px, py, _, long in _sections(patient, level))
    return float(min(gaps, default=np.inf))


def _beside_vessel(
    patient: CtPatient, side: int, level: float, radius: float, rng: np.random.Generator
) -> tuple[float, float] | None:
    """The centre of a nodule that touches a vessel of that side in its slice."""
    sections = [section for section in _sections(patient, level) if section[0] * side > 0]
    if not sections:
        return None
    x, y, vessel, _ = sections[int(rng.integers(len(sections)))]
    turn, away = rng.uniform(0, 2 * np.pi), vessel + 0.5 * radius
    return x + away * float(np.cos(turn)), y + away * float(np.sin(turn))
