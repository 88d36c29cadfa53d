from __future__ import annotations

import pytest

from medground.data.image_groups import groups_of
from medground.data.phantom.chest_radiograph import chest_radiograph, to_record
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord
from medground.schema.subgroup import Axis

FRACATLAS = {"hand": "1", "leg": "0", "hip": "0", "shoulder": "0", "frontal": "1", "lateral": "0", "oblique": "1"}


def groups(dataset: str = "films", **attributes: str) -> dict[Axis, str]:
    return groups_of(
        ImageRecord(
            record_id="r",
            patient_id="p",
            columns=10,
            rows=10,
            domain=Domain.OTHER,
            dataset=dataset,
            attributes=attributes,
        )
    )


def test_the_columns_of_fracatlas():
    assert groups("fracatlas", **FRACATLAS, hardware="1", multiscan="1") == {
        Axis.BODY_PART: "hand",
        Axis.VIEW: "frontal and oblique",
        Axis.IN_PICTURE: "metal",
    }
    assert groups("fracatlas", hardware="0") == {Axis.IN_PICTURE: "no metal"}


def test_the_columns_of_nih():
    said = {"Patient Age": "58", "Patient Gender": "F", "View Position": "AP", "Follow-up #": "3"}
    assert groups("nih", **said) == {
        Axis.SITE: "NIH Clinical Center",
        Axis.AGE_BAND: "40 to 59",
        Axis.SEX: "female",
        Axis.VIEW: "AP",
    }


def test_the_header_of_a_dicom_file():
    assert groups(BodyPartExamined="CHEST", ViewPosition="LL", Modality="DX") == {
        Axis.BODY_PART: "chest",
        Axis.VIEW: "lateral",
    }


@pytest.mark.parametrize(
    ("said", "maker"),
    [
        ("GE MEDICAL SYSTEMS", "GE"),
        ('"GE Healthcare"', "GE"),
        ("SIEMENS", "Siemens"),
        ("Philips Medical Systems", "Philips"),
        ("FUJI PHOTO FILM Co., ltd.", "Fujifilm"),
        ("Gemini", None),
        ("Dr. Doe, Springfield", None),
        ("", None),
    ],
)
def test_only_makers_of_a_list_are_kept(said, maker):
    assert groups(Manufacturer=said).get(Axis.DEVICE) == maker


@pytest.mark.parametrize(("said", "part"), [("HAND", "hand"), ("CSPINE", "cspine"), ("DOE^JANE", None), ("", None)])
def test_only_body_parts_of_a_list_are_kept(said, part):
    assert groups(BodyPartExamined=said).get(Axis.BODY_PART) == part


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("17", "under 18"),
        ("006M", "under 18"),
        ("018Y", "18 to 39"),
        ("039Y", "18 to 39"),
        ("60", "60 to 79"),
        ("080Y", "80 and older"),
        ("414", None),  # a slip of the source
        ("adult", None),
        ("", None),
    ],
)
def test_an_age_becomes_a_band(age, band):
    assert groups(Patient_age=age).get(Axis.AGE_BAND) == band


def test_a_phantom_says_its_view_and_what_lies_on_it():
    image = chest_radiograph(5_000_002, size_px=64)
    assert image.attributes["devices"] == "none"
    assert groups_of(to_record(image, record_id="phantom-5000002")) == {
        Axis.VIEW: "frontal",
        Axis.IN_PICTURE: "no tubes or devices",
    }


def test_what_nobody_says_is_left_out():
    assert groups(sex="O", view="somehow", note="58Y F") == {}
