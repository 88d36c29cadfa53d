"""One imaginary patient in axial slices, in Hounsfield units; lengths in centimetres, LPS directions.

x grows to the patient's left (picture's right), y to the back, and `level` runs from 0 at the lung bases to 1 at the
apices. Every shape is a function of the level, so that a slice can be made alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.grid import Array, Grid, smooth_noise, smoothstep

HEIGHT_CM: Final = 24.0
_VESSELS = 90


@dataclass(frozen=True)
class CtPatient:
    """Shapes that do not depend on the level; the vessel table has start, end (x, y, level) and radius per row."""

    half_width: float
    half_depth: float
    fat: float
    lung_a: float
    lung_b: float
    lung_x: float
    heart_x: float
    heart_y: float
    heart_a: float
    heart_b: float
    lung_hu: float
    rib_phase: float
    vessels: Array


def draw_patient(rng: np.random.Generator) -> CtPatient:
    """Draw one patient.

    Args:
        rng: the anatomy's own stream.

    Returns:
        The shapes.
    """
    u = rng.uniform
    half_width, fat = u(15.5, 18.5), u(0.8, 2.6)
    lung_a, lung_b = u(5.6, 6.6) * half_width / 17, u(7.6, 9.0) * half_width / 17
    lung_x = u(7.2, 7.8) * half_width / 17
    sides = np.where(rng.random(_VESSELS) < 0.5, LEFT, RIGHT).astype(np.float32)
    start = np.stack([sides * u(2.4, 3.4), rng.uniform(-0.5, 1.5, _VESSELS), rng.uniform(0.42, 0.58, _VESSELS)], axis=1)
    angle, reach = rng.uniform(0, 2 * np.pi, _VESSELS), rng.uniform(0.3, 0.95, _VESSELS)
    end = np.stack(
        [sides * (lung_x + lung_a * reach * np.cos(angle)), lung_b * reach * np.sin(angle), rng.random(_VESSELS)],
        axis=1,
    )
    table = np.concatenate([start, end, rng.uniform(0.12, 0.42, (_VESSELS, 1))], axis=1).astype(np.float32)
    return CtPatient(
        half_width=half_width,
        half_depth=lung_b + 1.6 + fat + u(0, 0.8),
        fat=fat,
        lung_a=lung_a,
        lung_b=lung_b,
        lung_x=lung_x,
        heart_x=u(1.2, 2.4),
        heart_y=u(-3.2, -1.8),
        heart_a=u(5.0, 6.2),
        heart_b=u(3.8, 5.0),
        lung_hu=u(-880, -780),
        rib_phase=u(0, 6.28),
        vessels=table,
    )


def centred(grid: Grid) -> tuple[Array, Array]:
    """Place of the columns as a row vector and of the rows as a column vector, both 0 in the middle of the slice."""
    return grid.x, grid.y - np.float32(grid.px_cm * grid.size_px / 2)


def _ellipse(x: Array, y: Array, a: float, b: float, power: float = 2) -> Array:
    """About the distance inside an ellipse's edge, cm; negative outside."""
    r = np.power(np.power(np.abs(x) / np.float32(a), power) + np.power(np.abs(y) / np.float32(b), power), 1 / power)
    return np.asarray((1 - r) * np.float32(min(a, b)), np.float32)


def lung_taper(level: float) -> float:
    """Size of a lung's section at that level as a share of its largest."""
    return float(np.sqrt(np.clip(1 - (max(level - 0.35, 0) / 0.66) ** 2, 1e-4, 1)))


def lung_inside(patient: CtPatient, side: int, level: float, grid: Grid) -> Array:
    """About the distance inside one lung's edge, cm, negative outside.

    Args:
        patient: the shapes.
        side: -1 right, +1 left.
        level: 0 at the base, 1 at the apex.
        grid: the slice.

    Returns:
        (rows, columns).
    """
    x, y = centred(grid)
    taper = lung_taper(level)
    inside = _ellipse(x - np.float32(side * patient.lung_x), y, patient.lung_a * taper, patient.lung_b * taper, 2.3)
    inside = np.minimum(inside, side * x - np.float32(1.9 + 1.2 * abs(level - 0.5)))
    if level < 0.5:
        beat = float(np.sqrt(max(1 - ((level - 0.2) / 0.32) ** 2, 0.01)))
        dx, dy = x - np.float32(patient.heart_x), y - np.float32(patient.heart_y)
        inside = np.minimum(inside, -_ellipse(dx, dy, patient.heart_a * beat, patient.heart_b * beat))
    if level < 0.25:
        dome = float(np.sqrt(1 - (max(level, 0) / 0.25) ** 2)) * (0.96 if side == RIGHT else 0.9)
        dx, dy = x - np.float32(side * (patient.lung_x - 0.6)), y + np.float32(0.8)
        inside = np.minimum(inside, -_ellipse(dx, dy, patient.lung_a * dome, patient.lung_b * dome))
    return inside if -0.02 <= level <= 1 else np.full_like(inside, -5)


def tissue(patient: CtPatient, level: float, grid: Grid, rng: np.random.Generator) -> tuple[Array, dict[int, Array]]:
    """Render one slice without lesions, blur or noise.

    Args:
        patient: the shapes.
        level: 0 at the base, 1 at the apex.
        grid: the slice.
        rng: the slice's stream, for soft-tissue and lung texture.

    Returns:
        hu: (rows, columns).
        lungs: distance inside each lung by side, cm.
    """
    x, y = centred(grid)
    edge = edge_of(grid)
    grain = smooth_noise(rng, 40, grid.size_px)
    skin = _ellipse(x, y, patient.half_width, patient.half_depth, 2.5)
    muscle = _ellipse(x, y, patient.half_width - patient.fat, patient.half_depth - patient.fat, 2.5)
    hu = -1000 + 900 * edge(skin) + 150 * edge(muscle) + 6 * grain
    hu = hu + 60 * edge(_ellipse(x - 0.2, y - np.float32(3.0), 1.4, 1.4)) * (level > 0.05)
    lungs = {side: lung_inside(patient, side, level, grid) for side in (RIGHT, LEFT)}
    air = np.float32(patient.lung_hu) + 22 * grain + 6 * y
    for inside in lungs.values():
        hu = hu + (air - hu) * edge(inside)
    if level > 0.45:
        hu = hu + (-1000 - hu) * edge(_ellipse(x, y - np.float32(0.3), 0.85, 0.85))
    hu = _vessels(hu, patient, level, grid, lungs)
    return _bones(hu, patient, level, grid, lungs), lungs


def edge_of(grid: Grid) -> Callable[[Array], Array]:
    """A step from 0 outside to 1 inside, about one pixel wide on that grid."""
    width = np.float32(1.2 * grid.px_cm)
    return lambda inside: smoothstep(inside / width + np.float32(0.5))


def _vessels(hu: Array, patient: CtPatient, level: float, grid: Grid, lungs: dict[int, Array]) -> Array:
    """Cut every vessel with the slice: an ellipse, long where the vessel runs along the slice."""
    hu = hu.copy()
    y0 = grid.px_cm * grid.size_px / 2
    for x1, y1, l1, x2, y2, l2, radius in patient.vessels.tolist():
        rise = (l2 - l1) * HEIGHT_CM
        t = (level - l1) * HEIGHT_CM / rise if abs(rise) > 1e-3 else 2.0
        if not 0 <= t <= 1:
            continue
        run = float(np.hypot(x2 - x1, y2 - y1))
        r = radius * (1 - 0.6 * t)
        stretch = min(float(np.hypot(run, rise)) / abs(rise), 6)
        px, py = x1 + t * (x2 - x1), y1 + t * (y2 - y1)
        rows, columns = grid.window(px, py + y0, r * stretch + 0.3, r * stretch + 0.3)
        dx, dy = grid.x[:, columns] - np.float32(px), grid.y[rows] - np.float32(py + y0)
        c, s = (x2 - x1) / run, (y2 - y1) / run
        far = np.sqrt(((dx * c + dy * s) / stretch) ** 2 + (dy * c - dx * s) ** 2)
        inside = lungs[LEFT if x1 > 0 else RIGHT][rows, columns]
        weight = smoothstep((r - far) / np.float32(grid.px_cm) + np.float32(0.5)) * (inside > 0)
        hu[rows, columns] += (np.float32(35) - hu[rows, columns]) * weight
    return hu


def _bones(hu: Array, patient: CtPatient, level: float, grid: Grid, lungs: dict[int, Array]) -> Array:
    """Ribs as pieces of a shell about the lungs, the vertebra with its canal, the sternum and the shoulder blades."""
    x, y = centred(grid)
    edge = edge_of(grid)
    cage_a, cage_b = patient.half_width - patient.fat - 1.0, patient.half_depth - patient.fat - 0.7
    taper = float(np.sqrt(np.clip(1 - (max(level - 0.45, 0) / 0.75) ** 2, 0.1, 1)))
    shell = np.float32(0.42) - np.abs(_ellipse(x, y, cage_a * taper, cage_b * taper, 2.4))
    angle = np.arctan2(y, np.abs(x))
    piece = np.sin(7 * angle + 38 * np.float32(level) + np.float32(patient.rib_phase))
    rib = edge(shell) * smoothstep((piece - 0.25) / 0.2) * (np.maximum(lungs[RIGHT], lungs[LEFT]) < 0)
    hu = hu + (420 + 260 * (1 - smoothstep(shell / 0.25)) - hu) * rib
    back = np.float32(0.72 * patient.half_depth - 1.0)
    body = _ellipse(x, y - back, 1.9, 1.6)
    hu = hu + (190 + 330 * (1 - smoothstep(body / 0.3)) - hu) * edge(body)
    canal = _ellipse(x, y - back - np.float32(2.4), 0.9, 0.8)
    ring = np.float32(0.5) - np.abs(canal)
    hu = hu + (480 - hu) * edge(ring) * (canal < 0)
    sternum = _ellipse(x, y + np.float32(patient.half_depth - patient.fat - 1.0), 1.7, 0.55)
    hu = hu + (320 - hu) * edge(sternum) * (level > 0.3)
    if level > 0.55:
        side = np.abs(x) - np.float32(0.72 * patient.half_width)
        plane = y - np.float32(0.62 * patient.half_depth) + 0.55 * side
        blade = np.minimum(np.float32(0.3) - np.abs(plane), 3.2 - np.abs(side))
        hu = hu + (380 - hu) * edge(blade)
    return np.asarray(hu, np.float32)
