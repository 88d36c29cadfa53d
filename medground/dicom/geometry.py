"""From pixels to the patient and back: LPS millimetres, sides, head and feet.

Pixel coordinates are those of `Box`: (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medground.dicom.header import ImageHeader, Orientation, Vector
from medground.schema.anatomy import Side

# Parts that lie on both sides of the midline: there Laterality tells the projection, not the side of what is seen.
_TRUNK = frozenset({"CHEST", "THORAX", "LUNG", "HEART", "ABDOMEN", "PELVIS", "WHOLEBODY"})
_HEAD_AND_SPINE = frozenset({"HEAD", "SKULL", "BRAIN", "NECK", "SPINE", "CSPINE", "TSPINE", "LSPINE"})
_AXES = {"L": "x", "R": "x", "P": "y", "A": "y", "H": "z", "F": "z"}  # of LPS
_SETTLED = 0.7  # cosine: an axis within 45 degrees of the patient's


@dataclass(frozen=True, slots=True)
class Plane:
    """The plane of one frame in the patient (PS3.3 C.7.6.2.1.1).

    Attributes:
        position_mm: centre of the first pixel, LPS.
        orientation: direction cosines along a row, then along a column.
        spacing_mm: (between rows, between columns).
    """

    position_mm: Vector
    orientation: Orientation
    spacing_mm: tuple[float, float]

    @property
    def normal(self) -> Vector:
        """Cross product of the two directions: the direction in which slices are counted."""
        a, b, c, d, e, f = self.orientation
        return (b * f - c * e, c * d - a * f, a * e - b * d)

    @property
    def along_normal_mm(self) -> float:
        """Position of the plane along its normal."""
        return sum(p * n for p, n in zip(self.position_mm, self.normal, strict=True))

    def to_lps(self, x_px: float, y_px: float) -> Vector:
        """The point of the patient under a pixel coordinate, millimetres LPS (equation C.7.6.2.1-1)."""
        right, down = (x_px - 0.5) * self.spacing_mm[1], (y_px - 0.5) * self.spacing_mm[0]
        o, p = self.orientation, self.position_mm
        return (
            p[0] + o[0] * right + o[3] * down,
            p[1] + o[1] * right + o[4] * down,
            p[2] + o[2] * right + o[5] * down,
        )

    def to_pixel(self, point_mm: Vector) -> tuple[float, float, float]:
        """The pixel coordinate (x, y) over a point of the patient, and the signed distance to the plane in mm."""
        offset = [a - b for a, b in zip(point_mm, self.position_mm, strict=True)]
        right = sum(a * b for a, b in zip(offset, self.orientation[:3], strict=True))
        down = sum(a * b for a, b in zip(offset, self.orientation[3:], strict=True))
        away = sum(a * b for a, b in zip(offset, self.normal, strict=True))
        return right / self.spacing_mm[1] + 0.5, down / self.spacing_mm[0] + 0.5, away


def plane_of(header: ImageHeader) -> Plane | None:
    """The plane of the first frame; None where position, orientation or spacing is absent."""
    if header.image_position_mm is None or header.image_orientation is None or header.spacing_mm is None:
        return None
    return Plane(header.image_position_mm, header.image_orientation, header.spacing_mm)


def columns_toward_left(header: ImageHeader) -> int | None:
    """Whether increasing x goes toward the patient's left (+1) or right (-1); None where the header leaves it open."""
    if header.image_orientation is not None:
        return _sign(header.image_orientation[0])
    letters = header.patient_orientation
    return {"L": 1, "R": -1}.get(letters[0][0]) if letters else None


def head_direction(header: ImageHeader) -> int | None:
    """Whether increasing y goes toward the feet (+1) or the head (-1); None where the header leaves it open."""
    if header.image_orientation is not None:
        toward_head = _sign(header.image_orientation[5])
        return None if toward_head is None else -toward_head
    letters = header.patient_orientation
    return {"F": 1, "H": -1}.get(letters[1][0]) if letters else None


def directions(header: ImageHeader, plane: Plane | None = None) -> tuple[str, str] | None:
    """Which way the patient lies: the letters (L, R, A, P, H, F) toward which columns and rows increase.

    Args:
        header: of the object.
        plane: of one of its frames; None for the first.

    Returns:
        E.g. ("L", "F") for a film as it hangs; None where the header leaves it open, also where an axis is oblique.

    Source: PS3.3 C.7.6.1.1.1 (Patient Orientation), C.7.6.2.1.1 (Image Orientation (Patient)).
    """
    orientation = plane.orientation if plane else header.image_orientation
    if orientation is not None:
        along = [_letter(orientation[:3]), _letter(orientation[3:])]
    elif header.patient_orientation is not None:
        along = [letters[0] if letters[0] in _AXES else "" for letters in header.patient_orientation]
    else:
        return None
    across, down = along
    return (across, down) if across and down and _AXES[across] != _AXES[down] else None


def _letter(direction: Sequence[float]) -> str:
    for cosine, letters in zip(direction, ("LR", "PA", "HF"), strict=True):
        if abs(cosine) >= _SETTLED:
            return letters[cosine < 0]
    return ""


def toward_left(header: ImageHeader) -> tuple[int, int] | None:
    """The axis of the picture (0 for x, 1 for y) that runs along the patient's left and right, and its sign.

    Returns:
        (0, 1) for a film as it hangs; None where the header leaves it open.
    """
    across = columns_toward_left(header)
    if across is not None:
        return 0, across
    along = directions(header)
    return (1, 1 if along[1] == "L" else -1) if along and along[1] in "LR" else None


def toward_feet(header: ImageHeader) -> tuple[int, int] | None:
    """The axis of the picture (0 for x, 1 for y) that runs along head and feet, and its sign: (1, 1) as films hang."""
    down = head_direction(header)
    if down is not None:
        return 1, down
    along = directions(header)
    return (0, 1 if along[0] == "F" else -1) if along and along[0] in "HF" else None


def side_of_box(header: ImageHeader, box_xyxy_px: tuple[float, float, float, float]) -> Side | None:
    """The patient's side on which a box lies.

    On an unpaired part the sides meet in the central column of the image, or in the central row of one that lies on its
    side. A box with at least a quarter of its width on either side has no side of its own: it is bilateral if it is
    wider than a quarter of the image, else undecided. On a limb or breast the laterality of the image is the side.

    Args:
        header: of the image.
        box_xyxy_px: pixels of the stored image.

    Returns:
        The side, or None where header and box do not settle it.
    """
    if header.image_laterality in ("L", "R") and header.body_part and header.body_part not in _TRUNK | _HEAD_AND_SPINE:
        return Side.LEFT if header.image_laterality == "L" else Side.RIGHT
    across = toward_left(header)
    if across is None:
        return None
    axis, sign = across
    low, high, length = box_xyxy_px[axis], box_xyxy_px[2 + axis], (header.columns, header.rows)[axis]
    share_high = min(max((high - length / 2) / (high - low), 0.0), 1.0)
    if 0.25 <= share_high <= 0.75:
        return Side.BILATERAL if high - low > length / 4 else None
    return Side.LEFT if (share_high > 0.5) == (sign > 0) else Side.RIGHT


def _sign(cosine: float) -> int | None:
    return None if abs(cosine) < _SETTLED else int(math.copysign(1, cosine))
