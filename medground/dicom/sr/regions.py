"""Regions drawn in a structured report, as boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import VLWholeSlideMicroscopyImageStorage

from medground.dicom.boundary import typed_errors
from medground.dicom.elements import items, numbers, text
from medground.dicom.limits import Limits
from medground.dicom.sr import codes
from medground.dicom.sr.items import unquoted
from medground.dicom.sr.tree import Node, content_tree
from medground.schema.errors import UnreadableFileError
from medground.schema.result import BoxPx

_LEAST_PX = 1.0  # a point or a straight line becomes a box of that width, or it would be none


@dataclass(frozen=True, slots=True)
class Region:
    """A region on one frame: SOP Instance UID, 1-based frame, and the smallest box around it, pixels."""

    sop_instance_uid: str
    frame: int
    box_xyxy_px: BoxPx


@dataclass(frozen=True, slots=True)
class ReportedBox:
    """A box in a structured report.

    Attributes:
        sop_instance_uid: of the image.
        frame: 1-based.
        box_xyxy_px: smallest box around the outline, pixels of the stored image.
        concept: (scheme, value) of the finding's code.
        tracking_identifier: as written; the id of the finding in reports of medground.
    """

    sop_instance_uid: str
    frame: int
    box_xyxy_px: BoxPx
    concept: tuple[str, str]
    tracking_identifier: str | None


def read_sr_boxes(dataset: Dataset) -> list[ReportedBox]:
    """The planar regions of a TID 1500 report as boxes, in document order.

    Args:
        dataset: a structured report; anything else has no boxes.

    Raises:
        UnreadableFileError: a damaged report.
        LimitError: a report that is nested too deeply.
    """
    with typed_errors(UnreadableFileError, "the structured report cannot be read"):
        root = content_tree(dataset, Limits())
        boxes = []
        for group in measurement_groups(root):
            finding = next(group.named(codes.FINDING), None)
            concept = (finding.code.scheme_designator, finding.code.value) if finding and finding.code else ("", "")
            tracking = next(group.named(codes.TRACKING_IDENTIFIER), None)
            identifier = unquoted(tracking.text) if tracking and tracking.text else None
            boxes += [
                ReportedBox(region.sop_instance_uid, region.frame, region.box_xyxy_px, concept, identifier)
                for region in regions_of(group)
            ]
        return boxes


def measurement_groups(root: Node) -> list[Node]:
    """The measurement groups of a TID 1500 report, in document order."""
    return [group for part in root.named(codes.MEASUREMENTS) for group in part.named(codes.GROUP)]


def regions_of(group: Node) -> list[Region]:
    """The regions of a measurement group, each once: its own, or where it has none those its numbers came from.

    Args:
        group: of TID 1410, 1411 or 1501.
    """
    own = list(group.of_type("SCOORD"))
    inferred = (outline for number in group.of_type("NUM") for outline in number.of_type("SCOORD"))
    return list(dict.fromkeys(region for outline in own or inferred for region in _on_frames(outline)))


def unread_outlines(group: Node) -> int:
    """How many of a group's outlines are none in the pixels of a frame: in space, on a tiled matrix, or malformed."""
    in_space = sum(1 for _ in group.of_type("SCOORD3D"))
    return in_space + sum(1 for outline in group.of_type("SCOORD") if not any(True for _ in _on_frames(outline)))


def _on_frames(outline: Node) -> Iterator[Region]:
    of_volume = text(outline.dataset, "PixelOriginInterpretation") == "VOLUME"
    box = outline_box(text(outline.dataset, "GraphicType") or "", numbers(outline.dataset, "GraphicData") or ())
    for image in outline.of_type("IMAGE"):
        for reference in items(image.dataset, "ReferencedSOPSequence"):
            uid = text(reference, "ReferencedSOPInstanceUID")
            if of_volume and text(reference, "ReferencedSOPClassUID") == VLWholeSlideMicroscopyImageStorage:
                continue  # pixels of the whole slide, not of a frame; elsewhere the word has no meaning, and is written
            for frame in numbers(reference, "ReferencedFrameNumber") or (1,):
                if box is not None and uid and frame == int(frame) and frame >= 1:
                    yield Region(uid, int(frame), box)


def outline_box(graphic_type: str, graphic_data: Sequence[float]) -> BoxPx | None:
    """The smallest box around an outline; at least one pixel wide and high, and inside the image at top and left.

    Args:
        graphic_type: POINT, MULTIPOINT, POLYLINE, CIRCLE (centre, point on it) or ELLIPSE (ends of both axes).
        graphic_data: x1, y1, x2, y2, ... in pixels of the image.

    Returns:
        None where the numbers are no such outline.

    Source: PS3.3 C.18.6.1.2.
    """
    points = list(zip(graphic_data[0::2], graphic_data[1::2], strict=False))
    if not points or len(graphic_data) % 2:
        return None
    xs, ys = zip(*points, strict=True)
    if graphic_type in ("POINT", "MULTIPOINT", "POLYLINE"):
        edges = (min(xs), min(ys), max(xs), max(ys))
    elif graphic_type == "CIRCLE" and len(points) == 2:
        radius = math.dist(*points)
        edges = (xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius)
    elif graphic_type == "ELLIPSE" and len(points) == 4:
        x, y = sum(xs) / 4, sum(ys) / 4
        width = math.hypot(xs[0] - xs[1], xs[2] - xs[3]) / 2  # of the box around a rotated ellipse: both axes add up
        height = math.hypot(ys[0] - ys[1], ys[2] - ys[3]) / 2
        edges = (x - width, y - height, x + width, y + height)
    else:
        return None
    x1, x2 = _at_least_a_pixel(edges[0], edges[2])
    y1, y2 = _at_least_a_pixel(edges[1], edges[3])
    return (x1, y1, x2, y2)


def _at_least_a_pixel(low: float, high: float) -> tuple[float, float]:
    if high == low:
        low, high = low - _LEAST_PX / 2, low + _LEAST_PX / 2
    return max(low, 0.0), high
