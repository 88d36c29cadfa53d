"""The shapes of one imaginary patient on a frontal film, in centimetres.

x is 0 at the middle of the film and grows to the picture's right, which is the patient's left; y is 0 at the top.
`side` is -1 for the patient's right lung (picture's left) and +1 for the left. Edges are curves over rows or over
columns, so that an edge costs one vector and not one picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from medground.data.phantom.grid import Array, smoothstep

RIGHT: Final = -1
LEFT: Final = 1


@dataclass(frozen=True)
class LungShape:
    """One lung: apex and dome heights, lateral extent, and how far the dome sinks to the costophrenic angle, cm."""

    apex_y: float
    apex_x: float
    half_width: float
    dome_y: float
    dome_x: float
    dome_drop: float
    depth: float
    medial: float


@dataclass(frozen=True)
class Heart:
    """Two ellipsoids: the left ventricle's body, tilted, and the right atrium. Lengths in cm, angle in radians."""

    x: float
    y: float
    long: float
    short: float
    tilt: float
    atrium_x: float
    atrium_y: float
    atrium_a: float
    atrium_b: float


@dataclass(frozen=True)
class Anatomy:
    """Everything that a patient is before anything is wrong with them."""

    lean: float
    bend: float
    bend_phase: float
    right: LungShape
    left: LungShape
    heart: Heart
    wall: float
    thickness: float
    shoulder_y: float
    arm_x: float
    arm_slant: float
    breast: float
    breast_x: float
    breast_y: float
    breast_r: float
    rib_first_y: float
    rib_gap: float
    rib_rise: float
    rib_fall: float
    knob_x: float
    knob_y: float
    clavicle_y: float
    clavicle_rise: float
    bubble: float
    markings: float

    def lung(self, side: int) -> LungShape:
        """The lung of that side."""
        return self.left if side == LEFT else self.right

    def middle_x(self, y: Array) -> Array:
        """Where the midline is in each row: the patient leans and the spine bends a little."""
        return np.float32(self.lean) * (y - 18) + np.float32(self.bend) * np.sin(y / 9 + np.float32(self.bend_phase))

    def lateral_x(self, side: int, y: Array) -> Array:
        """Distance of the lung's outer edge from the midline in each row, 0 above the apex."""
        lung = self.lung(side)
        height = lung.dome_y - lung.apex_y
        along = np.clip((y - lung.apex_y) / (0.85 * height), 0, 1)
        spread = np.power(1 - np.power(1 - along, 2.1), 0.62)
        edge = lung.apex_x + (lung.half_width - lung.apex_x) * spread
        edge -= 0.25 * np.maximum((y - lung.dome_y + 3) / 6, 0)
        return np.where(y > lung.apex_y, edge, 0).astype(np.float32)

    def medial_x(self, side: int, y: Array) -> Array:
        """Distance of the mediastinum's edge from the midline in each row, without the heart."""
        lung = self.lung(side)
        along = np.clip((y - lung.apex_y) / 3.5, 0, 1)
        edge = lung.apex_x - (lung.apex_x - lung.medial) * np.sqrt(1 - (1 - along) ** 2)
        if side == LEFT:
            bulge = max(self.knob_x - lung.medial, 0.3)
            edge = edge + bulge * np.exp(-(((y - self.knob_y) / 1.8) ** 2))
            edge = edge + 0.75 * bulge * np.exp(-(((y - self.knob_y - 4.6) / 2.4) ** 2))
        else:
            edge = edge + 0.5 * smoothstep((y - self.knob_y + 3) / 7)
        return edge.astype(np.float32)

    def dome_y(self, side: int, x: Array) -> Array:
        """Height of the diaphragm over each distance `x` from the midline."""
        lung = self.lung(side)
        outward = (x - lung.dome_x) / (lung.half_width - lung.dome_x + 0.4)
        inward = (lung.dome_x - x) / (lung.dome_x + 1)
        away = np.clip(np.maximum(outward, inward), 0, 0.97)
        fall = np.where(x > lung.dome_x, lung.dome_drop, 0.75 * lung.dome_drop)
        return np.asarray(lung.dome_y + fall * (1 - np.sqrt(1 - away**2.2)), np.float32)

    def enlarged_heart(self, ratio: float) -> Anatomy:
        """The same patient with a heart whose width is `ratio` of the chest's."""
        chest = self.left.half_width + self.right.half_width
        heart = self.heart
        reach = float(np.hypot(heart.long * np.cos(heart.tilt), heart.short * np.sin(heart.tilt)))
        now = heart.x + reach - (heart.atrium_x - heart.atrium_a)
        grow = ratio * chest / now
        return replace(
            self,
            heart=replace(
                heart,
                x=heart.x * grow,
                y=heart.y - 0.35 * heart.short * (grow - 1),
                long=heart.long * grow,
                short=heart.short * (1 + 0.75 * (grow - 1)),
                atrium_x=heart.atrium_x * grow,
                atrium_a=heart.atrium_a * grow,
                atrium_b=heart.atrium_b * (1 + 0.5 * (grow - 1)),
            ),
        )

    def hyperinflated(self, side: int, amount: float) -> Anatomy:
        """The same patient with one lung blown up: low flat dome, wider, fewer markings. `amount` is 0..1."""
        lung = self.lung(side)
        changed = replace(
            lung,
            dome_y=lung.dome_y + 2.2 * amount,
            dome_drop=lung.dome_drop * (1 - 0.65 * amount),
            half_width=lung.half_width + 0.4 * amount,
            depth=lung.depth * (1 + 0.22 * amount),
        )
        return replace(self, left=changed) if side == LEFT else replace(self, right=changed)


def draw_anatomy(rng: np.random.Generator, film_cm: float) -> Anatomy:
    """Draw one patient.

    Args:
        rng: the anatomy's own stream.
        film_cm: side of the film, which the chest is to fit on.

    Returns:
        Shapes in centimetres.
    """
    u = rng.uniform
    scale = u(0.88, 1.08)
    apex = film_cm * u(0.08, 0.17)
    height = min(u(16.5, 25.0) * scale, 0.82 * film_cm - apex)
    half_width = min(u(12.4, 14.6) * scale, 0.46 * film_cm)
    depth = u(12, 15.5) * scale
    lower_left = u(0.2, 1.8) if rng.random() < 0.8 else u(-2.5, 4.0)
    lungs = []
    for side in (RIGHT, LEFT):
        lungs.append(
            LungShape(
                apex_y=apex + u(-0.5, 0.5),
                apex_x=u(3.9, 5.2),
                half_width=half_width + u(-0.5, 0.5),
                dome_y=apex + height + (lower_left if side == LEFT else 0),
                dome_x=u(5.5, 7.5) * scale,
                dome_drop=u(3.6, 7.0),
                depth=depth,
                medial=u(2.2, 3.4),
            )
        )
    right, left = lungs
    long = u(6.6, 8.3) * scale
    heart = Heart(
        x=u(1.6, 2.8) * scale,
        y=left.dome_y - u(3.6, 5.2),
        long=long,
        short=long * u(0.58, 0.74),
        tilt=u(0.6, 1.0),
        atrium_x=u(-1.8, -0.6),
        atrium_y=right.dome_y - u(4.0, 5.0),
        atrium_a=u(2.7, 3.6) * scale,
        atrium_b=u(5.0, 6.6) * scale,
    )
    wall = u(1.6, 5.5)
    female = rng.random() < 0.45
    return Anatomy(
        lean=u(-0.07, 0.07),
        bend=u(-0.5, 0.5),
        bend_phase=u(0, 6.28),
        right=right,
        left=left,
        heart=heart,
        wall=wall,
        thickness=u(18, 27),
        shoulder_y=apex - u(0.2, 3.4),
        arm_x=half_width + wall + u(4.5, 9.0),
        arm_slant=u(0.0, 0.3),
        breast=u(1.0, 5.0) if female else (u(0, 1.2) if rng.random() < 0.4 else 0.0),
        breast_x=u(7.0, 9.5),
        breast_y=apex + height * u(0.7, 0.98),
        breast_r=u(5.5, 7.5),
        rib_first_y=apex + u(1.6, 2.6),
        rib_gap=height / u(8.6, 10.2),
        rib_rise=u(2.6, 4.8),
        rib_fall=u(3.6, 6.0),
        knob_x=u(2.9, 4.4),
        knob_y=apex + height * u(0.26, 0.34),
        clavicle_y=apex + u(0.8, 3.6),
        clavicle_rise=u(0.5, 4.5),
        bubble=u(0, 1),
        markings=u(0.6, 1.5),
    )
