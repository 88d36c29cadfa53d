"""TID 1500 reports of other makers: each region becomes a finding, and the warnings say what had to be left open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydicom import Dataset
from pydicom.sr.coding import Code

from medground.dicom.elements import items, number, text, texts
from medground.dicom.sr import codes
from medground.dicom.sr.evidence import series_of_instances
from medground.dicom.sr.regions import Region, measurement_groups, regions_of, unread_outlines
from medground.dicom.sr.tree import Node
from medground.schema.anatomy import Side, Zone
from medground.schema.result import (
    Answer,
    Description,
    Examined,
    Finding,
    FindingConcept,
    GroundingResult,
    ModelInfo,
    Report,
    Settings,
    StudyResult,
    Understood,
    Verdict,
)
from medground.schema.vocabulary import Code as SchemaCode

_STATED = 1.0  # what stands in place of a score, which these reports have none of; the warnings say so
_UNNAMED = Code("38866009", "SCT", "Unnamed finding")
_SITES = (("SCT", "363698007"), ("SRT", "G-C0E3"))
_SIDES = {"7771000": Side.LEFT, "G-A101": Side.LEFT, "24028007": Side.RIGHT, "G-A100": Side.RIGHT} | {
    "51440002": Side.BILATERAL,
    "G-A102": Side.BILATERAL,
}
_LENGTH_OF_NAMES = 300


@dataclass(frozen=True, slots=True)
class _Group:
    """What a measurement group says."""

    name: Code
    tracking: str
    regions: tuple[Region, ...]
    side: Side | None
    zone: Zone | None
    words: str


def foreign_result(dataset: Dataset, root: Node) -> GroundingResult:
    """A result that says what the report says.

    A report states findings but has no question, score or presence. The names of the findings stand as the question,
    1.0 stands as the score; there is no presence. With findings the verdict is found; without, a report that was not
    asked can tell neither presence nor absence: uncertain.

    Args:
        dataset: the report.
        root: its content tree.
    """
    groups = [_group(node, place) for place, node in enumerate(measurement_groups(root), start=1)]
    findings = _findings(groups, series_of_instances(dataset))
    uid = text(dataset, "SOPInstanceUID") or ""
    answer = Answer(
        id=uid,
        query=_query(groups),
        language=_language(root),
        understood=Understood(concepts=tuple(dict.fromkeys(_key(group.name) for group in groups))),
        examined=_examined(findings),
        verdict=Verdict.FOUND if findings else Verdict.UNCERTAIN,
        presence=None,
        findings=findings,
        warnings=tuple(_warnings(groups, findings, root)),
    )
    study = StudyResult(
        study_instance_uid=text(dataset, "StudyInstanceUID"),
        sources=(uid,),
        answers=(answer,),
        report=Report(number_of_findings=len(findings), nothing_above_threshold=not findings, recommendations=()),
    )
    return GroundingResult(
        result_id=uid, model=_model(dataset, root), settings=_settings(dataset, findings), studies=(study,)
    )


def _group(node: Node, place: int) -> _Group:
    names = [child.code for child in node.named(codes.FINDING) if child.code]
    tracking = [child.text for name in (codes.TRACKING_UID, codes.TRACKING_IDENTIFIER) for child in node.named(name)]
    sites = [child for child in node.children if child.key in _SITES]
    sides = [below.code.value for site in sites for below in site.children if below.code]
    zones = {code.value: zone for zone, code in codes.LUNG_ZONES.items()}
    return _Group(
        name=names[0] if names else _UNNAMED,
        tracking=next((words for words in tracking if words), f"group {place}"),
        regions=tuple(regions_of(node)),
        side=next((_SIDES[value] for value in sides if value in _SIDES), None),
        zone=next((zones[site.code.value] for site in sites if site.code and site.code.value in zones), None),
        words="; ".join([_name(names[0] if names else _UNNAMED), *_measurements(node)]) + ".",
    )


def _measurements(node: Node) -> Iterator[str]:
    """The numbers of a group in words."""
    for child in node.of_type("NUM"):
        for measured in items(child.dataset, "MeasuredValueSequence")[:1]:
            units = items(measured, "MeasurementUnitsCodeSequence")
            value = number(measured, "NumericValue")
            if value is not None:
                yield f"{child.name.meaning}: {value:g} {text(units[0], 'CodeValue') or '' if units else ''}".strip()


def _findings(groups: Sequence[_Group], series: dict[str, str]) -> tuple[Finding, ...]:
    """One finding for each region; several under one tracking UID are numbered."""
    shared = Counter(group.tracking for group in groups for _ in group.regions)
    seen: Counter[str] = Counter()
    findings = []
    for group in groups:
        for region in group.regions:
            seen[group.tracking] += 1
            suffix = f"/{seen[group.tracking]}" if shared[group.tracking] > 1 else ""
            findings.append(_finding(group, region, f"{group.tracking}{suffix}", series))
    return tuple(findings)


def _finding(group: _Group, region: Region, name: str, series: dict[str, str]) -> Finding:
    code = SchemaCode(scheme=group.name.scheme_designator, value=group.name.value, meaning=_name(group.name))
    return Finding(
        id=name,
        source=region.sop_instance_uid,
        series_instance_uid=series.get(region.sop_instance_uid),
        sop_instance_uid=region.sop_instance_uid,
        frame=region.frame,
        box_xyxy_px=region.box_xyxy_px,
        size_mm=None,
        score=_STATED,
        concept=FindingConcept(key=_key(group.name), name=_name(group.name), code=code),
        laterality=group.side,
        zone=group.zone,
        description=Description(text=group.words, statements=()),
    )


def _name(code: Code) -> str:
    return code.meaning or code.value or _UNNAMED.meaning


def _key(code: Code) -> str:
    return re.sub(r"\W+", "_", _name(code).lower()).strip("_") or "unnamed_finding"


def _query(groups: Sequence[_Group]) -> str:
    names = "; ".join(dict.fromkeys(_name(group.name) for group in groups))
    return names[:_LENGTH_OF_NAMES] or codes.REPORT.meaning


def _examined(findings: Sequence[Finding]) -> tuple[Examined, ...]:
    frames: dict[tuple[str, str | None], set[int]] = {}
    for finding in findings:
        frames.setdefault((finding.source, finding.series_instance_uid), set()).add(finding.frame)
    return tuple(
        Examined(source=uid, series_instance_uid=series, sop_instance_uid=uid, frames=tuple(sorted(numbers)))
        for (uid, series), numbers in frames.items()
    )


def _warnings(groups: Sequence[_Group], findings: Sequence[Finding], root: Node) -> Iterator[str]:
    yield "This report was not written by medground: it has no question, and the names of its findings stand as one."
    if findings:
        yield (
            f"This report has no scores: {_STATED} stands as the score of each of its {len(findings)} finding(s) and "
            "means that the report states it, not how probable it is."
        )
    several = sum(len(group.regions) > 1 for group in groups)
    if several:
        yield f"{several} measurement group(s) have several regions: each region is given as a finding of its own."
    without = [group for group in groups if not group.regions]
    if without:
        names = "; ".join(dict.fromkeys(_name(group.name) for group in without))[:_LENGTH_OF_NAMES]
        yield (
            f"{len(without)} of {len(groups)} measurement group(s) have no region in the pixels of an image (they "
            f"refer to a segmentation, to coordinates in space or to none) and are not among the findings: {names}."
        )
    unread = sum(unread_outlines(group) for group in measurement_groups(root) if regions_of(group))
    if unread:
        yield f"{unread} region(s) are not outlines in the pixels of one frame and are not among the findings."


def _language(root: Node) -> Literal["en", "zh"]:
    found = next(root.named(codes.LANGUAGE), None)
    return "zh" if found and found.code and found.code.value.lower().startswith("zh") else "en"


def _model(dataset: Dataset, root: Node) -> ModelInfo:
    device = next((node.text for node in root.named(codes.DEVICE_NAME) if node.text), None)
    maker = text(dataset, "ManufacturerModelName") or text(dataset, "Manufacturer")
    version = ", ".join(texts(dataset, "SoftwareVersions"))
    return ModelInfo(name=device or maker or "unknown", version=version, sha256="", trained_on=())


def _settings(dataset: Dataset, findings: Sequence[Finding]) -> Settings:
    return Settings(
        min_score=0.0,
        max_boxes=len(findings),
        top_k=0,
        image_size_px=0,
        mode="structured report",
        code_version=text(dataset, "SoftwareVersions") or "",
    )
