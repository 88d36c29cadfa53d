"""A structured report back to a result: ours unchanged, others as far as they say the same things."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom import Dataset

from medground.dicom.boundary import typed_errors
from medground.dicom.elements import items, number, text
from medground.dicom.limits import Limits
from medground.dicom.sr import codes
from medground.dicom.sr.evidence import series_of_instances
from medground.dicom.sr.foreign import foreign_result
from medground.dicom.sr.groups import Place
from medground.dicom.sr.items import unquoted
from medground.dicom.sr.record import from_node
from medground.dicom.sr.regions import Region, measurement_groups, regions_of
from medground.dicom.sr.tree import Node, content_tree
from medground.schema.errors import UnreadableFileError
from medground.schema.result import (
    SCHEMA_VERSION,
    Answer,
    Extent,
    Finding,
    GroundingResult,
    ModelInfo,
    Settings,
    SizeMm,
    SliceBox,
    StudyResult,
)


def read_sr(dataset: Dataset, *, limits: Limits | None = None) -> GroundingResult:
    """Read a TID 1500 report back as a result of one study, known by the report's SOP Instance UID.

    A report of medground comes back unchanged, but for box edges, which are 32-bit floats in DICOM. Of any other report
    each region becomes a finding; what it does not say, and what of it is no box on an image, stands in the warnings.

    Args:
        dataset: a structured report, as read from a file.
        limits: levels and number of content items; the defaults of `Limits` if None.

    Raises:
        UnreadableFileError: no TID 1500 report, a damaged one, or one written by a later version.
        LimitError: larger or deeper than the limits allow.
    """
    with typed_errors(UnreadableFileError, "the structured report cannot be read"):
        root = content_tree(dataset, limits or Limits())
        if root.key != (codes.REPORT.scheme_designator, codes.REPORT.value):
            raise UnreadableFileError(
                f"this is no TID 1500 measurement report but {root.name.meaning or 'an object without a title'!r}: "
                "give one that has the title (126000, DCM)"
            )
        for evaluations in root.named(codes.QUALITATIVE_EVALUATIONS):
            version = evaluations.only(codes.field_name("schema_version"))
            if version is not None:
                return _own_result(dataset, root, evaluations, version.text or "")
        return foreign_result(dataset, root)


def _own_result(dataset: Dataset, root: Node, evaluations: Node, version: str) -> GroundingResult:
    if version != str(SCHEMA_VERSION):
        raise UnreadableFileError(
            f"the report has version {version!r} of the result, this medground reads {SCHEMA_VERSION}: use a later one"
        )
    answers = list(evaluations.named(codes.field_name("answers")))
    findings = _findings(dataset, root, _required(evaluations.only(codes.GROUP_COUNT)), len(answers))
    study = from_node(
        StudyResult,
        evaluations,
        study_instance_uid=text(dataset, "StudyInstanceUID"),
        answers=tuple(from_node(Answer, node, findings=found) for node, found in zip(answers, findings, strict=True)),
    )
    return GroundingResult(
        result_id=text(dataset, "SOPInstanceUID") or "",
        model=from_node(ModelInfo, _node(evaluations, "model")),
        settings=from_node(Settings, _node(evaluations, "settings")),
        studies=(study,),
    )


@dataclass(slots=True)
class _Parts:
    """The groups of one finding: the one on its own image with its words, and its slices by number."""

    own: tuple[Node, Region] | None = None
    slices: dict[int, SliceBox] = field(default_factory=dict)

    def add(self, group: Node, region: Region, slice_number: int | None) -> None:
        """Sort a group in.

        Raises:
            UnreadableFileError: it stands in the place of another, or in none.
        """
        own = group.only(codes.field_name("score")) is not None
        if (own and self.own is not None) or slice_number in self.slices or (not own and slice_number is None):
            raise UnreadableFileError("two regions of the report stand in one place, or one in none")
        if own:
            self.own = (group, region)
        if slice_number is not None:
            self.slices[slice_number] = SliceBox(
                sop_instance_uid=region.sop_instance_uid, frame=region.frame, box_xyxy_px=region.box_xyxy_px
            )


def _findings(dataset: Dataset, root: Node, count: str, number_of_answers: int) -> list[tuple[Finding, ...]]:
    """The findings of each answer, put together from their groups."""
    groups = measurement_groups(root)
    if count != str(len(groups)):
        raise UnreadableFileError(f"the report has {len(groups)} measurement groups, and {count} were written")
    parts: list[dict[int, _Parts]] = [{} for _ in range(number_of_answers)]
    for group in groups:
        place = Place.parsed(_required(group.only(codes.PLACE)))
        regions = regions_of(group)
        if len(regions) != 1 or place.answer > number_of_answers:
            raise UnreadableFileError(
                f"the group of {place} has {len(regions)} regions where one belongs, or no answer"
            )
        parts[place.answer - 1].setdefault(place.finding, _Parts()).add(group, regions[0], place.slice_)
    series = series_of_instances(dataset)
    return [tuple(_finding(found, series) for found in _in_order(of_answer)) for of_answer in parts]


def _in_order(parts: dict[int, _Parts]) -> list[_Parts]:
    if sorted(parts) != list(range(1, len(parts) + 1)):
        raise UnreadableFileError(f"the findings of an answer are numbered {sorted(parts)[:10]}: some are absent")
    return [parts[number] for number in sorted(parts)]


def _finding(parts: _Parts, series: dict[str, str]) -> Finding:
    if parts.own is None:
        raise UnreadableFileError("a finding of the report has slices, but none with its words")
    group, region = parts.own
    return from_node(
        Finding,
        group,
        id=unquoted(_required(group.only(codes.TRACKING_IDENTIFIER))),
        series_instance_uid=series.get(region.sop_instance_uid),
        sop_instance_uid=region.sop_instance_uid,
        frame=region.frame,
        box_xyxy_px=region.box_xyxy_px,
        extent=_extent(group, parts.slices),
        size_mm=_size(group),
    )


def _extent(group: Node, slices: dict[int, SliceBox]) -> Extent | None:
    node = group.only(codes.field_name("extent"))
    if sorted(slices) != list(range(1, len(slices) + 1)) or (slices and node is None):
        raise UnreadableFileError(f"the slices of a finding are numbered {sorted(slices)[:10]}: some are absent")
    return None if node is None else from_node(Extent, node, slices=tuple(slices[n] for n in sorted(slices)))


def _size(group: Node) -> SizeMm | None:
    """Millimetres of the finding; None where its lengths are in pixels."""
    values: dict[str, object] = {}
    for name, what in ((codes.WIDTH, "width"), (codes.HEIGHT, "height"), (codes.DEPTH, "depth")):
        node = group.only(name)
        for measured in items(node.dataset, "MeasuredValueSequence") if node else ():
            units = items(measured, "MeasurementUnitsCodeSequence")
            if node and units and text(units[0], "CodeValue") == codes.MILLIMETRE.value:
                exact = number(measured, "FloatingPointValue")
                values[what] = number(measured, "NumericValue") if exact is None else exact
                method = node.only(codes.METHOD)
                by_value = {code.value: source for source, code in codes.METHODS.items()}
                values["spacing_source"] = by_value.get(method.code.value) if method and method.code else None
    return SizeMm.model_validate(values) if values else None


def _node(parent: Node, name: str) -> Node:
    found = parent.only(codes.field_name(name))
    if found is None:
        raise UnreadableFileError(f"the report has no item {name!r}")
    return found


def _required(node: Node | None) -> str:
    if node is None or node.text is None:
        raise UnreadableFileError("a text of the report is absent")
    return node.text
