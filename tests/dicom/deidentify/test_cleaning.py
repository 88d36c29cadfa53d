from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement

from medground.dicom.deidentify.cleaning import Cleaner
from medground.dicom.deidentify.options import Options
from medground.dicom.deidentify.profile import Action
from medground.dicom.deidentify.pseudonyms import Pseudonyms

PSEUDONYMS = Pseudonyms(bytes(32))


def cleaned(dataset: Dataset, **options: bool) -> Dataset:
    Cleaner(Options(**options), PSEUDONYMS).clean(dataset)
    return dataset


def test_basic_profile_of_a_patient(patient: Dataset) -> None:
    counts = Cleaner(Options(), PSEUDONYMS).clean(patient)
    alias = PSEUDONYMS.patient("K-4711-0815")
    assert (patient.PatientID, str(patient.PatientName)) == (alias, alias)
    assert patient.SOPInstanceUID == PSEUDONYMS.uid("1.2.826.0.1.3680043.77.1.3")
    for keyword in ("StudyDate", "PatientBirthDate", "AccessionNumber", "PatientSex"):
        assert patient[keyword].is_empty
    assert "PatientAge" not in patient
    assert "SeriesDate" not in patient
    assert patient.Manufacturer == "medground"
    assert patient.PatientIdentityRemoved == "YES"
    assert patient.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in patient.DeidentificationMethodCodeSequence] == ["113100"]
    assert counts[Action.UID, "(0008,0018)"] == 1
    assert counts[Action.REMOVE, "(0010,1010)"] == 1


def test_dates_of_a_patient_move_together_and_times_stay(patient: Dataset) -> None:
    item = Dataset()
    item.FrameAcquisitionDateTime = "20250102101112.5+0100"
    patient.FrameContentSequence = [item]
    cleaned(patient, shift_dates=True)
    days = PSEUDONYMS.shift_days("K-4711-0815")
    moved = date(2025, 1, 2) + timedelta(days=days)
    assert patient.StudyDate == f"{moved:%Y%m%d}"
    assert patient.SeriesDate == f"{moved + timedelta(days=1):%Y%m%d}"
    assert patient.FrameContentSequence[0].FrameAcquisitionDateTime == f"{moved:%Y%m%d}101112.5+0100"
    assert patient.StudyTime == "101112"
    assert patient["PatientBirthDate"].is_empty
    assert patient.LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize(("age", "expected"), [("093Y", "090Y"), ("090Y", "090Y"), ("089Y", "089Y"), ("099M", "099M")])
def test_ages_over_89_are_told_apart_no_further(patient: Dataset, age: str, expected: str) -> None:
    patient.PatientAge = age
    cleaned(patient, keep_patient_characteristics=True)
    assert (patient.PatientAge, patient.PatientSex, patient.PatientSize) == (expected, "F", 1.68)


def test_uids_of_the_standard_stay_and_all_others_go(patient: Dataset) -> None:
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    reference.ReferencedSOPInstanceUID = patient.SOPInstanceUID
    patient.ReferencedImageSequence = [reference]
    patient.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"  # a well-known frame of reference (PS3.6 Table A-2)
    cleaned(patient)
    assert patient.ReferencedImageSequence[0].ReferencedSOPInstanceUID == patient.SOPInstanceUID
    assert patient.ReferencedImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert patient.FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


def test_uids_are_kept_on_request(patient: Dataset) -> None:
    before = patient.SOPInstanceUID
    assert cleaned(patient, keep_uids=True).SOPInstanceUID == before


def test_private_and_damaged_elements_go_at_every_depth(patient: Dataset) -> None:
    item = Dataset()
    item.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", "secret")
    item.CodeMeaning = "chest"
    patient.AnatomicRegionSequence = [item]
    patient[0x00185100] = DataElement(0x00185100, "CS", "Annegret was here")
    cleaned(patient)
    assert [element.tag for element in patient.AnatomicRegionSequence[0]] == [0x00080104]
    assert patient.PatientPosition == "REMOVED"


def test_a_report_keeps_its_numbers_and_loses_its_words() -> None:
    words, number, person = Dataset(), Dataset(), Dataset()
    words.ValueType, words.TextValue = "TEXT", "Annegret has a nodule"
    measured = Dataset()
    measured.NumericValue = "12.5"
    number.ValueType, number.MeasuredValueSequence = "NUM", [measured]
    person.ValueType, person.PersonName = "PNAME", "Quacksalber^Ottokar"
    report = Dataset()
    report.ContentSequence = [words, number, person]
    cleaned(report)
    assert report.ContentSequence[0].TextValue == "REMOVED"
    assert report.ContentSequence[1].MeasuredValueSequence[0].NumericValue == 12.5
    assert str(report.ContentSequence[2].PersonName) == "REMOVED"
    assert [item.CodeValue for item in report.DeidentificationMethodCodeSequence] == ["113100", "113104"]


def test_a_coded_person_is_replaced_whole() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "4711", "99HIS", "Quacksalber^Ottokar"
    outer = Dataset()
    outer.PersonIdentificationCodeSequence = [code]
    cleaned(outer)
    (item,) = outer.PersonIdentificationCodeSequence
    assert {element.value for element in item} == {"REMOVED"}
