"""The frame of an object that medground derives from images: whose it is, what made it, when, and from what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medground.dicom.evidence import evidence_of
from medground.dicom.image import DicomImage
from medground.schema.errors import UsageError
from medground.schema.result import ModelInfo, Settings, StudyResult
from medground.schema.vocabulary import Code

_UNKNOWN_DATE, _UNKNOWN_TIME = "19000101", "000000"
_PRIVATE_SCHEME, _LONG, _SHORT = "99MEDGROUND", 64, 16


@dataclass(frozen=True, slots=True)
class Kind:
    """What kind of object is derived: its SOP class, modality, and the number that its series is given."""

    sop_class_uid: UID
    modality: str
    series_number: int


def check_images(study: StudyResult, images: Mapping[str, DicomImage], what: str) -> None:
    """Refuse what no DICOM object can refer to.

    Args:
        study: the result.
        images: SOP Instance UID to image.
        what: is to be written, for the message.

    Raises:
        UsageError: a plain picture, no image, an image without valid UIDs, or an image of another study.
    """
    if study.study_instance_uid is None or not images:
        raise UsageError(f"a {what} needs a DICOM study: ask for json and png for a plain picture")
    for uid, image in images.items():
        header = image.header
        uids = (header.sop_class_uid, header.sop_instance_uid, header.series_instance_uid, header.study_instance_uid)
        if header.sop_instance_uid != uid or not all(UID(one).is_valid for one in uids):
            raise UsageError(
                "an image without valid SOP class, instance, series and study UIDs cannot be referred to "
                f"({uid or 'none'})"
            )
        if header.study_instance_uid != study.study_instance_uid:
            raise UsageError(f"instance {uid} is not of study {study.study_instance_uid}")


def derived_object(
    kind: Kind, uids: tuple[str, str], number: int, image: DicomImage, model: ModelInfo, settings: Settings
) -> Dataset:
    """A data set with patient, study, series, equipment and dates, that `save_as` writes once its content is added.

    Dates are those of the study, not of the clock, so that the same input gives the same bytes.

    Args:
        kind: of object.
        uids: Series and SOP Instance UID.
        number: of the instance in its series, from 1.
        image: any image of the study.
        model: named as the equipment that made it.
        settings: its code version is named too.
    """
    derived = evidence_of(image)
    derived.SOPClassUID, derived.Modality, derived.SeriesNumber = kind.sop_class_uid, kind.modality, kind.series_number
    derived.SeriesInstanceUID, derived.SOPInstanceUID = map(UID, uids)
    derived.InstanceNumber = number
    derived.SeriesDescription = "medground: findings for review"
    date, time = derived.StudyDate or _UNKNOWN_DATE, derived.StudyTime or _UNKNOWN_TIME
    derived.SeriesDate = derived.InstanceCreationDate = date
    derived.SeriesTime = derived.InstanceCreationTime = time
    derived.Manufacturer, derived.ManufacturerModelName = "medground", long_string(model.name)
    derived.DeviceSerialNumber = long_string(model.sha256[:16])
    derived.SoftwareVersions = [long_string(model.version), long_string(settings.code_version)]
    derived.file_meta = FileMetaDataset()
    derived.file_meta.MediaStorageSOPClassUID = kind.sop_class_uid
    derived.file_meta.MediaStorageSOPInstanceUID = derived.SOPInstanceUID
    derived.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return derived


def identify_content(derived: Dataset) -> None:
    """Label the content of a presentation state or segmentation (PS3.3 Table 10-12)."""
    derived.ContentLabel, derived.ContentDescription = "MEDGROUND", "Findings for review, not verified"
    derived.ContentCreatorName = "medground^software"


def name_private_scheme(derived: Dataset) -> None:
    """Say whose codes stand under 99MEDGROUND."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = _PRIVATE_SCHEME
    scheme.CodingSchemeName = scheme.CodingSchemeResponsibleOrganization = "medground"
    derived.CodingSchemeIdentificationSequence = [scheme]


def image_reference(image: DicomImage, frames: Iterable[int] = ()) -> Dataset:
    """An item that refers to an image, or to some of its frames (PS3.3 Table 10-3).

    Args:
        image: referred to.
        frames: 1-based; all of them if empty. An image with one frame has no frame numbers.
    """
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.header.sop_class_uid
    reference.ReferencedSOPInstanceUID = image.header.sop_instance_uid
    chosen = sorted(frames)
    if chosen and image.header.frames > 1:
        reference.ReferencedFrameNumber = chosen
    return reference


def code_sequence(code: Code) -> list[Dataset]:
    """A code as the only item of a code sequence.

    Raises:
        UsageError: a code that DICOM cannot hold.
    """
    if not (0 < len(code.scheme) <= 16 and code.value and 0 < len(code.meaning) <= 64):
        raise UsageError(
            f"code {code.scheme} {code.value!r} cannot be written: DICOM holds 1 to 16 characters of the scheme and "
            "1 to 64 of the meaning"
        )
    item = Dataset()
    if len(code.value) > _SHORT:
        item.LongCodeValue = code.value  # PS3.3 table 8.8-1
    else:
        item.CodeValue = code.value
    item.CodingSchemeDesignator, item.CodeMeaning = code.scheme, code.meaning
    return [item]


def long_string(words: str) -> str:
    """What of the words an LO element holds."""
    return re.sub(r"[\x00-\x1f\x7f\\]", " ", words)[:_LONG].strip() or "unknown"


def decimal_string(number: float) -> str:
    """A number in at most the 16 characters of a DS element."""
    return next(words for digits in range(17, 0, -1) if len(words := f"{number:.{digits}g}") <= 16)
