"""The modules around the content tree: whose report it is, about which study, from which images (PS3.3 A.35)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from medground.dicom.elements import text
from medground.dicom.image import DicomImage
from medground.dicom.sr import codes
from medground.dicom.sr.evidence import evidence
from medground.schema.result import ModelInfo, Settings

# Type 2 in every image; absent in some.
_COPIED = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_DATE, _TIME = r"\d{8}", r"\d{6}(\.\d{1,6})?"
_FORMS = {"PatientBirthDate": _DATE, "StudyDate": _DATE, "StudyTime": _TIME}
_UNKNOWN_DATE, _UNKNOWN_TIME = "19000101", "000000"
_SERIES_NUMBER, _LONG = 9900, 64


def document_around(
    root: Dataset, sop_class_uid: UID, uids: tuple[str, str], images: Mapping[str, DicomImage]
) -> Dataset:
    """A data set of the modules of an SR document and the content tree, unverified and preliminary.

    Dates are those of the study, not of the clock, so that the same input gives the same bytes.

    Args:
        root: of the content tree.
        sop_class_uid: kind of report.
        uids: Series and SOP Instance UID.
        images: what the report is about, of one study; patient and study are those of the first.
    """
    first = images[min(images)]
    document = Dataset()
    document.SpecificCharacterSet = "ISO_IR 192"
    document.CodingSchemeIdentificationSequence = [_private_scheme()]
    document.SOPClassUID, document.Modality = sop_class_uid, "SR"
    document.SeriesInstanceUID, document.SOPInstanceUID = map(UID, uids)
    document.StudyInstanceUID = first.header.study_instance_uid
    for keyword in _COPIED:
        setattr(document, keyword, _copied(first.dataset, keyword))
    date, time = document.StudyDate or _UNKNOWN_DATE, document.StudyTime or _UNKNOWN_TIME
    document.ContentDate = document.InstanceCreationDate = document.SeriesDate = date
    document.ContentTime = document.InstanceCreationTime = document.SeriesTime = time
    document.SeriesNumber, document.InstanceNumber = _SERIES_NUMBER, 1
    document.SeriesDescription = "medground: findings for review"
    document.CompletionFlag, document.VerificationFlag, document.PreliminaryFlag = (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    document.ReferencedPerformedProcedureStepSequence = []
    document.PerformedProcedureCodeSequence = []
    document.CurrentRequestedProcedureEvidenceSequence = [evidence(images)]
    document.update(root)
    document.file_meta = FileMetaDataset()
    document.file_meta.MediaStorageSOPClassUID = sop_class_uid
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return document


def set_equipment(document: Dataset, model: ModelInfo, settings: Settings) -> None:
    """Name the model as the equipment that made the report."""
    document.Manufacturer = "medground"
    document.ManufacturerModelName = _long(model.name)
    document.DeviceSerialNumber = _long(model.sha256[:16])
    document.SoftwareVersions = [_long(model.version), _long(settings.code_version)]


def _private_scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    scheme.CodingSchemeName = scheme.CodingSchemeResponsibleOrganization = "medground"
    return scheme


def _long(words: str) -> str:
    """What of the words an LO element holds."""
    return re.sub(r"[\x00-\x1f\x7f\\]", " ", words)[:_LONG].strip() or "unknown"


def _copied(dataset: Dataset, keyword: str) -> str | None:
    """An element of the image as text; none where it is absent, unreadable or a date that is none."""
    found = text(dataset, keyword)
    return found if found is None or re.fullmatch(_FORMS.get(keyword, r".*"), found, re.DOTALL) else None
