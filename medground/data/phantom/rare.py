"""Rare findings: tuberculosis with a cavity, miliary pattern, free air in the abdomen, metastasis in a rib."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.appearance import Appearance
from medground.data.phantom.chest import LUNG_DENSITY, Chest, Lesion
from medground.data.phantom.chronic import noise_over
from medground.data.phantom.grid import Array, column, smoothstep
from medground.data.phantom.lesions import gap_cm, hollow, radius_field
from medground.data.phantom.skeleton import rib_path
from medground.schema.errors import UsageError

Rng = np.random.Generator


def cavitary_tuberculosis(chest: Chest, look: Appearance, taken: list[Lesion], rng: Rng) -> list[Lesion]:
    """Draw a thick-walled cavity in the upper lung, with infiltrate and small nodules about it.

    Args:
        chest: the patient.
        look: density drives wall and infiltrate.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        The whole, then the cavity and the consolidation that it is made of, which are true of the film as well.
    """
    side = LEFT if rng.random() < 0.5 else RIGHT
    radius = rng.uniform(1.0, 2.3)
    x, y = _upper_place(chest, side, radius, taken, rng)
    grid = chest.grid
    reach = radius * rng.uniform(1.7, 2.5)
    rows, columns = grid.window(x, y, 1.5 * reach, 1.5 * reach)
    dx, dy = grid.x[:, columns] - np.float32(x), grid.y[rows] - np.float32(y)
    air = chest.air[rows, columns]
    in_lung = smoothstep(air / 3) * ((chest.from_middle()[rows, columns] > 0) == (side == LEFT))
    r = radius_field(dx, dy, radius, "irregular", rng)
    ball = smoothstep((1 - r) / np.float32(0.2 / radius))
    wall = np.float32({"faint": 1.0, "moderate": 1.5, "dense": 2.2}[look.density] * rng.uniform(0.85, 1.15))
    ring = wall * hollow(ball, r, dy, radius, rng) * in_lung
    far = np.sqrt(dx * dx + (0.85 * dy) ** 2) / np.float32(reach)
    far = far * (1 + 0.22 * noise_over(rng, 1.8, grid.px_cm, far.shape))
    patches = np.clip(0.8 + 0.4 * noise_over(rng, 0.9, grid.px_cm, far.shape), 0.1, 1.4)
    share = {"faint": 0.16, "moderate": 0.26, "dense": 0.38}[look.density] * (1 - float(LUNG_DENSITY))
    haze = np.float32(share) * smoothstep((1.1 - far) / 0.6) * patches * air * in_lung * smoothstep((r - 0.7) / 0.3)
    added = ring + haze + _satellites(dx, dy, reach, wall, rng) * in_lung
    seen = np.abs(added) > 0.25 * float(np.percentile(np.abs(added), 98))
    whole = Lesion("cavitary_tuberculosis", look, side, rows, columns, added.astype(np.float32), seen)
    hole = replace(whole, concept="cavity", added=None, support=(r < 1) & (in_lung > 0))
    filled = haze > 0.3 * float(np.percentile(haze, 98))
    look_filled = Appearance("irregular", "ill-defined", look.density, "heterogeneous")
    return [whole, hole, replace(whole, concept="consolidation", look=look_filled, added=None, support=filled)]


def _upper_place(chest: Chest, side: int, radius: float, taken: list[Lesion], rng: Rng) -> tuple[float, float]:
    """A point in the upper third of one lung, away from what is there already if a few tries allow."""
    anatomy, lung = chest.anatomy, chest.anatomy.lung(side)
    x = y = 0.0
    for _ in range(12):
        y = rng.uniform(lung.apex_y + 2.0 + 0.5 * radius, lung.apex_y + 0.3 * (lung.dome_y - lung.apex_y) + 0.5)
        row = column(y)
        inner, outer = float(anatomy.medial_x(side, row)[0, 0]), float(anatomy.lateral_x(side, row)[0, 0])
        place = rng.uniform(min(inner + radius, outer - 1), max(outer - 0.8 * radius, inner + 1))
        x = float(anatomy.middle_x(row)[0, 0]) + side * place
        if all(gap_cm(chest, other, x, y, 1.5 * radius) > 0 for other in taken):
            break
    return x, y


def _satellites(dx: Array, dy: Array, reach: float, wall: np.float32, rng: Rng) -> Array:
    """A few small nodules about the cavity."""
    total = np.zeros((dy.shape[0], dx.shape[1]), np.float32)
    for _ in range(int(rng.integers(3, 9))):
        turn, away, radius = rng.uniform(0, 2 * np.pi), reach * rng.uniform(0.6, 1.1), rng.uniform(0.18, 0.4)
        px, py = np.float32(away * np.cos(turn)), np.float32(away * np.sin(turn))
        r = np.sqrt((dx - px) ** 2 + (dy - py) ** 2) / np.float32(radius)
        total += np.float32(0.5) * wall * smoothstep((1.2 - r) / 0.7)
    return total


def miliary_pattern(chest: Chest, look: Appearance, rng: Rng) -> Lesion:
    """Sow thousands of nodules of one to three millimetres evenly over both lungs.

    Args:
        chest: the patient.
        look: margin drives their sharpness, density their weight.
        rng: the lesion's stream.

    Returns:
        The lesion; its box holds both lungs.
    """
    grid = chest.grid
    side_cm = grid.size_px * grid.px_cm
    seeds = np.zeros_like(chest.air)
    count = int(rng.uniform(3.0, 6.0) * side_cm * side_cm)
    place = (rng.random((2, count)) * grid.size_px).astype(np.intp)
    np.add.at(seeds, (place[0], place[1]), rng.uniform(0.5, 1.3, count).astype(np.float32))
    sigma = (0.055 if look.margin == "well-defined" else 0.085) / grid.px_cm
    spots = ndimage.gaussian_filter(seeds, max(sigma, 0.4), truncate=2.5)
    # A film coarser than the nodules shows them fainter, as it would.
    spots *= np.float32(2 * np.pi * sigma * sigma)
    peak = rng.uniform(0.9, 1.1) * {"faint": 0.7, "moderate": 1.1, "dense": 1.6}[look.density]
    spots *= np.float32(peak)
    spots *= smoothstep(chest.air / 3)
    everywhere = slice(0, grid.size_px), slice(0, grid.size_px)
    return Lesion("miliary_pattern", look, 0, *everywhere, spots, chest.air > 1.5)


def pneumoperitoneum(chest: Chest, look: Appearance, side: int, rng: Rng) -> Lesion:
    """Put a crescent of free air between one dome of the diaphragm and what lies below it.

    Args:
        chest: the patient.
        look: fixed for this finding.
        side: -1 right, +1 left.
        rng: the lesion's stream.

    Returns:
        The lesion.

    Raises:
        UsageError: if that dome lies below the film.
    """
    anatomy, lung, grid = chest.anatomy, chest.anatomy.lung(side), chest.grid
    height = float(np.clip(1.1 * np.exp(rng.normal(0, 0.5)), max(0.45, 2 * grid.px_cm), 3.0))
    half, centre = rng.uniform(3.2, 5.6), lung.dome_x + rng.uniform(-0.6, 0.6)
    half = min(half, centre + 0.5, lung.half_width - centre)
    dome = anatomy.dome_y(side, np.abs(grid.x - anatomy.middle_x(column(lung.dome_y))))
    away = side * (grid.x - anatomy.middle_x(column(lung.dome_y)))
    thick = np.float32(height) * np.sqrt(np.maximum(1 - ((away - np.float32(centre)) / np.float32(half)) ** 2, 0))
    top = dome + np.float32(rng.uniform(0.2, 0.32))  # the diaphragm itself
    middle = float(anatomy.middle_x(column(lung.dome_y))[0, 0]) + side * centre
    rows, columns = grid.window(middle, lung.dome_y + 0.5 * height + 1.5, half + 0.3, 0.5 * height + 2.5)
    top, thick, y = top[:, columns], thick[:, columns], grid.y[rows]
    gas = smoothstep((y - top) / 0.1) * smoothstep((top + thick - y) / np.minimum(np.maximum(thick, 0.05), 0.25))
    depth = rng.uniform(4.0, 8.0) * min(1.0, 0.5 + 0.4 * height)
    added = -np.float32(depth) * gas * np.sqrt(thick / np.float32(height))
    if float(-added.min()) < 0.5 * depth:
        raise UsageError("this patient's diaphragm lies below the film: ask for pneumoperitoneum on another seed")
    return Lesion("pneumoperitoneum", look, side, rows, columns, added.astype(np.float32), -added > 0.3 * depth)


def rib_metastasis(chest: Chest, look: Appearance, taken: list[Lesion], rng: Rng) -> Lesion:
    """Widen a piece of a posterior rib, and eat it away or harden it.

    Args:
        chest: the patient.
        look: density `lucent` is lytic with a thin shell, `dense` is sclerotic.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    grid, anatomy = chest.grid, chest.anatomy
    side, x, y, rib, t = _rib_place(chest, taken, rng)
    before, after = rib_path(anatomy, side, rib, t - 0.05), rib_path(anatomy, side, rib, t + 0.05)
    turn = np.arctan2(after[1] - before[1], after[0] - before[0])
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    long, wide = rng.uniform(1.2, 2.4), rng.uniform(0.75, 1.15)
    rows, columns = grid.window(x, y, 1.35 * long, 1.35 * long)
    dx, dy = grid.x[:, columns] - np.float32(x), grid.y[rows] - np.float32(y)
    r = np.sqrt(((dx * c + dy * s) / np.float32(long)) ** 2 + ((dy * c - dx * s) / np.float32(wide)) ** 2)
    if look.shape == "irregular":
        r = r * (1 + 0.12 * noise_over(rng, 0.9, grid.px_cm, r.shape))
    body = smoothstep((1 - r) / np.float32(0.25 if look.margin == "well-defined" else 0.6) + np.float32(0.2))
    lumps = noise_over(rng, 0.45, grid.px_cm, r.shape)
    if look.density == "lucent":
        eaten = np.clip(0.85 + 0.25 * lumps, 0.2, 1) * body
        shell = np.exp(-(((r - 0.97) / np.float32(0.14)) ** 2))
        added: Array = np.float32(rng.uniform(0.6, 1.0)) * shell
        added -= eaten * (chest.ribs[rows, columns] + np.float32(0.6))
    else:
        added = np.float32(rng.uniform(1.6, 3.0)) * body * np.clip(0.85 + 0.3 * lumps, 0.3, 1.4)
    support = (r < 1) | (r == r.min())
    return Lesion("rib_metastasis", look, side, rows, columns, np.asarray(added, np.float32), support)


def _rib_place(chest: Chest, taken: list[Lesion], rng: Rng) -> tuple[int, float, float, int, float]:
    """Side, x, y, rib and place along it: over lung that shows it, clear of other lesions if a few tries allow."""
    grid = chest.grid
    side, x, y, rib, t = LEFT, 0.0, 0.0, 4, 0.7
    for _ in range(20):
        side = LEFT if rng.random() < 0.5 else RIGHT
        rib, t = int(rng.integers(1, 9)), rng.uniform(0.5, 0.9)
        x, y = rib_path(chest.anatomy, side, rib, t)
        rows, columns = grid.window(x, y, 0.5 * grid.px_cm, 0.5 * grid.px_cm)
        over_lung = float(chest.air[rows, columns].mean()) > 5
        if over_lung and all(gap_cm(chest, other, x, y, 1.5) > 0 for other in taken):
            break
    return side, x, y, rib, t
