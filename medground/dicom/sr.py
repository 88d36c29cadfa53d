"""The result of a study as a DICOM structured report (TID 1500), and boxes back out of one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from highdicom import sr
from pydicom import Dataset

from medground.dicom.boundary import typed_errors
from medground.dicom.elements import items, numbers, text, whole
from medground.dicom.identifiers import uid_of
from medground.dicom.image import DicomImage
from medground.dicom.sr_content import measurement_groups, report_root
from medground.schema.errors import UnreadableFileError, UsageError
from medground.schema.result import ModelInfo, Settings, StudyResult

# Type 2 in every image; absent in some.
_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
_STUDY = ("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName")
_DATE, _TIME = r"\d{8}", r"\d{6}(\.\d{1,6})?"
_FORMS = {"PatientBirthDate": _DATE, "StudyDate": _DATE, "StudyTime": _TIME}
_UNKNOWN_DATE, _UNKNOWN_TIME = "19000101", "000000"
_SERIES_NUMBER = 9900


def write_sr(
    study: StudyResult, model: ModelInfo, settings: Settings, images: Mapping[str, DicomImage]
) -> sr.ComprehensiveSR:
    """Write a study's answers as a Comprehensive SR: unverified, preliminary, for a person to review.

    UIDs and dates follow from the images, questions, model and settings: the same input gives the same bytes.

    Args:
        study: all answers about one DICOM study, with or without findings.
        model: named as observing device and algorithm.
        settings: named as parameters of the algorithm.
        images: SOP Instance UID to image, for every image examined; all of one study.

    Returns:
        A data set that `save_as` writes.

    Raises:
        UsageError: a plain picture, no image, an image without UIDs, or a finding on an image not given.
        UnreadableFileError: patient or study elements that no report can be written with.
    """
    identity = _identity(study, model, settings, images)
    with typed_errors(UnreadableFileError, "the report cannot be written from the header of its images"):
        evidence = [_evidence(images[uid]) for uid in sorted(images)]
        groups = measurement_groups(study, model, settings, images, identity)
        report = report_root(study, model, groups, [images[uid].header for uid in sorted(images)])
        document = sr.ComprehensiveSR(
            evidence=evidence,
            content=report,
            series_number=_SERIES_NUMBER,
            series_instance_uid=uid_of("series", identity),
            sop_instance_uid=uid_of("report", identity),
            instance_number=1,
            manufacturer="medground",
            manufacturer_model_name=model.name,
            software_versions=(model.version, settings.code_version),
            device_serial_number=model.sha256[:16],
            series_description="medground: findings for review",
            specific_character_set="ISO_IR 192",
            is_complete=True,
            is_final=False,
            is_verified=False,
        )
        _set_dates(document, evidence[0])
    return document


def _identity(study: StudyResult, model: ModelInfo, settings: Settings, images: Mapping[str, DicomImage]) -> str:
    """Everything the report depends on, as one text."""
    if study.study_instance_uid is None or not images:
        raise UsageError("a structured report needs a DICOM study: ask for json and png for a plain picture")
    for uid, image in images.items():
        header = image.header
        if not (uid and header.sop_instance_uid == uid and header.sop_class_uid and header.series_instance_uid):
            raise UsageError(
                f"an image without SOP class, instance or series UID cannot be referred to ({uid or 'none'})"
            )
        if header.study_instance_uid != study.study_instance_uid:
            raise UsageError(f"instance {uid} is not of study {study.study_instance_uid}")
    return "\n".join([*sorted(images), study.model_dump_json(), model.model_dump_json(), settings.model_dump_json()])


def _evidence(image: DicomImage) -> Dataset:
    """The image's header, with the type 2 elements it may lack, and without dates that are none."""
    evidence = Dataset()
    evidence.update(image.dataset)
    for keyword in (*_PATIENT, *_STUDY):
        if keyword not in evidence:
            setattr(evidence, keyword, None)
    for keyword, form in _FORMS.items():
        if not re.fullmatch(form, text(evidence, keyword) or ""):
            setattr(evidence, keyword, None)
    return evidence


def _set_dates(document: Dataset, evidence: Dataset) -> None:
    """Dates of the study in place of the clock, so that the bytes follow from the input."""
    date = text(evidence, "StudyDate") or _UNKNOWN_DATE
    time = text(evidence, "StudyTime") or _UNKNOWN_TIME
    document.ContentDate = document.InstanceCreationDate = document.SeriesDate = date
    document.ContentTime = document.InstanceCreationTime = document.SeriesTime = time
    for equipment in items(document, "ContributingEquipmentSequence"):
        equipment.ContributionDateTime = f"{date}{time}"
    for equipment in items(document, "ContributingEquipmentSequence"):
        equipment.ContributionDateTime = f"{date}{time}"


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
    box_xyxy_px: tuple[float, float, float, float]
    concept: tuple[str, str]
    tracking_identifier: str | None


def read_sr_boxes(dataset: Dataset) -> list[ReportedBox]:
    """The planar regions of a TID 1500 report as boxes, in document order.

    Args:
        dataset: a structured report; anything else has no boxes.
    """
    return [box for group in _groups(dataset) for box in _boxes(group)]


def _groups(root: Dataset) -> Iterator[Dataset]:
    for part in items(root, "ContentSequence"):
        if _name(part) == ("DCM", "126010"):  # Imaging Measurements
            yield from (group for group in items(part, "ContentSequence") if _name(group) == ("DCM", "125007"))


def _boxes(group: Dataset) -> Iterator[ReportedBox]:
    concept, tracking = ("", ""), None
    for item in items(group, "ContentSequence"):
        if _name(item) == ("DCM", "121071"):  # Finding
            concept = _code(items(item, "ConceptCodeSequence"))
        elif _name(item) == ("DCM", "112039"):  # Tracking Identifier
            tracking = text(item, "TextValue")
    for item in items(group, "ContentSequence"):
        outline = numbers(item, "GraphicData")
        if text(item, "ValueType") != "SCOORD" or not outline:
            continue
        for reference in items(item, "ContentSequence"):
            for image in items(reference, "ReferencedSOPSequence"):
                xs, ys = outline[0::2], outline[1::2]
                box = (min(xs), min(ys), max(xs), max(ys))
                frame = whole(image, "ReferencedFrameNumber") or 1
                yield ReportedBox(text(image, "ReferencedSOPInstanceUID") or "", frame, box, concept, tracking)


def _name(item: Dataset) -> tuple[str, str]:
    return _code(items(item, "ConceptNameCodeSequence"))


def _code(sequence: object) -> tuple[str, str]:
    first = sequence[0] if isinstance(sequence, list) and sequence else Dataset()
    return text(first, "CodingSchemeDesignator") or "", text(first, "CodeValue") or ""
