"""Findings as large as a part of the lung: consolidation, wedge atelectasis, fluid, free air, and whole-lung change."""

from __future__ import annotations

from typing import Final

import numpy as np

from medground.data.phantom.anatomy import LEFT, RIGHT
from medground.data.phantom.appearance import Appearance
from medground.data.phantom.chest import LUNG_DENSITY, Chest, Lesion
from medground.data.phantom.grid import Array, resized, smooth_noise, smoothstep
from medground.data.phantom.lesions import find_place

Rng = np.random.Generator

# Share of the lung's air that is replaced.
_FILLED: Final = {"faint": (0.16, 0.26), "moderate": (0.33, 0.5), "dense": (0.6, 0.85)}


def _whole(chest: Chest) -> tuple[slice, slice]:
    return slice(0, chest.grid.size_px), slice(0, chest.grid.size_px)


def _side(rng: Rng) -> int:
    return LEFT if rng.random() < 0.5 else RIGHT


def _finish(concept: str, look: Appearance, side: int, chest: Chest, added: Array, level: float) -> Lesion:
    """Cut a lesion drawn on the whole film out of it; visible is what exceeds `level` of its strongest part."""
    size = np.abs(added)
    peak = float(np.percentile(size[size > 0], 98)) if (size > 0).any() else 1e-3
    support = size > level * peak
    rows, columns = _whole(chest)
    return Lesion(concept, look, side, rows, columns, added.astype(np.float32), support)


def consolidation(chest: Chest, look: Appearance, taken: list[Lesion], rng: Rng) -> Lesion:
    """Fill part of a lung, patchy or up to a fissure.

    Args:
        chest: the patient.
        look: shape, density and texture drive the drawing.
        taken: lesions so far.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    side = _side(rng)
    half_x = float(np.clip(4.8 * np.exp(rng.normal(0, 0.35)), 2, 8))
    half_y = float(np.clip(8.0 * np.exp(rng.normal(0, 0.5)), 2.2, 15))
    x, y = find_place(chest, side, 0.5 * min(half_x, half_y), taken, rng)
    coarse = chest.grid.coarser(4)
    dx, dy = coarse.x - np.float32(x), coarse.y - np.float32(y)
    r = np.sqrt((dx / half_x) ** 2 + (dy / half_y) ** 2)
    r = r * (1 + 0.2 * smooth_noise(rng, 9, coarse.size_px))
    mask = smoothstep((1.15 - r) / 0.65)
    if look.texture == "heterogeneous":
        patches = smooth_noise(rng, 18, coarse.size_px) + 0.9 * smooth_noise(rng, 40, coarse.size_px)
        mask = mask * np.clip(0.8 + 0.32 * patches, 0.1, 1.35)
    if look.shape == "wedge-shaped":
        fissure = (
            dy * (1 if y < chest.anatomy.lung(side).dome_y - 9 else -1) - np.float32(rng.uniform(-0.15, 0.15)) * dx
        )
        mask = mask * smoothstep((0.45 * half_y - fissure) / 0.4)
    full = resized(mask.astype(np.float32), chest.grid.size_px)
    inside = (chest.from_middle() > 0) == (side == LEFT)
    filled = np.float32(rng.uniform(*_FILLED[look.density]) * (1 - LUNG_DENSITY))
    added = filled * full * chest.air * inside
    added -= np.float32(0.6) * full * inside * chest.markings
    return _finish("consolidation", look, side, chest, added, 0.3)


def wedge_atelectasis(chest: Chest, look: Appearance, rng: Rng) -> Lesion:
    """Collapse of a lower lobe: a wedge at the inner base.

    Args:
        chest: the patient.
        look: shape `wedge-shaped`.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    side = _side(rng)
    lung = chest.anatomy.lung(side)
    away = chest.from_middle() * side
    top = lung.dome_y - rng.uniform(3.5, 9)
    edge = lung.medial + 0.5 + rng.uniform(0.45, 1.0) * (chest.grid.y - np.float32(top))
    sharp = 0.5 if look.margin == "well-defined" else 1.8
    mask = (
        smoothstep((edge - away) / np.float32(sharp)) * smoothstep((chest.grid.y - np.float32(top)) / 1.5) * (away > 0)
    )
    low, high = _FILLED[look.density]
    added = np.float32(rng.uniform(low, high) * (1 - LUNG_DENSITY)) * mask * np.maximum(chest.air, 0)
    return _finish("atelectasis", look, side, chest, added, 0.25)


def pleural_effusion(chest: Chest, look: Appearance, side: int, rng: Rng) -> Lesion:
    """Fluid that rises from the costophrenic angle with a meniscus along the chest wall.

    Args:
        chest: the patient.
        look: margin drives the upper edge, density how much air is displaced.
        side: -1 right, +1 left.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    lung = chest.anatomy.lung(side)
    height = float(np.clip(12 * np.exp(rng.normal(0, 0.45)), 5, 23))
    away = chest.from_middle() * side
    t = np.clip(away / np.float32(lung.half_width), 0, 1.05)
    bottom = lung.dome_y + lung.dome_drop + 0.8
    level = bottom - height * (0.6 + 0.12 * t**2 + 0.28 * t**8)
    soft = rng.uniform(0.5, 1.2) if look.margin == "well-defined" else rng.uniform(2, 5)
    mask = smoothstep((chest.grid.y - level) / np.float32(min(soft, 0.35 * height))) * (away > 0)
    share = rng.uniform(0.45, 0.65) if look.density == "moderate" else rng.uniform(0.8, 1.0)
    added = np.float32(share * (1 - LUNG_DENSITY)) * mask * chest.air - np.float32(0.8) * mask * chest.markings
    return _finish("pleural_effusion", look, side, chest, added, 0.28)


def pneumothorax(chest: Chest, look: Appearance, side: int, rng: Rng) -> Lesion:
    """Air without markings between the chest wall and a thin pleural line.

    Args:
        chest: the patient.
        look: fixed for this finding.
        side: -1 right, +1 left.
        rng: the lesion's stream.

    Returns:
        The lesion.
    """
    anatomy, lung, y = chest.anatomy, chest.anatomy.lung(side), chest.grid.y
    extent = float(np.clip(5.5 * np.exp(rng.normal(0, 0.6)), 2.2, 19))
    gap, drop = rng.uniform(0.8, 1.6) + 0.13 * extent, rng.uniform(0.25, 0.45) * min(extent, 9)
    fade = smoothstep((lung.apex_y + extent - y) / (0.75 * extent))
    pleura = anatomy.lateral_x(side, y - np.float32(drop) * fade) - np.float32(gap) * fade
    away = chest.from_middle() * side
    in_lung = smoothstep(chest.air / 0.8) * (away > 0)
    outside = smoothstep((away - pleura) / 0.08) * (fade > 0) * in_lung
    line = np.exp(-(((away - pleura) / np.float32(rng.uniform(0.06, 0.1))) ** 2)) * smoothstep(fade / 0.2) * in_lung
    added = -outside * (chest.markings + LUNG_DENSITY * chest.air) + np.float32(rng.uniform(0.3, 0.7)) * line
    lesion = _finish("pneumothorax", look, side, chest, added, 0.1)
    lesion.support[:] = (outside > 0.5) & (away > pleura) & (chest.air > 0.5)
    return lesion


def diffuse_nodules(chest: Chest, look: Appearance, side: int, rng: Rng) -> Lesion:
    """Scatter many small nodules over one lung.

    Args:
        chest: the patient.
        look: margin drives their sharpness, density their weight.
        side: -1 right, +1 left.
        rng: the lesion's stream.

    Returns:
        The lesion; its box is the affected part of the lung.
    """
    lung = chest.lung_mask(side, 2.0)
    rows, columns = np.nonzero(lung)
    count = int(rng.integers(90, 380))
    pick = rng.integers(len(rows), size=count)
    peak = {"faint": 0.45, "moderate": 0.8, "dense": 1.3}[look.density]
    added = np.zeros_like(chest.air)
    soft = 0.35 if look.margin == "well-defined" else 0.9
    typical = rng.uniform(0.16, 0.34)
    for row, column in zip(rows[pick].tolist(), columns[pick].tolist(), strict=True):
        radius = typical * rng.uniform(0.7, 1.5)
        reach = int(1.4 * radius / chest.grid.px_cm) + 1
        box = slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)
        dy = (np.arange(box[0].start, min(box[0].stop, len(added)), dtype=np.float32) - row)[:, None]
        dx = (np.arange(box[1].start, min(box[1].stop, len(added)), dtype=np.float32) - column)[None, :]
        r = np.sqrt(dx * dx + dy * dy) * np.float32(chest.grid.px_cm / radius)
        added[box] += np.float32(peak * rng.uniform(0.6, 1.3)) * smoothstep((1.2 - r) / soft)
    added *= smoothstep(chest.air / 3)
    lesion = _finish("diffuse_nodules", look, side, chest, added, 0.25)
    lesion.support[:] = lesion.support & (chest.air > 1)
    return lesion


def emphysema(chest: Chest, look: Appearance, side: int, rng: Rng) -> Lesion:
    """Mark a hyperinflated lung (the anatomy is already blown up) and add bullae where the texture asks for them.

    Args:
        chest: the patient, hyperinflated on that side.
        look: texture `heterogeneous` adds bullae.
        side: -1 right, +1 left.
        rng: the lesion's stream.

    Returns:
        The lesion; its box is the lung.
    """
    added = np.zeros_like(chest.air)
    if look.texture == "heterogeneous":
        for _ in range(int(rng.integers(2, 6))):
            radius = rng.uniform(0.8, 2.6)
            x, y = find_place(chest, side, radius, [], rng)
            r = np.sqrt((chest.grid.x - np.float32(x)) ** 2 + (chest.grid.y - np.float32(y)) ** 2) / np.float32(radius)
            rim = np.exp(-(((r - 1) / np.float32(0.09 / radius + 0.03)) ** 2))
            added += np.float32(0.3) * rim - smoothstep((1 - r) / 0.2) * (0.5 * chest.markings + np.float32(0.35))
        added *= smoothstep(chest.air / 3)
    rows, columns = _whole(chest)
    return Lesion("emphysema", look, side, rows, columns, added.astype(np.float32), chest.lung_mask(side, 2.0))


def cardiomegaly(chest: Chest, look: Appearance) -> Lesion:
    """Mark an enlarged heart (the anatomy already has it).

    Args:
        chest: the patient.
        look: fixed for this finding.

    Returns:
        The lesion; its box is the heart above the diaphragm.
    """
    floor = max(chest.anatomy.left.dome_y, chest.anatomy.right.dome_y) + 1.5
    rows, columns = _whole(chest)
    return Lesion("cardiomegaly", look, 0, rows, columns, None, (chest.heart > 0) & (chest.grid.y < floor))
