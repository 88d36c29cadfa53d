from __future__ import annotations

import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import Tag

from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.profile import Action, action_for

# Read in PS3.15 Table E.1-1 by hand.
BASIC = {
    "PatientName": Action.PSEUDONYM,
    "PatientID": Action.PSEUDONYM,
    "AccessionNumber": Action.EMPTY,
    "PatientSex": Action.EMPTY,
    "PatientBirthDate": Action.EMPTY,
    "StudyDate": Action.EMPTY,
    "StudyID": Action.EMPTY,
    "ReferringPhysicianName": Action.EMPTY,
    "PatientAge": Action.REMOVE,
    "PatientAddress": Action.REMOVE,
    "StudyDescription": Action.REMOVE,
    "ImageComments": Action.REMOVE,
    "IconImageSequence": Action.REMOVE,
    "OtherPatientIDsSequence": Action.REMOVE,
    "InstanceCreatorUID": Action.UID,
    "SOPInstanceUID": Action.UID,
    "FrameOfReferenceUID": Action.UID,
    "ContentDate": Action.DUMMY,
    "PersonName": Action.DUMMY,
    "ReferencedImageSequence": Action.WALK,
    "SourceImageSequence": Action.WALK,
    "ContentSequence": Action.WALK,
    # Not in the table: kept by the standard.
    "SOPClassUID": Action.KEEP,
    "Rows": Action.KEEP,
    "PixelSpacing": Action.KEEP,
    "ImageType": Action.KEEP,
    "Manufacturer": Action.KEEP,
    "RedPaletteColorLookupTableData": Action.KEEP,
    "SharedFunctionalGroupsSequence": Action.WALK,
    # Not in the table, and text or time: not kept here.
    "PixelSpacingCalibrationDescription": Action.DUMMY,
    "SegmentLabel": Action.DUMMY,
}


def action(keyword: str, **options: bool) -> Action:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return action_for(Tag(tag), dictionary_VR(tag), Options(**options))


@pytest.mark.parametrize("keyword", BASIC)
def test_basic_profile(keyword: str) -> None:
    assert action(keyword) is BASIC[keyword]


@pytest.mark.parametrize("tag", [0x00091010, 0x00090010, 0x60003000, 0x601E4000, 0x50003000, 0x00080000, 0x00181FF1])
def test_private_overlay_curve_length_and_unknown_go(tag: int) -> None:
    assert action_for(Tag(tag), "LO", Options()) is Action.REMOVE


@pytest.mark.parametrize(
    ("keyword", "option", "expected"),
    [
        ("StudyDate", "shift_dates", Action.SHIFT),
        ("AcquisitionDateTime", "shift_dates", Action.SHIFT),
        ("StudyTime", "shift_dates", Action.KEEP),
        ("TimezoneOffsetFromUTC", "shift_dates", Action.KEEP),
        ("PatientBirthDate", "shift_dates", Action.EMPTY),
        ("PatientSex", "keep_patient_characteristics", Action.KEEP),
        ("PatientAge", "keep_patient_characteristics", Action.KEEP),
        ("PatientWeight", "keep_patient_characteristics", Action.KEEP),
        ("Allergies", "keep_patient_characteristics", Action.REMOVE),
        ("DeviceSerialNumber", "keep_device", Action.KEEP),
        ("StationName", "keep_device", Action.KEEP),
        ("DeviceUID", "keep_device", Action.KEEP),
        ("PerformedStationAETitle", "keep_device", Action.REMOVE),
        ("SOPInstanceUID", "keep_uids", Action.KEEP),
        ("InstitutionName", "keep_device", Action.EMPTY),
    ],
)
def test_options_keep_what_the_table_lets_them_keep_and_no_more(keyword: str, option: str, expected: Action) -> None:
    assert action(keyword, **{option: True}) is expected
    assert action(keyword, **{option: True}) is not action(keyword) or expected in (Action.EMPTY, Action.REMOVE)


def test_every_date_and_name_of_the_dictionary_is_taken_care_of() -> None:
    kept = {
        entry[4]
        for tag, entry in DicomDictionary.items()
        if entry[0] in ("DA", "DT", "TM", "PN", "AE") and action_for(Tag(tag), entry[0], Options()) is Action.KEEP
    }
    assert kept == set()
