"""Pulmonary vessels: branching trees from the hila, drawn as tapering lines, and the airways."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from medground.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from medground.data.phantom.grid import Array, Grid, chord, column, resized, smooth_noise, smoothstep

_GENERATIONS = 7


def _tree(anatomy: Anatomy, side: int, rng: np.random.Generator) -> Array:
    """One lung's segments as rows of x1, y1, x2, y2, diameter, depth weight; cm."""
    lung = anatomy.lung(side)
    hilum_y = anatomy.knob_y + (4.2 if side == LEFT else 5.2) + rng.uniform(-0.5, 0.5)
    middle = float(anatomy.middle_x(column(hilum_y))[0, 0])
    angle = np.deg2rad(np.array([-75, -45, -15, 15, 40, 58, 72, 86], np.float32)) + rng.normal(0, 0.13, 8).astype(
        np.float32
    )
    count = len(angle)
    x = middle + side * (lung.medial + 0.9 + rng.uniform(0, 0.8, count).astype(np.float32))
    y = hilum_y + 1.6 * np.sin(angle) + rng.uniform(-0.5, 0.5, count).astype(np.float32)
    width = rng.uniform(0.45, 1.0, count).astype(np.float32)
    pieces = []
    for generation in range(_GENERATIONS):
        length = (3.1 * 0.86**generation) * rng.uniform(0.55, 1.2, len(x)).astype(np.float32)
        for _ in range(2):
            angle = angle + rng.normal(0, 0.1, len(x)).astype(np.float32)
            x2, y2 = x + side * 0.5 * length * np.cos(angle), y + 0.5 * length * np.sin(angle)
            pieces.append(np.stack([x, y, x2, y2, width], axis=1))
            x, y = x2, y2
        spread = rng.uniform(0.15, 0.55, len(x)).astype(np.float32)
        share = rng.uniform(0.62, 0.86, len(x)).astype(np.float32)
        x, y = np.repeat(x, 2), np.repeat(y, 2)
        angle = np.stack([angle - spread, angle + 0.7 * spread], axis=1).ravel()
        width = np.stack([width * share, width * (1.35 - share) * 0.95], axis=1).ravel()
        keep = (width > 0.06) & (np.abs(x - middle) < lung.half_width) & (y > lung.apex_y) & (y < lung.dome_y + 4)
        x, y, angle, width = x[keep], y[keep], angle[keep], width[keep]
    return np.concatenate(pieces).astype(np.float32)


def vessels(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Array:
    """Vessel diameter along the ray, cm, both lungs.

    Args:
        anatomy: the patient.
        grid: film at full resolution.
        rng: stream for the trees.

    Returns:
        (rows, columns), cm; also outside the lungs, where it is to be masked.
    """
    fine = 2
    pieces = np.concatenate([_tree(anatomy, side, rng) for side in (RIGHT, LEFT)])
    pieces = pieces[np.argsort(pieces[:, 4], kind="stable")]
    scale = fine / grid.px_cm
    ends = pieces[:, :4] * scale
    ends[:, 0::2] += fine * grid.size_px / 2
    picture = Image.new("L", (fine * grid.size_px, fine * grid.size_px))
    pen = ImageDraw.Draw(picture)
    thick = np.maximum(np.round(pieces[:, 4] * scale * 0.8), 1).astype(int)
    value = np.minimum(pieces[:, 4] * 200 + 8, 255).astype(int)
    for end, width, grey in zip(ends.tolist(), thick.tolist(), value.tolist(), strict=True):
        pen.line(end, fill=grey, width=width)
    small = np.asarray(picture.reduce(fine), dtype=np.float32) / 200
    tree = ndimage.gaussian_filter(small, 0.035 / grid.px_cm, truncate=2.5)
    return np.asarray(tree + resized(_hila(anatomy, grid.coarser(4), rng), grid.size_px), np.float32)


def _hila(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Array:
    """Large vessels seen end on and the haze about them."""
    total = np.zeros((grid.size_px, grid.size_px), np.float32)
    for side in (RIGHT, LEFT):
        y = anatomy.knob_y + (4.6 if side == LEFT else 5.6)
        x = float(anatomy.middle_x(column(y))[0, 0]) + side * (anatomy.lung(side).medial + 1.2)
        r2 = ((grid.x - np.float32(x)) / 3.2) ** 2 + ((grid.y - np.float32(y)) / 4.2) ** 2
        total += np.float32(rng.uniform(0.5, 1.4)) * np.exp(-r2)
        for _ in range(4):
            cx, cy, r = x + rng.normal(0, 0.7), y + rng.normal(0, 1.6), rng.uniform(0.5, 1.1)
            ball = chord(np.sqrt((grid.x - np.float32(cx)) ** 2 + (grid.y - np.float32(cy)) ** 2) / np.float32(r))
            total += np.float32(rng.uniform(0.3, 1.0)) * ball
    return total


def texture(grid: Grid, rng: np.random.Generator) -> Array:
    """Structure too fine to be drawn, zero mean and about unit variance, coarse parts stronger than fine ones."""
    total = np.zeros((grid.size_px, grid.size_px), np.float32)
    for cells, weight in ((20, 0.5), (50, 0.45), (110, 0.6), (230, 0.75)):
        total += np.float32(weight) * smooth_noise(rng, cells, grid.size_px)
    return total


def airways(anatomy: Anatomy, grid: Grid) -> tuple[slice, slice, Array]:
    """Air in trachea and main bronchi, cm, with the rows and columns that hold it."""
    carina = anatomy.knob_y + 2.6
    reach = 5.2 + float(np.abs(anatomy.middle_x(grid.y)).max())
    rows, columns = grid.window(0, 0, reach, carina + 3.3)
    y = grid.y[rows]
    x = grid.x[:, columns] - anatomy.middle_x(y)
    trachea = 1.5 * chord((x + 0.25 * smoothstep((y - carina + 8) / 8)) / 0.85) * smoothstep((carina + 0.4 - y) / 0.6)
    below = y - carina
    right = chord((x + 0.55 + 0.75 * below) / 0.75) * smoothstep((3.2 - below) / 1.2)
    left = chord((x - 0.4 - 1.15 * below) / 0.85) * smoothstep((3.2 - below) / 1.2)
    air = trachea + 1.1 * np.maximum(right, left) * smoothstep((below + 0.3) / 0.5)
    return rows, columns, np.asarray(air, np.float32)
