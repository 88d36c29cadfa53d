"""The result of a study as a DICOM structured report (TID 1500)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from medground.dicom.boundary import typed_errors
from medground.dicom.derived import check_images
from medground.dicom.header import ImageHeader
from medground.dicom.identifiers import result_identity, uid_of
from medground.dicom.image import DicomImage
from medground.dicom.sr import codes
from medground.dicom.sr.document import document_around
from medground.dicom.sr.groups import measurement_groups
from medground.dicom.sr.items import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    code_item,
    container,
    image_item,
    number_item,
    text_item,
    uid_item,
)
from medground.dicom.sr.record import to_items
from medground.dicom.sr.review import Review, observer, verify
from medground.schema.errors import UnreadableFileError
from medground.schema.result import SCHEMA_VERSION, ModelInfo, Settings, StudyResult


class SrKind(StrEnum):
    """Which kind of document carries the report; the content is the same."""

    COMPREHENSIVE = "comprehensive"
    COMPREHENSIVE_3D = "comprehensive 3D"


_SOP_CLASSES = {SrKind.COMPREHENSIVE: ComprehensiveSRStorage, SrKind.COMPREHENSIVE_3D: Comprehensive3DSRStorage}


def write_sr(
    study: StudyResult,
    model: ModelInfo,
    settings: Settings,
    images: Mapping[str, DicomImage],
    *,
    kind: SrKind = SrKind.COMPREHENSIVE,
    review: Review | None = None,
) -> Dataset:
    """Write a study's answers as a structured report, unverified and preliminary unless a person reviewed them.

    `read_sr` gives the result back from the content alone. UIDs follow from the images, the questions, the bundle, the
    settings and the kind, and from nothing else, so that sending twice makes no duplicate; a review makes a new
    instance. The same input gives the same bytes.

    Args:
        study: all answers about one DICOM study, with or without findings.
        model: named as observing device and algorithm.
        settings: what else the result depends on.
        images: SOP Instance UID to image, for every image examined; all of one study.
        kind: of document.
        review: who verified `study` and which report it was reviewed in; None for the model's own report.

    Returns:
        A data set that `save_as` writes.

    Raises:
        UsageError: a plain picture, no image, an image without valid UIDs, a finding on an image not given, a code or
            box that DICOM cannot hold, or a review of another study.
        UnreadableFileError: patient or study elements that no report can be written with.
    """
    check_images(study, images, "structured report")
    identity = result_identity(study, model, settings, images)
    with typed_errors(UnreadableFileError, "the report cannot be written from the header of its images"):
        root = _root(study, model, settings, images, identity, review)
        instance = uid_of("report", kind, identity)
        if review:
            reviewed = (study.model_dump_json(), model.model_dump_json(), settings.model_dump_json())
            instance = uid_of("review", kind, *review.identity, *reviewed)
        uids = (uid_of("series", identity), instance)
        document = document_around(root, _SOP_CLASSES[kind], uids, images, model, settings)
        if review:
            verify(document, review)
    return document


def _root(
    study: StudyResult,
    model: ModelInfo,
    settings: Settings,
    images: Mapping[str, DicomImage],
    identity: str,
    review: Review | None,
) -> Dataset:
    """The content tree: observers, images examined, a group for each region, and the answers in order."""
    groups = measurement_groups(study, model, images, identity)
    answers = [
        text_item(codes.field_name("schema_version"), str(SCHEMA_VERSION)),
        text_item(codes.GROUP_COUNT, str(len(groups))),
        *to_items(study),
        container(codes.field_name("model"), to_items(model)),
        container(codes.field_name("settings"), to_items(settings)),
    ]
    return container(
        codes.REPORT,
        [
            code_item(codes.LANGUAGE, codes.ENGLISH, HAS_CONCEPT_MOD),
            *_device(model),
            *(observer(review) if review else ()),
            code_item(codes.PROCEDURE, codes.IMAGING_PROCEDURE, HAS_CONCEPT_MOD),
            _image_library([images[uid].header for uid in sorted(images)]),
            *([container(codes.MEASUREMENTS, groups)] if groups else ()),
            container(codes.QUALITATIVE_EVALUATIONS, answers),
        ],
        relationship=None,
        template="1500",
    )


def _device(model: ModelInfo) -> list[Dataset]:
    """The model as device observer (TID 1004)."""
    return [
        code_item(codes.OBSERVER_TYPE, codes.DEVICE, HAS_OBS_CONTEXT),
        uid_item(codes.DEVICE_UID, uid_of("device", model.sha256), HAS_OBS_CONTEXT),
        text_item(codes.DEVICE_NAME, model.name, HAS_OBS_CONTEXT),
        text_item(codes.DEVICE_MANUFACTURER, "medground", HAS_OBS_CONTEXT),
        text_item(codes.DEVICE_MODEL, model.version, HAS_OBS_CONTEXT),
    ]


def _image_library(headers: Sequence[ImageHeader]) -> Dataset:
    """The images examined (TID 1600), with modality and size alone: many real images lack more."""
    entries = []
    for header in headers:
        entry = image_item(codes.SOURCE, header.sop_class_uid, header.sop_instance_uid, CONTAINS, None)
        entry.ContentSequence = [
            code_item(codes.MODALITY, codes.modality_of(header.modality), HAS_ACQ_CONTEXT),
            number_item(codes.ROWS, header.rows, codes.PIXELS, HAS_ACQ_CONTEXT),
            number_item(codes.COLUMNS, header.columns, codes.PIXELS, HAS_ACQ_CONTEXT),
        ]
        entries.append(entry)
    return container(codes.IMAGE_LIBRARY, [container(codes.IMAGE_LIBRARY_GROUP, entries)])
