"""What lies on a film besides the patient: leads, tubes, ports, letters, arrows, masks and collimator edges."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medground.data.phantom.anatomy import LEFT, Anatomy
from medground.data.phantom.grid import Array, Grid, column, smoothstep

Rng = np.random.Generator
Point = tuple[float, float]
_FINE = 2


def _pixel(grid: Grid, x: float, y: float) -> Point:
    return _FINE * (x / grid.px_cm + grid.size_px / 2), _FINE * y / grid.px_cm


def _curve(pen: ImageDraw.ImageDraw, grid: Grid, points: list[Point], width_cm: float, grey: int) -> None:
    """Draw a smooth line along control points (their corners cut twice, Chaikin)."""
    ends = np.array(points, np.float32)
    for _ in range(2):
        near, far = 0.75 * ends[:-1] + 0.25 * ends[1:], 0.25 * ends[:-1] + 0.75 * ends[1:]
        cut = np.stack([near, far], axis=1).reshape(-1, 2)
        ends = np.concatenate([ends[:1], cut, ends[-1:]])
    pixels = [_pixel(grid, float(x), float(y)) for x, y in ends]
    pen.line(pixels, fill=grey, width=max(1, round(_FINE * width_cm / grid.px_cm)), joint="curve")


def devices(anatomy: Anatomy, grid: Grid, rng: Rng) -> tuple[Array | None, tuple[str, ...]]:
    """Leads and tubes over the patient, or None on half of the films.

    Args:
        anatomy: the patient.
        grid: the film.
        rng: the clutter's stream.

    Returns:
        added: (rows, columns), water-equivalent cm; None where there are none.
        names: what there is.
    """
    if rng.random() < 0.5:
        return None, ()
    names: list[str] = []
    picture = Image.new("L", (_FINE * grid.size_px, _FINE * grid.size_px))
    pen = ImageDraw.Draw(picture)
    middle = float(anatomy.middle_x(column(anatomy.right.apex_y + 8))[0, 0])
    if rng.random() < 0.6:
        _leads(pen, anatomy, grid, rng)
        names.append("leads")
    names += _tubes(pen, anatomy, middle, grid, rng)
    if rng.random() < 0.4:
        names.append(_central_line(pen, anatomy, middle, grid, rng))
    if rng.random() < 0.15:
        _sternal_wires(pen, anatomy, middle, grid, rng)
        names.append("sternal wires")
    return np.asarray(picture.reduce(_FINE), np.float32) * np.float32(0.016), tuple(names)


def _leads(pen: ImageDraw.ImageDraw, anatomy: Anatomy, grid: Grid, rng: Rng) -> None:
    """Electrodes on the skin, some hollow, with their wires."""
    u = rng.uniform
    for _ in range(int(rng.integers(1, 5))):
        x, y = u(-13, 13), u(anatomy.right.apex_y, anatomy.right.dome_y + 4)
        way = [(x, y), (x + u(-5, 5), y + u(-6, 6)), (x + u(-9, 9), y + u(-8, 12)), (u(-20, 20), u(0, 42))]
        _curve(pen, grid, way, 0.13, int(u(40, 110)))
        cx, cy = _pixel(grid, x, y)
        r = _FINE * u(0.25, 0.6) / grid.px_cm
        pen.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(u(60, 190)))
        if rng.random() < 0.4:
            pen.ellipse([cx - r / 2, cy - r / 2, cx + r / 2, cy + r / 2], fill=20)


def _tubes(pen: ImageDraw.ImageDraw, anatomy: Anatomy, middle: float, grid: Grid, rng: Rng) -> list[str]:
    """A tube in the trachea, a tube to the stomach; gives their names."""
    names = []
    u, top, floor = rng.uniform, anatomy.right.apex_y, anatomy.right.dome_y
    if rng.random() < 0.3:
        way = [(middle + 0.2, 0.0), (middle, top + 2), (middle - 0.2, anatomy.knob_y + u(-1, 1.5))]
        _curve(pen, grid, way, 0.35, 60)
        names.append("endotracheal tube")
    if rng.random() < 0.2:
        way = [(middle, 0.0), (middle + 0.4, top + 9), (middle + 0.8, floor), (middle + u(3, 6), floor + 5)]
        _curve(pen, grid, way, 0.25, int(u(60, 130)))
        names.append("nasogastric tube")
    return names


def _central_line(pen: ImageDraw.ImageDraw, anatomy: Anatomy, middle: float, grid: Grid, rng: Rng) -> str:
    """A catheter by the subclavian vein to the vena cava, sometimes with its port; gives its name."""
    u, top, floor = rng.uniform, anatomy.right.apex_y, anatomy.right.dome_y
    side = -1 if rng.random() < 0.7 else 1
    way: list[Point] = [(side * 20.0, top + u(2, 6)), (side * 9, top + u(-1, 2))]
    way += [(middle - 1.8, top + 5), (middle - 2.2, floor - 11)]
    _curve(pen, grid, way, 0.2, int(u(60, 140)))
    if rng.random() < 0.4:
        cx, cy = _pixel(grid, side * u(7, 10), top + u(3, 7))
        r = _FINE * u(0.9, 1.4) / grid.px_cm
        pen.ellipse([cx - r, cy - r, cx + r, cy + r], outline=200, width=max(2, int(r / 4)))
        return "central venous catheter with port"
    return "central venous catheter"


def _sternal_wires(pen: ImageDraw.ImageDraw, anatomy: Anatomy, middle: float, grid: Grid, rng: Rng) -> None:
    """Wire loops down the breastbone."""
    for step in range(int(rng.integers(4, 7))):
        cx, cy = _pixel(grid, middle + rng.uniform(-0.3, 0.3), anatomy.knob_y - 2 + 2.7 * step)
        r = _FINE * 0.55 / grid.px_cm
        pen.arc([cx - r, cy - r / 2, cx + r, cy + r / 2], 20, 350, fill=230, width=max(1, round(r / 3)))


def annotate(shown: Array, grid: Grid, rng: Rng) -> tuple[Array, dict[str, str]]:
    """Burn in side letters and words, paint some out, and close the collimator, after exposure.

    Args:
        shown: display intensity, 0..1.
        grid: the film.
        rng: the clutter's stream.

    Returns:
        shown: the same film with them.
        attributes: side letter, burned-in words and collimation.
    """
    size = grid.size_px
    letter = said = "none"
    picture = Image.new("L", (size, size))
    pen = ImageDraw.Draw(picture)
    if rng.random() < 0.8:
        side = LEFT if rng.random() < 0.75 else -LEFT
        x = size * (0.5 + side * rng.uniform(0.32, 0.46))
        y = size * rng.uniform(0.02, 0.2)
        font = ImageFont.load_default(size=size * rng.uniform(0.025, 0.05))
        letter = "L" if side == LEFT else "R"
        pen.text((x, y), letter, fill=255, font=font, anchor="mm", stroke_width=int(rng.integers(0, 2)))
    if rng.random() < 0.25:
        font = ImageFont.load_default(size=size * rng.uniform(0.018, 0.026))
        x, y = size * rng.uniform(0.1, 0.9), size * rng.uniform(0.03, 0.2)
        words = ("PORTABLE", "AP", "ERECT", "SUPINE", "SEMI-ERECT")
        said = str(rng.choice(words))
        pen.text((x, y), said, fill=255, font=font, anchor="mm")
    ink = np.asarray(picture, np.float32) * np.float32(rng.uniform(0.85, 1) / 255)
    shown = shown * (1 - ink) + ink
    masked = rng.random() < 0.3
    if masked:
        x, y = int(size * rng.uniform(0.03, 0.9)), int(size * rng.uniform(0, 0.15))
        w, h = int(size * rng.uniform(0.04, 0.1)), int(size * rng.uniform(0.03, 0.08))
        shown[y : y + h, x : x + w] = 0
    shown, edges = _collimate(shown, grid, rng)
    # A mask may lie over the letter or the words.
    seen = {"side_letter": letter, "words": said, "masked_corner": "yes" if masked else "no"}
    return shown, {**seen, "collimated_edges": str(edges)}


def _collimate(shown: Array, grid: Grid, rng: Rng) -> tuple[Array, int]:
    """Close some edges of the field, and say how many."""
    if rng.random() < 0.55:
        return shown, 0
    closed = 0
    tone = np.float32(0.0 if rng.random() < 0.7 else rng.uniform(0.85, 1))
    slant = np.float32(rng.normal(0, 0.012))
    x, y = grid.x, grid.y
    half = grid.px_cm * grid.size_px / 2
    edges = (x + half + slant * y, half - x - slant * y, y + slant * x, 2 * half - y - slant * x)
    open_ = np.ones_like(shown)
    for edge in edges:
        if rng.random() < 0.4:
            closed += 1
            open_ = open_ * smoothstep((edge - np.float32(rng.uniform(0.1, 1.1))) / np.float32(rng.uniform(0.06, 0.3)))
    return np.asarray(shown * open_ + tone * (1 - open_), np.float32), closed
