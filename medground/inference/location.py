"""Where a box lies in the patient: side, zone, millimetres. Everything here is computed from header and box."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from medground.dicom.geometry import side_of_box, toward_feet, toward_left
from medground.dicom.header import ImageHeader
from medground.inference.views import View
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.result import BoxPx, Extent, SizeMm, SliceBox

LUNG_APEX, LUNG_BASE = 0.1, 0.85  # shares of the height of a frontal chest film, from the head
_LATERALITY = {"L": Side.LEFT, "R": Side.RIGHT}


def tells_side(header: ImageHeader | None, domain: Domain) -> bool:
    """Whether the header settles the patient side of a box: by orientation, on a limb by its laterality alone."""
    if header is None:
        return False
    if domain == Domain.LIMB_RADIOGRAPH:
        return header.image_laterality in _LATERALITY
    return toward_left(header) is not None


def side_of(header: ImageHeader | None, domain: Domain, box_xyxy_px: BoxPx) -> Side | None:
    """The patient side of a box; None where the header does not settle it, or the box lies on the midline.

    Args:
        header: of the image; None for a plain picture.
        domain: kind of image.
        box_xyxy_px: pixels of the stored image.
    """
    if header is None or not tells_side(header, domain):
        return None
    if domain == Domain.LIMB_RADIOGRAPH:
        return _LATERALITY[header.image_laterality or ""]
    return side_of_box(header, box_xyxy_px)


def tells_zone(header: ImageHeader | None, domain: Domain) -> bool:
    """Whether a box can be given a zone: on a frontal chest radiograph whose upright direction is known."""
    if header is None or domain != Domain.CHEST_RADIOGRAPH:
        return False
    return toward_left(header) is not None and toward_feet(header) is not None


def zone_of(header: ImageHeader | None, domain: Domain, box_xyxy_px: BoxPx) -> Zone | None:
    """The third of the imaged chest that holds the centre of a box; None where `tells_zone` is False.

    The lungs are not outlined: on a frontal film they are taken to reach from a tenth below its upper edge to 85% of
    its height. On 150 phantom films that gives the true third of 86% of 266 lesions, thirds of the film that of 74%.
    """
    down = toward_feet(header) if header and tells_zone(header, domain) else None
    if header is None or down is None:
        return None
    axis, sign = down
    share = (box_xyxy_px[axis] + box_xyxy_px[2 + axis]) / 2 / (header.columns, header.rows)[axis]
    from_head = share if sign == 1 else 1 - share
    third = int(3 * (from_head - LUNG_APEX) / (LUNG_BASE - LUNG_APEX))
    return (Zone.UPPER, Zone.MIDDLE, Zone.LOWER)[min(max(third, 0), 2)]


def height_of(view: View, box_xyxy_px: BoxPx) -> float | None:
    """How far the centre of a box lies toward the head, for comparing boxes of one image or volume; None if unknown."""
    x1, y1, x2, y2 = box_xyxy_px
    if view.plane is not None:
        return view.plane.to_lps((x1 + x2) / 2, (y1 + y2) / 2)[2]
    down = toward_feet(view.header) if view.header else None
    return None if down is None else -down[1] * ((x1 + x2) / 2, (y1 + y2) / 2)[down[0]]


def size_of(view: View, box_xyxy_px: BoxPx, depth_mm: float | None = None) -> SizeMm | None:
    """Millimetres of a box, in the plane that the spacing belongs to; None where the header has no spacing."""
    header = view.header
    if header is None or header.spacing_mm is None or header.spacing_source is None:
        return None
    x1, y1, x2, y2 = box_xyxy_px
    return SizeMm(
        width=(x2 - x1) * header.spacing_mm[1],
        height=(y2 - y1) * header.spacing_mm[0],
        depth=depth_mm,
        spacing_source=header.spacing_source,
    )


def slice_step_mm(views: Sequence[View]) -> float | None:
    """Distance between neighbouring slices of a volume, or the thickness of a single slice; None if unknown."""
    places = [view.plane.along_normal_mm for view in views if view.plane is not None]
    steps = [abs(b - a) for a, b in pairwise(places)]
    if steps:
        return median(steps)
    return views[0].header.slice_thickness_mm if views[0].header else None


def extent_of(members: Sequence[tuple[View, BoxPx]], step_mm: float | None) -> tuple[Extent | None, float | None]:
    """Extent of a finding through a volume, and its depth.

    Args:
        members: slices and boxes in the order of position.
        step_mm: distance between slices: a box on one slice is as deep as the slice.

    Returns:
        The extent and the depth in mm; None and None where the slices have no place in the patient.
    """
    points: list[tuple[float, float, float]] = []
    places: list[float] = []
    half = (step_mm or 0.0) / 2
    for view, (x1, y1, x2, y2) in members:
        if view.plane is None:
            return None, None
        places.append(view.plane.along_normal_mm)
        for x, y in ((x1, y1), (x2, y1), (x1, y2), (x2, y2)):
            point = view.plane.to_lps(x, y)
            for sign in (-half, half):
                shifted = [p + sign * n for p, n in zip(point, view.plane.normal, strict=True)]
                points.append((shifted[0], shifted[1], shifted[2]))
    low = [min(axis) for axis in zip(*points, strict=True)]
    high = [max(axis) for axis in zip(*points, strict=True)]
    header = members[0][0].header
    extent = Extent(
        frame_of_reference_uid=header.frame_of_reference_uid if header else None,
        box_lps_mm=(low[0], low[1], low[2], high[0], high[1], high[2]),
        slices=tuple(
            SliceBox(sop_instance_uid=view.sop_instance_uid or "", frame=view.frame, box_xyxy_px=box)
            for view, box in members
        ),
    )
    return extent, (max(places) - min(places) + 2 * half) or None
