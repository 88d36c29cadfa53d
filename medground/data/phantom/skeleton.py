"""Bones on the film: ribs, clavicles, scapulae, humeral heads and the spine, in water-equivalent centimetres.

Ribs: with t = distance from the midline over the lung's half width, rib k of height y_k at the chest wall runs along
y = y_k - rise * (1 - t^2) behind and y = y_k + fall * (1 - t^1.5) in front. So y + rise * (1 - t^2) is constant along
a posterior rib, and one look-up table over that coordinate draws all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medground.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from medground.data.phantom.grid import Array, Grid, chord, column, smoothstep

_RIBS = 11
_TABLE_CM = 60
_STEPS_PER_CM = 64


@dataclass(frozen=True)
class Break:
    """A broken posterior rib: where (cm on the film), how far the outer piece has sunk, gap and callus, cm."""

    x: float
    y: float
    step: float
    gap: float
    callus: float
    blur: float


def rib_heights(anatomy: Anatomy) -> Array:
    """Height at the chest wall of each posterior rib, cm."""
    return np.float32(anatomy.rib_first_y + anatomy.rib_rise) + np.float32(anatomy.rib_gap) * np.arange(
        _RIBS, dtype=np.float32
    )


def _tube_table(heights: Array, widths: Array, density: Array) -> Array:
    """Thickness of hollow tubes across the rib coordinate: bright cortical edges, softer middle."""
    at = (np.arange(_TABLE_CM * _STEPS_PER_CM, dtype=np.float32) / _STEPS_PER_CM)[:, None] - 10
    distance = np.abs(at - heights) / (widths / 2)
    wall = chord(distance) - 0.42 * chord(distance / 0.82)
    table = (wall * density).sum(axis=1)
    kernel = np.hanning(9).astype(np.float32)
    return np.convolve(table, kernel / kernel.sum(), mode="same").astype(np.float32)


def _look_up(table: Array, coordinate: Array) -> Array:
    index = ((coordinate + 10) * _STEPS_PER_CM).astype(np.int32)
    return np.asarray(table.take(index, mode="clip"))


def rib_path(anatomy: Anatomy, side: int, rib: int, t: float) -> tuple[float, float]:
    """A point on the middle of a posterior rib.

    Args:
        anatomy: the patient.
        side: -1 right, +1 left.
        rib: 0 for the uppermost one drawn.
        t: place along the rib, 0 at the midline, 1 at the chest wall.

    Returns:
        x, y in cm on the film.
    """
    y = float(rib_heights(anatomy)[rib] - anatomy.rib_rise * (1 - t * t))
    row = column(y)
    reach = float(_reach(anatomy, side, row)[0, 0])
    return float(anatomy.middle_x(row)[0, 0]) + side * t * reach, y


def _reach(anatomy: Anatomy, side: int, y: Array) -> Array:
    return np.maximum(anatomy.lateral_x(side, y) + 0.5, 2.5)


def ribs(anatomy: Anatomy, grid: Grid, rng: np.random.Generator, breaks: tuple[Break, ...] = ()) -> Array:
    """All ribs, front and back.

    Args:
        anatomy: the patient.
        grid: film at full resolution.
        rng: stream for widths and density.
        breaks: broken ribs.

    Returns:
        (rows, columns), cm.
    """
    strength = rng.uniform(0.5, 1.4)
    y = grid.y
    x = grid.x - anatomy.middle_x(y)
    back, front = rib_heights(anatomy), rib_heights(anatomy) + np.float32(0.35 * anatomy.rib_gap)
    jitter = rng.normal(0, 0.06, (2, _RIBS)).astype(np.float32) * anatomy.rib_gap
    widths = rng.uniform(0.95, 1.35, (2, _RIBS)).astype(np.float32)
    density = strength * rng.uniform(0.8, 1.25, (2, _RIBS)).astype(np.float32)
    fade_back = np.ones(_RIBS, np.float32)
    fade_back[9:] = (0.6, 0.4)
    tables = [
        _tube_table(back, widths[0], density[0] * fade_back * 1.4),
        _tube_table(front + jitter[1], widths[1] * 1.1, density[1] * 0.75),
    ]
    gone = 1 - 0.85 * smoothstep((y - anatomy.right.dome_y - 6) / 6)
    t = np.abs(x) / np.where(x > 0, _reach(anatomy, LEFT, y), _reach(anatomy, RIGHT, y))
    posterior = y + np.float32(anatomy.rib_rise) * (1 - t * t)
    missing = np.zeros_like(x)
    for broken in breaks:
        _displace(posterior, missing, grid, broken)
    behind = _look_up(tables[0], posterior) * (1 - missing)
    anterior = y - np.float32(anatomy.rib_fall) * (1 - t * np.sqrt(t))
    before = _look_up(tables[1], anterior) * smoothstep((t - 0.3) / 0.3)
    grazed = 1 + 1.3 * smoothstep((t - 0.82) / 0.18)  # the wall's ribs are seen end on
    bones = (behind + before) * grazed * smoothstep((1.06 - t) / 0.06) * gone
    for broken in breaks:
        rows, columns = grid.window(broken.x, broken.y, 2, 2)
        distance = np.sqrt((grid.x[:, columns] - broken.x) ** 2 + (grid.y[rows] - broken.y) ** 2)
        bones[rows, columns] += broken.callus * smoothstep((1.1 - distance) / broken.blur)
    return np.asarray(bones, np.float32)


def _displace(posterior: Array, missing: Array, grid: Grid, broken: Break) -> None:
    """Shift the outer piece of one rib down (in the rib coordinate) and open a gap, in place."""
    rows, columns = grid.window(broken.x, broken.y, 2.4, 1.6)
    outward = (grid.x[:, columns] - broken.x) * np.sign(broken.x)
    down = grid.y[rows] - broken.y
    near = smoothstep((1.5 - np.abs(down)) / 0.6) * smoothstep((2.2 - outward) / 1.6)
    posterior[rows, columns] -= broken.step * near * (outward > 0)
    missing[rows, columns] = np.maximum(
        missing[rows, columns], smoothstep((broken.gap - np.abs(outward + 0.3 * down)) / 0.15) * near
    )


def spine(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Array:
    """Vertebral bodies with disc spaces, pedicles and spinous processes."""
    y = grid.y
    x = grid.x - anatomy.middle_x(y)
    gap = 2.0 + 0.025 * y
    phase = y / gap + rng.uniform(0, 1)
    local = phase - np.floor(phase)
    body = 1 - 0.4 * smoothstep((0.14 - np.minimum(local, 1 - local)) / 0.08)
    half = 1.55 + 0.018 * y
    column = (0.5 + 0.5 * chord(x / half)) * smoothstep((half - np.abs(x)) / 0.25) * body
    rise = (local - 0.45) * gap
    pedicle = chord(np.sqrt(((np.abs(x) - 0.62 * half) / 0.38) ** 2 + (rise / 0.5) ** 2))
    process = chord(np.sqrt((x / 0.35) ** 2 + ((rise - 0.6) / 0.75) ** 2))
    arms = 0.6 * smoothstep((3.3 - np.abs(x)) / 0.4) * smoothstep((0.5 - np.abs(rise + 0.1)) / 0.3)
    strength = np.float32(rng.uniform(1.2, 2.6))
    return (strength * (column + 0.35 * pedicle + 0.4 * process + 0.45 * arms)).astype(np.float32)


def shoulder_girdle(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Array:
    """Clavicles, scapulae and the heads of the humeri."""
    u = rng.uniform
    y = grid.y
    x = grid.x - anatomy.middle_x(y)
    away = np.abs(x)
    total = np.zeros_like(x)
    inner, outer = u(1.6, 2.6), u(14.5, 17.0)
    for side in (RIGHT, LEFT):
        t = np.clip((away - inner) / (outer - inner), 0, 1)
        path = anatomy.clavicle_y + u(-0.4, 0.4) - anatomy.clavicle_rise * t - u(0.3, 1.1) * np.sin(5.2 * t + 0.2)
        width = 0.62 + 0.5 * (1 - t) ** 4 + 0.15 * t
        distance = np.abs(y - path) / width
        tube = chord(distance) - 0.6 * chord(distance / 0.8)
        ends = smoothstep((away - inner) / 0.5) * smoothstep((outer + 1 - away) / 1.2)
        bone = u(2.4, 4.2) * tube * ends
        tilt, edge, top = u(0.08, 0.28), u(10.2, 14.2), anatomy.shoulder_y + u(2.5, 4.5)
        medial = away - edge - tilt * (y - top - 5) - 0.03 * (y - top - 6) ** 2
        lateral = edge + 7.2 - 0.5 * (y - top) - away
        blade = smoothstep((y - top - 0.25 * np.maximum(medial, 0)) / 0.8) * smoothstep((top + 13.5 - y) / 1.5)
        rim = np.exp(-((medial - 0.25) ** 2) / 0.06) * 0.5 + np.exp(-((lateral - 0.4) ** 2) / 0.15) * 0.9
        bone += u(0.9, 2.0) * blade * (smoothstep(medial / 0.25) * smoothstep(lateral / 0.3) * (0.55 + rim))
        head_x, head_y = anatomy.arm_x - 0.8, anatomy.shoulder_y + u(3.6, 5.0)
        bone += u(1.8, 3.4) * chord(np.sqrt((away - head_x) ** 2 + (y - head_y) ** 2) / 2.5)
        shaft = np.abs(away - anatomy.arm_x - anatomy.arm_slant * (y - 10) + 0.3) / 1.25
        bone += u(1.8, 3.2) * (chord(shaft) - 0.55 * chord(shaft / 0.7)) * smoothstep((y - head_y) / 2)
        total = np.where((x > 0) == (side == LEFT), bone, total)
    return total.astype(np.float32)
