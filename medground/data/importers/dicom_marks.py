"""What reports and segmentations mark on images: one `Mark` for each lesion, on however many frames it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import Dataset

from medground.dicom.boundary import typed_errors
from medground.dicom.elements import items, text, whole
from medground.dicom.header import Vector
from medground.dicom.limits import Limits
from medground.dicom.seg_read import SegmentBox, read_seg_boxes
from medground.dicom.sr import codes
from medground.dicom.sr.regions import measurement_groups, regions_of
from medground.dicom.sr.tree import Node, content_tree
from medground.schema.anatomy import Side, Zone
from medground.schema.errors import UnreadableFileError
from medground.schema.result import BoxPx

_SIDES = {code.value: side for side, code in codes.LATERALITIES.items()}
_ZONES = {code.value: zone for zone, code in codes.LUNG_ZONES.items()}
_DOUBTFUL = frozenset({"60022001", "385434005"})  # possible and improbable diagnosis


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lesion lies on one frame.

    Attributes:
        sop_instance_uid: of the image; empty where a segmentation leaves it open.
        frame: 1-based.
        box_xyxy_px: pixels of the image, or of the segmentation where `size_px` is given.
        size_px: (rows, columns) of the segmentation, or None for an outline on the image itself.
        position_mm: centre of the segmentation's first pixel in the patient (LPS).
    """

    sop_instance_uid: str
    frame: int
    box_xyxy_px: BoxPx
    size_px: tuple[int, int] | None = None
    position_mm: Vector | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A lesion as one document gives it.

    Attributes:
        document: SOP Instance UID of the report or segmentation.
        names: what it is called, `scheme:value` first, then the meaning of the code and the label.
        tracking: tracking UID, or else tracking identifier; None where it has neither.
        places: one for each frame that it lies on.
        source: what made it, for `Region.source`.
        side, zone: as the document states them.
        uncertain: the document calls it possible or improbable.
    """

    document: str
    names: tuple[str, ...]
    tracking: str | None
    places: tuple[Place, ...]
    source: str
    side: Side | None = None
    zone: Zone | None = None
    uncertain: bool = False

    @property
    def label(self) -> str:
        """The class name as published: the meaning of the code, or the code where it has none."""
        return next((name for name in self.names[1:] if name), self.names[0])


def report_marks(report: Dataset) -> tuple[Mark, ...]:
    """The planar regions of a TID 1500 report, those of one tracking UID together.

    Args:
        report: a structured report; one of another template has no marks.

    Raises:
        UnreadableFileError: a damaged report.
        LimitError: a report that is larger or deeper than the limits allow.
    """
    with typed_errors(UnreadableFileError, "the structured report cannot be read"):
        groups: dict[str, list[Node]] = {}
        for number, group in enumerate(measurement_groups(content_tree(report, Limits()))):
            groups.setdefault(_tracking(group) or f"\n{number}", []).append(group)
        marks = (_mark_of(report, own) for own in groups.values())
        return tuple(mark for mark in marks if mark.places)


def segment_marks(segmentation: Dataset) -> tuple[Mark, ...]:
    """The segments of a segmentation with at least one pixel, each with its frames.

    Args:
        segmentation: with its pixel data.

    Raises:
        UnreadableFileError: a damaged segmentation.
        LimitError: more frames or pixels than are allowed.
    """
    boxes: dict[int, list[SegmentBox]] = {}
    for box in read_seg_boxes(segmentation):
        boxes.setdefault(box.segment, []).append(box)
    described = {whole(item, "SegmentNumber"): item for item in items(segmentation, "SegmentSequence")}
    marks = []
    for number, own in boxes.items():
        segment = described[number]
        scheme, value = own[0].concept
        places = [Place(box.sop_instance_uid, box.frame, box.box_xyxy_px, box.size_px, box.position_mm) for box in own]
        mark = Mark(
            document=text(segmentation, "SOPInstanceUID") or "",
            names=(f"{scheme}:{value}", _type_meaning(segment), own[0].label),
            tracking=text(segment, "TrackingUID") or own[0].tracking_identifier,
            places=tuple(places),
            source=_source("SEG", segmentation),
        )
        marks.append(mark)
    return tuple(marks)


def predecessors(report: Dataset) -> Iterator[str]:
    """SOP Instance UIDs of the documents that a report takes the place of (PS3.3 C.17.2)."""
    for study in items(report, "PredecessorDocumentsSequence"):
        for series in items(study, "ReferencedSeriesSequence"):
            for instance in items(series, "ReferencedSOPSequence"):
                yield text(instance, "ReferencedSOPInstanceUID") or ""


def _mark_of(report: Dataset, groups: list[Node]) -> Mark:
    """One lesion from its groups: the first one names it."""
    first = groups[0]
    finding = next((node.code for node in first.named(codes.FINDING) if node.code), None)
    sites = [node for group in groups for node in group.named(codes.FINDING_SITE)]
    sides = {_SIDES.get(below.code.value) for site in sites for below in site.named(codes.LATERALITY) if below.code}
    zones = {_ZONES.get(site.code.value) for site in sites if site.code}
    certainties = {node.code.value for group in groups for node in group.named(codes.CERTAINTY) if node.code}
    regions = dict.fromkeys(region for group in groups for region in regions_of(group))
    return Mark(
        document=text(report, "SOPInstanceUID") or "",
        names=(f"{finding.scheme_designator}:{finding.value}", finding.meaning) if finding else ("unnamed finding",),
        tracking=_tracking(first),
        places=tuple(Place(one.sop_instance_uid, one.frame, one.box_xyxy_px) for one in regions),
        source=_source("SR", report),
        side=sides.pop() if len(sides) == 1 else None,
        zone=zones.pop() if len(zones) == 1 else None,
        uncertain=bool(certainties & _DOUBTFUL),
    )


def _tracking(group: Node) -> str | None:
    """The tracking UID, else the tracking identifier."""
    for name in (codes.TRACKING_UID, codes.TRACKING_IDENTIFIER):
        for node in group.named(name):
            if node.text:
                return node.text
    return None


def _type_meaning(segment: Dataset) -> str:
    kinds = items(segment, "SegmentedPropertyTypeCodeSequence")
    return (text(kinds[0], "CodeMeaning") if kinds else None) or ""


def _source(kind: str, document: Dataset) -> str:
    """Which system made a document, and whether a person verified it; never who."""
    maker = text(document, "ManufacturerModelName") or text(document, "Manufacturer") or "unnamed system"
    verified = ", verified" if text(document, "VerificationFlag") == "VERIFIED" else ""
    return f"DICOM {kind} of {maker}{verified}"
