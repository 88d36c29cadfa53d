"""Lesions with a place of their own: nodule, mass, cavity, calcification, rib fracture, plate atelectasis."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.appearance import Appearance
from medground.data.phantom.chest import Chest, Lesion
from medground.data.phantom.grid import Array, chord, column, smooth_noise, smoothstep
from medground.data.phantom.skeleton import Break, rib_path

Rng = np.random.Generator

# Diameter, cm: median and spread of the logarithm, then the limits (box sides in ChestX-Det, on a 40 cm film).
_DIAMETER_CM: Final = {
    "nodule": (2.0, 0.36, 0.9, 3.4),
    "mass": (4.6, 0.36, 3.0, 10.0),
    "cavity": (3.6, 0.35, 1.8, 7.5),
    "calcification": (0.85, 0.28, 0.55, 1.6),
}
# Water-equivalent cm at the thickest point.
_ADDED_CM: Final = {
    "nodule": {"faint": (0.55, 0.85), "moderate": (1.0, 1.5), "dense": (1.8, 2.8)},
    "mass": {"faint": (0.9, 1.5), "moderate": (1.9, 2.9), "dense": (3.4, 5.5)},
    "cavity": {"faint": (0.7, 1.1), "moderate": (1.3, 1.9), "dense": (2.2, 3.4)},
    "calcification": {"dense": (1.6, 3.2)},
    "atelectasis": {"faint": (0.5, 0.8), "moderate": (0.95, 1.4), "dense": (1.6, 2.3)},
}


def find_place(chest: Chest, side: int, margin_cm: float, taken: list[Lesion], rng: Rng) -> tuple[float, float]:
    """Draw a point well inside one lung, away from lesions that are already there.

    Args:
        chest: the patient.
        side: -1 right, +1 left.
        margin_cm: radius of what goes there.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        x, y on the film, cm.
    """
    step = 8
    air = chest.air[::step, ::step]
    x = np.broadcast_to(chest.grid.x[:, ::step], air.shape)
    y = np.broadcast_to(chest.grid.y[::step], air.shape)
    clear = chest.lung_mask(side, 5.0)[::step, ::step] & (np.abs(x) + 0.7 * margin_cm < chest.grid.x[0, -1])
    rows, columns = np.nonzero(clear) if clear.any() else np.nonzero(chest.lung_mask(side, 1.0)[::step, ::step])
    best, best_gap = (0.0, 0.0), -np.inf
    for _ in range(12):
        pick = int(rng.integers(len(rows)))
        px = float(x[rows[pick], columns[pick]] + rng.uniform(-0.3, 0.3))
        py = float(y[rows[pick], columns[pick]] + rng.uniform(-0.3, 0.3))
        gap = min((gap_cm(chest, other, px, py, margin_cm) for other in taken), default=np.inf)
        if gap > best_gap:
            best, best_gap = (px, py), gap
        if gap > 0:
            break
    return best


def gap_cm(chest: Chest, other: Lesion, x: float, y: float, margin: float) -> float:
    """Distance from a disc to another lesion's box, cm; negative where they meet. Heart and whole lungs don't count."""
    if other.concept in ("cardiomegaly", "emphysema", "diffuse_nodules", "miliary_pattern"):
        return np.inf
    grid, box = chest.grid, other.box
    half = grid.size_px / 2
    dx = max((box.x1 - half) * grid.px_cm - x, x - (box.x2 - half) * grid.px_cm)
    dy = max(box.y1 * grid.px_cm - y, y - box.y2 * grid.px_cm)
    return max(dx, dy) - margin


def _side(rng: Rng) -> int:
    return LEFT if rng.random() < 0.5 else RIGHT


def radius_field(dx: Array, dy: Array, radius: float, shape: str, rng: Rng) -> Array:
    """Distance from the lesion's centre in units of its radius towards that direction; 1 on the outline."""
    stretch = {"round": 1.0, "oval": rng.uniform(1.25, 1.7)}.get(shape, rng.uniform(1.0, 1.35))
    turn = rng.uniform(0, np.pi)
    c, s = float(np.cos(turn)), float(np.sin(turn))
    a, b = radius * stretch**0.5, radius / stretch**0.5
    r = np.sqrt(((dx * c + dy * s) / a) ** 2 + ((dy * c - dx * s) / b) ** 2)
    if shape == "irregular":
        angle = np.arctan2(dy, dx)
        for waves, size in ((2, 0.1), (3, 0.12), (5, 0.08), (9, 0.05)):
            r = r * (1 + rng.uniform(0.4, 1) * size * np.cos(waves * angle + np.float32(rng.uniform(0, 6.28))))
    return np.asarray(r, np.float32)


def profile(r: Array, margin: str, radius: float) -> tuple[Array, NDArray[np.bool_]]:
    """Thickness 0..1 and visible extent of a solid lesion with that margin."""
    if margin == "well-defined":
        edge = np.maximum(0.1 / radius, 0.03)
        thickness = smoothstep((1 - r) / np.float32(edge)) * (0.3 + 0.7 * chord(np.minimum(r, 1)))
        return thickness, r < 1
    thickness = smoothstep((1.25 - r) / 1.1)
    return thickness, r < 1


def _window(chest: Chest, x: float, y: float, radius: float) -> tuple[slice, slice, Array, Array]:
    rows, columns = chest.grid.window(x, y, 1.9 * radius, 1.9 * radius)
    return rows, columns, chest.grid.x[:, columns] - np.float32(x), chest.grid.y[rows] - np.float32(y)


def round_lesion(concept: str, chest: Chest, look: Appearance, taken: list[Lesion], rng: Rng) -> Lesion:
    """Draw a nodule, mass, cavity or calcification.

    Args:
        concept: one of those four.
        chest: the patient.
        look: the words that drive the drawing.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    side = _side(rng)
    median, spread, least, most = _DIAMETER_CM[concept]
    diameter = float(np.clip(median * np.exp(rng.normal(0, spread)), least, most))
    radius = diameter / 2
    x, y = find_place(chest, side, radius, taken, rng)
    peak = rng.uniform(*_ADDED_CM[concept][look.density])
    rows, columns, dx, dy = _window(chest, x, y, radius)
    r = radius_field(dx, dy, radius, look.shape, rng)
    thickness, support = profile(r, look.margin, radius)
    if look.texture == "heterogeneous":
        lumps = smooth_noise(rng, 5, max(r.shape))[: r.shape[0], : r.shape[1]]
        thickness = thickness * np.clip(1 + 0.38 * lumps, 0.25, 1.6)
    if look.texture == "cavitated":
        thickness = hollow(thickness, r, dy, radius, rng)
    support = support | (r == r.min())  # smaller than a pixel of a small film, it is still somewhere
    return Lesion(concept, look, side, rows, columns, np.float32(peak) * thickness, support)


def hollow(thickness: Array, r: Array, dy: Array, radius: float, rng: Rng) -> Array:
    """Take out the middle, leaving a wall and sometimes a fluid level."""
    wall = rng.uniform(0.14, 0.38)
    hole = smoothstep((1 - wall - r) / np.float32(max(0.12 / radius, 0.06)))
    if rng.random() < 0.3:
        hole = hole * smoothstep((rng.uniform(0.0, 0.45) * radius - dy) / 0.12)
    return np.asarray(np.minimum(thickness * 1.5, 1) * (1 - hole) - 0.18 * hole, np.float32)


def fracture(chest: Chest, look: Appearance, taken: list[Lesion], rng: Rng) -> Lesion:
    """Break a posterior rib: a step, a gap, and callus.

    Args:
        chest: the patient.
        look: margin drives the sharpness of the callus, density its amount.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        The lesion; the rib itself is drawn broken with the ribs.
    """
    for _ in range(12):
        side = _side(rng)
        x, y = rib_path(chest.anatomy, side, int(rng.integers(2, 9)), rng.uniform(0.5, 0.92))
        inside = abs(x) < chest.grid.x[0, -1] - 1.5 and y < chest.grid.y[-1, 0] - 1.5
        if inside and all(gap_cm(chest, other, x, y, 1.0) > 0 for other in taken if other.concept == "fracture"):
            break
    callus = rng.uniform(0.9, 1.4) if look.density == "dense" else rng.uniform(0.45, 0.75)
    blur = 0.35 if look.margin == "well-defined" else 1.0
    broken = Break(x, y, rng.uniform(0.4, 0.9), rng.uniform(0.1, 0.25), callus, blur)
    half_x, half_y = rng.uniform(1.0, 1.5), rng.uniform(1.0, 1.4)
    rows, columns = chest.grid.window(x, y, half_x, half_y)
    support = np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)
    return Lesion("fracture", look, side, rows, columns, None, support, broken)


def plate_atelectasis(chest: Chest, look: Appearance, rng: Rng) -> Lesion:
    """Draw one to three parallel plates in the lower lung.

    Args:
        chest: the patient.
        look: shape `band-like`.
        rng: the lesion's stream.

    Returns:
        The lesion; its box holds all the plates.
    """
    side = _side(rng)
    lung = chest.anatomy.lung(side)
    half = float(np.clip(4.4 * np.exp(rng.normal(0, 0.32)), 2.2, 7))
    y = lung.dome_y - rng.uniform(1.0, 8.5)
    row = column(y)
    reach = float(chest.anatomy.lateral_x(side, row)[0, 0])
    start = float(chest.anatomy.medial_x(side, row)[0, 0]) + 0.6
    half = min(half, 0.48 * (reach - start))
    x = float(chest.anatomy.middle_x(row)[0, 0]) + side * rng.uniform(start + half, max(reach - half, start + half))
    slope = rng.uniform(-0.5, 0.5)
    rows, columns = chest.grid.window(x, y, half + 0.5, 0.55 * half + 2.5)
    dx, dy = chest.grid.x[:, columns] - np.float32(x), chest.grid.y[rows] - np.float32(y)
    total = np.zeros((dy.shape[0], dx.shape[1]), np.float32)
    for plate in range(int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))):
        width = rng.uniform(0.22, 0.75)
        away = dy - np.float32(slope + rng.normal(0, 0.1)) * dx - 0.06 * dx * dx / half - plate * rng.uniform(0.9, 1.5)
        edge = 0.3 if look.margin == "well-defined" else 1.0
        ends = smoothstep((half * rng.uniform(0.75, 1) - np.abs(dx)) / np.float32(0.25 * half))
        total = np.maximum(
            total,
            np.float32(rng.uniform(0.7, 1)) * smoothstep((width - np.abs(away)) / np.float32(edge * width)) * ends,
        )
    added = np.float32(rng.uniform(*_ADDED_CM["atelectasis"][look.density])) * total
    added = added * smoothstep(chest.air[rows, columns] / 3)
    return Lesion("atelectasis", look, side, rows, columns, added, added > 0.3 * max(float(added.max()), 1e-3))
