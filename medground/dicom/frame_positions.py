"""Where the frames of a multi-frame object lie along its normal; cine frames, which lie nowhere else, have no place."""

from __future__ import annotations

import math

from pydicom import Dataset

from medground.dicom.elements import functional_item, numbers
from medground.dicom.geometry import Plane
from medground.dicom.header import ImageHeader, Orientation, Vector, plane_elements

_AXIAL: Orientation = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_SAME_NORMAL = 0.999  # cosine: two degrees and a half
_SAME_MM = 0.01


def frame_positions_mm(dataset: Dataset, header: ImageHeader) -> tuple[float | None, ...]:
    """Positions of the frames along the normal of the first one, millimetres.

    Args:
        dataset: everything before the pixel data.
        header: of the same object.

    Returns:
        One for each frame, None where the frame has none or another normal; empty for a single frame, and where no
        frame has one. What the header says of the object as a whole is not said of its frames.

    Source: PS3.3 C.7.6.16.2.3 (Plane Position), C.8.8.3.2 (Grid Frame Offset Vector).
    """
    if header.frames == 1 or header.image_orientation is None:
        return ()
    normal = _normal(header.image_orientation)
    found = [_own(dataset, frame, normal) for frame in range(1, header.frames + 1)]
    if all(one is None for one in found):
        return _grid(dataset, header, normal)
    return tuple(found)


def _own(dataset: Dataset, frame: int, normal: Vector) -> float | None:
    item = functional_item(dataset, frame, "PlanePositionSequence")
    position = numbers(item, "ImagePositionPatient", 3) if item is not None else None
    orientation = plane_elements(dataset, frame)[1]
    if position is None or orientation is None or not _is_along(_normal(orientation), normal):
        return None
    return _dot((position[0], position[1], position[2]), normal)


def _grid(dataset: Dataset, header: ImageHeader, normal: Vector) -> tuple[float | None, ...]:
    """Offsets from the first frame along the normal, or of an axial object its z coordinates."""
    offsets, origin = numbers(dataset, "GridFrameOffsetVector", header.frames), header.image_position_mm
    if offsets is None or origin is None:
        return ()
    if offsets[0] == 0:
        return tuple(_dot(origin, normal) + offset for offset in offsets)
    is_axial = all(abs(a - b) < 1e-3 for a, b in zip(header.image_orientation or (), _AXIAL, strict=False))
    return offsets if is_axial and abs(offsets[0] - origin[2]) <= _SAME_MM else ()


def _normal(orientation: Orientation) -> Vector:
    return Plane((0.0, 0.0, 0.0), orientation, (1.0, 1.0)).normal


def _is_along(one: Vector, other: Vector) -> bool:
    """Whether two normals have one direction: headers round cosines, so none is of length one exactly."""
    return _dot(one, other) > _SAME_NORMAL * math.hypot(*one) * math.hypot(*other)


def _dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
