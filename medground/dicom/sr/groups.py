"""Findings as measurement groups: one planar region (TID 1410) for each slice that a finding lies on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.sr.coding import Code

from medground.dicom.header import ImageHeader
from medground.dicom.identifiers import tracking_uid
from medground.dicom.image import DicomImage
from medground.dicom.sr import codes
from medground.dicom.sr.items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    INFERRED_FROM,
    SELECTED_FROM,
    box_item,
    code_item,
    container,
    image_item,
    number_item,
    text_item,
    uid_item,
)
from medground.dicom.sr.record import coded, to_items
from medground.schema.errors import UsageError
from medground.schema.result import Finding, ModelInfo, SizeMm, SliceBox, StudyResult

_PLACE = re.compile(r"answer ([1-9]\d{0,8}), finding ([1-9]\d{0,8})(?:, slice ([1-9]\d{0,8}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of the result a group holds, each counted from 1; `slice_` is None outside a volume finding."""

    answer: int
    finding: int
    slice_: int | None = None

    def __str__(self) -> str:
        within = "" if self.slice_ is None else f", slice {self.slice_}"
        return f"answer {self.answer}, finding {self.finding}{within}"

    @classmethod
    def parsed(cls, words: str) -> Place:
        """The place that `str` was taken of.

        Raises:
            ValueError: the words are none.
        """
        match = _PLACE.fullmatch(words)
        if match is None:
            raise ValueError(f"{words!r} is no place in a result")
        answer, finding, slice_ = match.groups()
        return cls(int(answer), int(finding), int(slice_) if slice_ else None)


def measurement_groups(
    study: StudyResult, model: ModelInfo, images: Mapping[str, DicomImage], identity: str
) -> list[Dataset]:
    """The groups of all findings, in the order of the result.

    Args:
        study: all answers about the study.
        model: named as the algorithm.
        images: SOP Instance UID to image, for each image that a finding lies on.
        identity: text that no other report shares; tracking UIDs follow from it.

    Raises:
        UsageError: a finding on an image or frame that is not given, or a box or code that DICOM cannot hold.
    """
    groups = []
    for answer_number, answer in enumerate(study.answers, start=1):
        for number, finding in enumerate(answer.findings, start=1):
            uid = tracking_uid(identity, answer.id, finding.id)
            for slice_number, where in _slices(finding):
                header = _header(finding, where, images)
                place = Place(answer_number, number, slice_number)
                groups.append(_group(finding, where, header, model, place, uid))
    return groups


def _own(finding: Finding) -> SliceBox:
    return SliceBox(
        sop_instance_uid=finding.sop_instance_uid or "", frame=finding.frame, box_xyxy_px=finding.box_xyxy_px
    )


def _slices(finding: Finding) -> Iterator[tuple[int | None, SliceBox]]:
    """Where a finding lies, numbered along its extent; its own place without a number unless it is one of them."""
    slices = finding.extent.slices if finding.extent else ()
    if _own(finding) not in slices:
        yield None, _own(finding)
    yield from enumerate(slices, start=1)


def _header(finding: Finding, where: SliceBox, images: Mapping[str, DicomImage]) -> ImageHeader:
    image = images.get(where.sop_instance_uid)
    if image is None:
        raise UsageError(
            f"finding {finding.id} lies on instance {where.sop_instance_uid or 'none'}, which is not among the images "
            "given"
        )
    if where.frame > image.header.frames:
        raise UsageError(f"finding {finding.id} lies on frame {where.frame} of {image.header.frames}")
    return image.header


def _group(
    finding: Finding, where: SliceBox, header: ImageHeader, model: ModelInfo, place: Place, tracking_uid: str
) -> Dataset:
    """One region as TID 1410: closed polyline, code, site, certainty, lengths; on the finding's own image its words.

    The exact score is text. As a number it would be a measurement, and viewers that look for the region under the
    first number of a group then lose the box. For the same reason every group has lengths, in pixels where there are
    no millimetres, and each carries the coordinates it was inferred from.
    """
    frame = where.frame if header.frames > 1 else None
    image = image_item(codes.SOURCE, header.sop_class_uid, header.sop_instance_uid, SELECTED_FROM, frame)
    own = where == _own(finding)
    size = finding.size_mm if own else _size_mm(where, header)
    return container(
        codes.GROUP,
        [
            text_item(codes.TRACKING_IDENTIFIER, finding.id, HAS_OBS_CONTEXT),
            uid_item(codes.TRACKING_UID, tracking_uid, HAS_OBS_CONTEXT),
            code_item(codes.FINDING, coded(finding.concept.code)),
            *_site(finding, header),
            text_item(codes.ALGORITHM_NAME, model.name, HAS_CONCEPT_MOD),
            text_item(codes.ALGORITHM_VERSION, model.version, HAS_CONCEPT_MOD),
            text_item(codes.ALGORITHM_PARAMETERS, f"bundle_sha256={model.sha256}", HAS_CONCEPT_MOD),
            code_item(codes.CERTAINTY, codes.certainty_of(finding.score)),
            box_item(codes.IMAGE_REGION, where.box_xyxy_px, image, CONTAINS),
            *_lengths(size, where, box_item(codes.IMAGE_REGION, where.box_xyxy_px, image, INFERRED_FROM)),
            text_item(codes.PLACE, str(place)),
            *(to_items(finding) if own else ()),
        ],
        template="1410",
    )


def _site(finding: Finding, header: ImageHeader) -> list[Dataset]:
    """Where in the body, with the side; nothing where neither is known.

    The zone of a finding is a third of the imaged chest. It is coded as a zone of the lung only for a finding that is
    of lung or pleura by definition, on an image whose header says chest; the imaged part of the body otherwise.
    """
    part = codes.BODY_PARTS.get(header.body_part or "")
    site = part
    concept = finding.concept.code
    if finding.zone and header.body_part == "CHEST" and (concept.scheme, concept.value) in codes.OF_LUNG_OR_PLEURA:
        site = codes.LUNG_ZONES[finding.zone]
    if site is None and finding.laterality is None:
        return []
    side = (
        [code_item(codes.LATERALITY, codes.LATERALITIES[finding.laterality], HAS_CONCEPT_MOD)]
        if finding.laterality
        else []
    )
    return [code_item(codes.FINDING_SITE, site or codes.ANY_BODY_PART, HAS_CONCEPT_MOD, side)]


def _size_mm(where: SliceBox, header: ImageHeader) -> SizeMm | None:
    if header.spacing_mm is None or header.spacing_source is None:
        return None
    width, height = _size_px(where)
    between_rows, between_columns = header.spacing_mm
    return SizeMm(width=width * between_columns, height=height * between_rows, spacing_source=header.spacing_source)


def _size_px(where: SliceBox) -> tuple[float, float]:
    x1, y1, x2, y2 = where.box_xyxy_px
    return x2 - x1, y2 - y1


def _lengths(size: SizeMm | None, where: SliceBox, coordinates: Dataset) -> list[Dataset]:
    """Extent of the box with the plane that its spacing belongs to as the method; in pixels if `size` is None."""
    if size is None:
        named: list[tuple[Code, float | None]] = list(zip((codes.WIDTH, codes.HEIGHT), _size_px(where), strict=True))
        unit, method = codes.PIXELS, []
    else:
        named = [(codes.WIDTH, size.width), (codes.HEIGHT, size.height), (codes.DEPTH, size.depth)]
        unit = codes.MILLIMETRE
        method = [code_item(codes.METHOD, codes.METHODS[size.spacing_source], HAS_CONCEPT_MOD)]
    return [
        number_item(name, length, unit, children=[*method, coordinates]) for name, length in named if length is not None
    ]
