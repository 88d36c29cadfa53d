"""Soft tissue on the film: body outline, shoulders and arms, breasts, abdomen, heart and the air of the lungs.

Thicknesses are centimetres of water-equivalent along the ray.
"""

from __future__ import annotations

import numpy as np

from medground.data.phantom.anatomy import LEFT, RIGHT, Anatomy, Heart
from medground.data.phantom.grid import Array, Grid, chord, column, smoothstep


def body_thickness(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Array:
    """Water path through neck, trunk, arms, breasts and abdomen, the lungs counted as filled.

    Args:
        anatomy: the patient.
        grid: film at low resolution; nothing here has fine edges.
        rng: stream for bowel gas.

    Returns:
        (rows, columns), cm.
    """
    y = grid.y
    x = grid.x - anatomy.middle_x(y)
    away = np.abs(x)
    half = max(anatomy.left.half_width, anatomy.right.half_width) + anatomy.wall
    flare = smoothstep((14 - y) / 8) * 12
    edge = half + flare + 0.02 * y
    trunk = anatomy.thickness * np.power(np.maximum(1 - np.power(away / edge, 7), 0), 0.5)
    top = anatomy.shoulder_y - 3.0 + 0.014 * np.maximum(away - 4.5, 0) ** 2.1
    shoulder = np.sqrt(np.clip((y - top + 0.3) / (3.5 + 0.08 * away), 0, 1))
    neck = 15.5 * chord(away / 6.4) * smoothstep((anatomy.shoulder_y + 7 - y) / 9)
    belly = 1 + 0.1 * smoothstep((y - anatomy.right.dome_y) / 5)
    slim = 0.74 + 0.26 * smoothstep((y - anatomy.shoulder_y) / 9)
    total = _smooth_max(trunk * shoulder * belly * slim, neck, 2.0)
    arm_middle = anatomy.arm_x + anatomy.arm_slant * (y - 10)
    arm = 11.5 * chord((away - arm_middle) / 4.6) * smoothstep((y - top - 1) / 5)
    total = _smooth_max(total, arm, 1.0)
    if anatomy.breast:
        r = anatomy.breast_r
        dy = (y - anatomy.breast_y) / np.where(y > anatomy.breast_y, 0.75 * r, 1.5 * r)
        total = total + anatomy.breast * np.power(
            np.maximum(1 - ((away - anatomy.breast_x) / r) ** 2 - dy * dy, 0), 0.6
        )
    return _with_bowel_gas(total.astype(np.float32), anatomy, x, y, rng)


def _smooth_max(a: Array, b: Array, width: float) -> Array:
    """The larger of two, rounded where they meet."""
    gap = a - b
    return np.asarray(0.5 * (a + b + np.sqrt(gap * gap + np.float32(width * width)) - np.float32(width)), np.float32)


def _with_bowel_gas(total: Array, anatomy: Anatomy, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Take out the stomach's bubble and loops of colon below the left dome."""
    dome = anatomy.left.dome_y
    if anatomy.bubble > 0.35:
        a, b = rng.uniform(1.8, 4.2), rng.uniform(1.0, 2.6)
        centre_y = dome + b + rng.uniform(0.9, 1.8)
        gas = chord(np.sqrt(((x - rng.uniform(5, 8)) / a) ** 2 + ((y - centre_y) / b) ** 2))
        if rng.random() < 0.5:
            gas = gas * smoothstep((centre_y + 0.4 * b - y) / 0.35)
        total = total - rng.uniform(2.5, 7) * gas
    for _ in range(int(rng.integers(0, 5))):
        cx, cy, r = rng.uniform(-9, 11), dome + rng.uniform(5.5, 12), rng.uniform(0.9, 2.4)
        total = total - rng.uniform(1, 4) * chord(np.sqrt(((x - cx) / r) ** 2 + ((y - cy) / (0.7 * r)) ** 2))
    return np.maximum(total, 0)


def heart_shape(heart: Heart, x: Array, y: Array) -> Array:
    """The heart's thickness as a share of its depth, 0..1; `x` from the midline."""
    c, s = np.float32(np.cos(heart.tilt)), np.float32(np.sin(heart.tilt))
    dx, dy = x - np.float32(heart.x), y - np.float32(heart.y)
    along, across = (dx * c + dy * s) / np.float32(heart.long), (dy * c - dx * s) / np.float32(heart.short)
    ventricle = 1 - along * along - across * across
    dx, dy = (x - np.float32(heart.atrium_x)) / np.float32(heart.atrium_a), (y - np.float32(heart.atrium_y))
    atrium = 1 - dx * dx - (dy / np.float32(heart.atrium_b)) ** 2
    return np.sqrt(np.maximum(_smooth_max(ventricle, atrium, 0.25), 0))


def lung_air(anatomy: Anatomy, grid: Grid) -> tuple[Array, Array]:
    """Thickness of aerated lung in the ray, and where the heart is.

    Args:
        anatomy: the patient.
        grid: film at full resolution (the lungs' edges are sharp).

    Returns:
        air: (rows, columns), cm of lung.
        heart: (rows, columns), the heart's thickness as a share of its depth.
    """
    y = grid.y
    middle = anatomy.middle_x(y)
    air = np.zeros((grid.size_px, grid.size_px), np.float32)
    for side in (RIGHT, LEFT):
        lung = anatomy.lung(side)
        half = grid.columns(float(middle.min()), np.inf) if side == LEFT else grid.columns(-np.inf, float(middle.max()))
        x = grid.x[:, half] - middle
        away = np.abs(x)
        inside = anatomy.lateral_x(side, y) - away
        outer = chord(np.maximum(1 - np.maximum(inside, 0) / (0.62 * lung.half_width), 0))
        medial = away - anatomy.medial_x(side, y)
        inner = smoothstep((medial + 0.35) / 1.1) * (0.7 + 0.3 * np.clip(medial / 4, 0, 1))
        dome = anatomy.dome_y(side, np.abs(grid.x[:, half] - anatomy.middle_x(column(lung.dome_y))))
        above = dome - y
        floor = 0.86 * smoothstep(above / 0.18) + 0.14 * smoothstep((above + 3.5) / 4)
        height = 0.5 + 0.5 * smoothstep((y - lung.apex_y) / 9)
        part = np.float32(lung.depth) * outer * inner * floor * height
        np.copyto(air[:, half], part, where=(x > 0) == (side == LEFT))
    heart = np.zeros_like(air)
    window = _heart_window(anatomy, grid)
    heart[window] = heart_shape(anatomy.heart, (grid.x[:, window[1]] - middle[window[0]]), y[window[0]])
    depth = np.float32(0.9 * anatomy.left.depth)
    air[window] = np.maximum(air[window] - depth * heart[window], np.minimum(air[window], 2.2))
    return air, heart


def _heart_window(anatomy: Anatomy, grid: Grid) -> tuple[slice, slice]:
    """Rows and columns that hold the whole heart, which is empty outside."""
    heart, middle = anatomy.heart, anatomy.middle_x(grid.y)
    reach_x = float(np.hypot(heart.long * np.cos(heart.tilt), heart.short * np.sin(heart.tilt)))
    reach_y = float(np.hypot(heart.long * np.sin(heart.tilt), heart.short * np.cos(heart.tilt)))
    low = min(heart.x - reach_x, heart.atrium_x - heart.atrium_a) + float(middle.min())
    high = max(heart.x + reach_x, heart.atrium_x + heart.atrium_a) + float(middle.max())
    top = min(heart.y - reach_y, heart.atrium_y - heart.atrium_b)
    bottom = max(heart.y + reach_y, heart.atrium_y + heart.atrium_b)
    return grid.window((low + high) / 2, (top + bottom) / 2, (high - low) / 2 + 0.1, (bottom - top) / 2 + 0.1)
