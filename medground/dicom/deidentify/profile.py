"""Which action each element calls for: PS3.15 Table E.1-1 as dicom-anonymizer carries it, and what it leaves open.

dicom-anonymizer (Kitware, BSD-3-Clause, releases for each edition) is used for its table alone: its own actions go no
deeper than the outermost data set, draw UIDs at random and leave a dummy where a date should go. Elements that the
table does not list are kept by the standard; here free text is kept only where it is known to be technical.
"""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import Final

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import keyword_for_tag
from pydicom.tag import BaseTag

from medground.dicom.deidentify.options import Options

EDITION: Final = "2026c"
DATE_VRS: Final = frozenset({"DA", "DT", "TM"})
TEXT_VRS: Final = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT", "PN"})
_BULK_VRS: Final = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "OB or OW"})


class Action(StrEnum):
    """What becomes of an element (PS3.15 Table E.1-1a)."""

    REMOVE = "removed"
    EMPTY = "emptied"
    DUMMY = "replaced by a dummy"
    PSEUDONYM = "replaced by a pseudonym"
    UID = "UID remapped"
    SHIFT = "date shifted"
    WALK = "cleaned within"
    KEEP = "kept"


_SINGLE: Final = {"D_TAGS": Action.DUMMY, "Z_TAGS": Action.EMPTY, "X_TAGS": Action.REMOVE, "U_TAGS": Action.UID}
# The table leaves these to the module's attribute type, which is not known here: the choice that is valid more often.
_COMPOUND: Final = {
    "Z_D_TAGS": Action.DUMMY,
    "X_Z_TAGS": Action.EMPTY,
    "X_D_TAGS": Action.DUMMY,
    "X_Z_D_TAGS": Action.EMPTY,
    "X_Z_U_STAR_TAGS": Action.WALK,
}
_WALKED: Final = frozenset({"ContentSequence", "GraphicAnnotationSequence"})
_PSEUDONYMS: Final = frozenset({"PatientName", "PatientID"})
_NEVER_SHIFTED: Final = frozenset({"PatientBirthDate", "PatientBirthTime"})
_FIXED_UIDS: Final = (
    "ClassUID", "TransferSyntaxUID", "CodingSchemeUID", "ContextUID", "MappingResourceUID",
    "ClassesSupported", "ClassesInMedia", "RelatedGeneralSOPClassUID",
)  # fmt: skip
# Table E.1-1, column "Retain Patient Characteristics": K. What must be cleaned there (C) is free text and goes.
_PATIENT: Final = frozenset({
    "EthnicGroup", "EthnicGroupCodeSequence", "PatientAge", "PatientSex", "PatientSexNeutered", "PatientSize",
    "PatientWeight", "PregnancyStatus", "SmokingStatus",
})  # fmt: skip
# Table E.1-1, column "Retain Device Identity": K, but for its dates, which follow --shift-dates.
_DEVICE: Final = frozenset({
    "CassetteID", "DetectorID", "DeviceDescription", "DeviceLabel", "DeviceSerialNumber", "DeviceUID", "GantryID",
    "GeneratorID", "LensMake", "LensModel", "LensSerialNumber", "LensSpecification", "ManufacturerDeviceClassUID",
    "ManufacturerDeviceIdentifier", "ModifyingDeviceID", "ModifyingSystem",
    "PerformedStationGeographicLocationCodeSequence", "PerformedStationName", "PerformedStationNameCodeSequence",
    "PlateID", "ScheduledProcedureStepLocation", "ScheduledStationGeographicLocationCodeSequence",
    "ScheduledStationName", "ScheduledStationNameCodeSequence", "ScheduledStudyLocation", "SourceManufacturer",
    "SourceSerialNumber", "StationName", "TransducerIdentificationSequence", "TreatmentMachineName", "UDISequence",
    "UniqueDeviceIdentifier", "XRayDetectorID", "XRayDetectorLabel", "XRaySourceID",
})  # fmt: skip
_TECHNICAL_TEXT: Final = frozenset({
    "AlgorithmName", "AlgorithmVersion", "CodeMeaning", "CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion",
    "ConvolutionKernel", "FilterType", "ImagedNucleus", "LUTExplanation", "LongCodeValue", "Manufacturer",
    "ManufacturerModelName", "ModalityLUTType", "PositionReferenceIndicator", "ProcessingFunction",
    "Radiopharmaceutical", "ReceiveCoilName", "RescaleType", "SegmentAlgorithmName", "SequenceName",
    "SoftwareVersions", "TransmitCoilName", "URNCodeValue", "WindowCenterWidthExplanation",
})  # fmt: skip
_BULK_GROUPS: Final = frozenset({0x0028, 0x0066, 0x5400})  # lookup tables, surfaces, waveforms


@functools.cache
def _table() -> dict[int, tuple[Action, bool]]:
    """Tag to (action, whether it is a compound one) of the basic profile."""
    found: dict[int, tuple[Action, bool]] = {}
    categories = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    for category, action in (_SINGLE | _COMPOUND).items():
        for group, number, *mask in categories[category]:
            if not mask:  # the repeating groups are curves and overlays: see `action_for`
                found[group << 16 | number] = (action, category in _COMPOUND)
    return found


def action_for(tag: BaseTag, vr: str, options: Options) -> Action:
    """What becomes of an element, wherever it stands.

    Args:
        tag: of the element.
        vr: of the element after the data dictionary was asked.
        options: what is kept.

    Source: PS3.15 E.2 and E.3, Table E.1-1.
    """
    keyword = keyword_for_tag(tag)
    if tag.is_private or not keyword or vr == "UN" or tag.element == 0 or tag.group & 0xFF00 in (0x5000, 0x6000):
        return Action.REMOVE
    if keyword in _PSEUDONYMS:
        return Action.PSEUDONYM
    if (options.keep_patient_characteristics and keyword in _PATIENT) or (options.keep_device and keyword in _DEVICE):
        return Action.WALK if vr == "SQ" else Action.KEEP
    listed, compound = _table().get(tag, (None, False))
    if vr in DATE_VRS:
        return _date_action(keyword, vr, listed, compound, options)
    if vr == "UI":
        return _uid_action(keyword, listed, options)
    if vr == "SQ":
        if keyword in _WALKED or listed is None or listed is Action.WALK:
            return Action.WALK
        return Action.REMOVE if compound and listed is Action.DUMMY else listed
    if keyword == "TimezoneOffsetFromUTC" and options.shift_dates:
        return Action.KEEP
    return listed or _unlisted(tag, vr, keyword)


def _date_action(keyword: str, vr: str, listed: Action | None, compound: bool, options: Options) -> Action:
    if options.shift_dates and keyword not in _NEVER_SHIFTED and "AlternativeCalendar" not in keyword:
        return Action.KEEP if vr == "TM" else Action.SHIFT
    if compound and listed is Action.DUMMY and keyword not in ("ContentDate", "ContentTime"):
        return Action.REMOVE
    return listed or Action.REMOVE


def _uid_action(keyword: str, listed: Action | None, options: Options) -> Action:
    if keyword.endswith(_FIXED_UIDS) and listed is None:
        return Action.KEEP
    if listed in (None, Action.UID):
        return Action.KEEP if options.keep_uids else Action.UID
    return listed or Action.UID


def _unlisted(tag: BaseTag, vr: str, keyword: str) -> Action:
    if vr in TEXT_VRS:
        return Action.KEEP if keyword in _TECHNICAL_TEXT else Action.DUMMY
    if vr == "AS":
        return Action.EMPTY
    if vr in _BULK_VRS:
        return Action.KEEP if tag.group in _BULK_GROUPS else Action.REMOVE
    return Action.KEEP
