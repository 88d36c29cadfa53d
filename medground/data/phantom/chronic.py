"""Scars: fibrosis of the lung and thickening of the pleura."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.appearance import Appearance
from medground.data.phantom.chest import Chest, Lesion
from medground.data.phantom.grid import Array, column, smooth_noise, smoothstep
from medground.data.phantom.lesions import find_place

Rng = np.random.Generator

# Water-equivalent cm at the thickest point.
_STRAND_CM: Final = {"faint": (0.8, 1.1), "moderate": (1.3, 1.8), "dense": (2.1, 3.0)}
_PLEURA_CM: Final = {"faint": (1.4, 1.9), "moderate": (2.4, 3.2), "dense": (3.8, 5.0)}
_FINE: Final = 2


def noise_over(rng: Rng, spacing_cm: float, px_cm: float, shape: tuple[int, ...]) -> Array:
    """Smooth noise with features about `spacing_cm` apart over a window of that shape."""
    side = max(shape)
    return smooth_noise(rng, max(2, round(side * px_cm / spacing_cm)), side)[: shape[0], : shape[1]]


def fibrosis(chest: Chest, look: Appearance, taken: list[Lesion], rng: Rng) -> Lesion:
    """Draw strands towards the hilum, or a net of fine lines, with a little haze about them.

    Args:
        chest: the patient.
        look: shape `band-like` draws strands, `irregular` a net with few strands; density drives their weight.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    side = LEFT if rng.random() < 0.5 else RIGHT
    half_x = float(np.clip(3.7 * np.exp(rng.normal(0, 0.35)), 1.5, 6))
    half_y = float(np.clip(4.4 * np.exp(rng.normal(0, 0.5)), 1.4, 11))
    x, y = find_place(chest, side, 0.5 * min(half_x, half_y), taken, rng)
    grid = chest.grid
    rows, columns = grid.window(x, y, 1.2 * half_x, 1.2 * half_y)
    dx, dy = grid.x[:, columns] - np.float32(x), grid.y[rows] - np.float32(y)
    r = np.sqrt((dx / half_x) ** 2 + (dy / half_y) ** 2)
    r = r * (1 + 0.16 * noise_over(rng, 1.5, grid.px_cm, r.shape))
    mask = smoothstep((1.08 - r) / np.float32(0.3 if look.margin == "well-defined" else 0.7))
    banded = look.shape == "band-like"
    lines = _strands(chest, side, (x, y), (half_x, half_y), (rows, columns), 22 if banded else 10, rng)
    if not banded:
        net = np.exp(-((noise_over(rng, 0.55, grid.px_cm, r.shape) / 0.22) ** 2))
        lines = np.maximum(lines, 0.75 * net)
    peak = np.float32(rng.uniform(*_STRAND_CM[look.density]))
    same = (chest.from_middle()[rows, columns] > 0) == (side == LEFT)
    added = peak * mask * (lines + 0.22) * smoothstep(chest.air[rows, columns] / 3) * same
    strong = float(np.percentile(added[added > 0], 98)) if (added > 0).any() else 1e-3
    return Lesion("fibrosis", look, side, rows, columns, added.astype(np.float32), added > 0.25 * strong)


def _strands(
    chest: Chest,
    side: int,
    centre: tuple[float, float],
    half: tuple[float, float],
    window: tuple[slice, slice],
    most: int,
    rng: Rng,
) -> Array:
    """Slightly bent lines that run towards the hilum, 0..1, over the window."""
    rows, columns = window
    grid, anatomy = chest.grid, chest.anatomy
    hilum_y = anatomy.knob_y + 5
    hilum_x = float(anatomy.middle_x(column(hilum_y))[0, 0]) + side * (anatomy.lung(side).medial + 1)
    towards = float(np.arctan2(hilum_y - centre[1], hilum_x - centre[0]))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    picture = Image.new("L", (_FINE * width, _FINE * height))
    pen = ImageDraw.Draw(picture)
    scale = _FINE / grid.px_cm
    for _ in range(int(rng.integers(most // 2, most + 1))):
        turn, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * 0.75
        px, py = centre[0] + half[0] * reach * np.cos(turn), centre[1] + half[1] * reach * np.sin(turn)
        angle, length = towards + rng.normal(0, 0.4), min(half) * rng.uniform(0.5, 1.5)
        points = []
        for step in np.linspace(-0.5, 0.5, 5).tolist():
            bend = rng.normal(0, 0.08)
            points.append(px + length * (step * np.cos(angle) - bend * np.sin(angle)))
            points.append(py + length * (step * np.sin(angle) + bend * np.cos(angle)))
        ends = np.array(points, np.float32) * scale
        ends[0::2] += _FINE * (grid.size_px / 2 - columns.start)
        ends[1::2] -= _FINE * rows.start
        thick = max(1, round(rng.uniform(0.1, 0.24) * scale))
        pen.line(ends.tolist(), fill=int(rng.uniform(130, 255)), width=thick, joint="curve")
    return np.asarray(picture.reduce(_FINE), np.float32) / np.float32(255)


def pleural_thickening(chest: Chest, look: Appearance, taken: list[Lesion], rng: Rng) -> Lesion:
    """Draw a strip of thick pleura along the chest wall, or a cap over the apex.

    Args:
        chest: the patient.
        look: shape `band-like` lies along the wall, `crescent-shaped` over the apex; margin drives its inner edge.
        taken: lesions so far; a strip starts away from strips of the same side.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    side = LEFT if rng.random() < 0.5 else RIGHT
    lung, grid = chest.anatomy.lung(side), chest.grid
    thick = float(np.clip(1.1 * np.exp(rng.normal(0, 0.35)), 0.55, 2.2))
    if look.shape == "crescent-shaped":
        first, last = lung.apex_y - 0.5, lung.apex_y + 1.0 + 1.6 * thick
    else:
        first, last = _strip(chest, side, taken, rng)
    rows, _ = grid.window(0, (first + last) / 2, 1, (last - first) / 2)
    columns = grid.columns(0, np.inf) if side == LEFT else grid.columns(-np.inf, 0)
    y = grid.y[rows]
    away = (grid.x[:, columns] - chest.anatomy.middle_x(y)) * side
    depth = chest.anatomy.lateral_x(side, y) - away
    if look.shape == "crescent-shaped":
        depth = np.minimum(depth, _below_apex(depth, grid.px_cm))
        along = (away - np.float32(lung.apex_x)) / np.float32(0.75 * lung.apex_x + 1.5)
    else:
        along = 2 * (y - np.float32((first + last) / 2)) / np.float32(last - first)
    waves = 1 + 0.25 * noise_over(rng, 1.6, grid.px_cm, (depth.shape[0], depth.shape[0]))[:, :1]
    width = np.float32(thick) * np.sqrt(np.maximum(1 - along * along, 0)) * waves
    soft = np.float32(0.15 if look.margin == "well-defined" else 0.45)
    strip = smoothstep((width - depth) / soft) * smoothstep(depth / 0.12 + 1)
    inside = smoothstep(chest.air[rows, columns] / 0.6) * (away > 0)
    added = np.float32(rng.uniform(*_PLEURA_CM[look.density])) * strip * inside
    support = added > 0.3 * max(float(added.max()), 1e-3)
    return Lesion("pleural_thickening", look, side, rows, columns, added.astype(np.float32), support)


def _strip(chest: Chest, side: int, taken: list[Lesion], rng: Rng) -> tuple[float, float]:
    """Top and bottom of a strip along the wall of one side, clear of other strips if a few tries allow."""
    lung, px_cm = chest.anatomy.lung(side), chest.grid.px_cm
    others = [o.box for o in taken if o.concept == "pleural_thickening" and o.side == side]
    first = last = 0.0
    for _ in range(8):
        half = float(np.clip(2.3 * np.exp(rng.normal(0, 0.6)), 1.0, 8.0))
        low, high = lung.apex_y + 3 + half, lung.dome_y + 2.5 - half
        middle = rng.uniform(low, high) if high > low else 0.5 * (lung.apex_y + lung.dome_y)
        first, last = middle - half, middle + half
        if all(last < o.y1 * px_cm or first > o.y2 * px_cm for o in others):
            break
    return first, last


def _below_apex(depth: Array, px_cm: float) -> Array:
    """Distance of each pixel below the first row of its column that lies in the lung, cm; negative above it."""
    inside = depth > 0
    top = np.where(inside.any(axis=0), inside.argmax(axis=0), len(depth))
    return np.asarray((np.arange(len(depth))[:, None] - top) * np.float32(px_cm), np.float32)
