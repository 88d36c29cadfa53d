"""Reviews as a data set: one record an image, outcomes added up, the same version for the same reviews."""

from __future__ import annotations

import pytest

from medground.data.reviewed import (
    OUTCOMES,
    REJECTED,
    RejectedBox,
    gathered,
    outcomes_of,
    rejected_of,
    review_attributes,
)
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.errors import DataSetError
from medground.schema.record import ImageRecord, Region

WRONG = RejectedBox(concept="mass", box_xyxy_px=(1.0, 2.0, 3.0, 4.0), reason="artefact")


def region(concept: str) -> Region:
    return Region(concept=concept, box=Box(x1=1, y1=1, x2=5, y2=5), source="reviewer")


def record(name: str, patient: str, *concepts: str, asked: str = "nodule", **attributes: str) -> ImageRecord:
    return ImageRecord(
        record_id=name,
        patient_id=patient,
        columns=8,
        rows=8,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset="reviews",
        regions=tuple(map(region, concepts)),
        exhaustive_for=frozenset({asked}),
        attributes=attributes,
    )


def test_there_and_back() -> None:
    counts = {"nodule": {"rejected": 1, "accepted": 2}, "mass": {}}
    attributes = review_attributes(counts, [WRONG])
    one = record("a", "p", **attributes)
    assert outcomes_of(one) == {"nodule": {"accepted": 2, "rejected": 1}}
    assert rejected_of(one) == (WRONG,)
    assert review_attributes({}, []) == {}
    assert (outcomes_of(record("a", "p")), rejected_of(record("a", "p"))) == ({}, ())


def test_several_questions_about_an_image_are_one_record() -> None:
    first = record("a", "p", "nodule", **review_attributes({"nodule": {"accepted": 1}}, []))
    second = record("a", "p", "nodule", "mass", asked="mass", **review_attributes({"mass": {"rejected": 1}}, [WRONG]))
    third = record("a", "p", **review_attributes({"mass": {"rejected": 2}}, [WRONG]))
    (one,) = gathered([first, second, third])
    assert [r.concept for r in one.regions] == ["mass", "nodule"]
    assert one.exhaustive_for == {"nodule", "mass"}
    assert outcomes_of(one) == {"nodule": {"accepted": 1}, "mass": {"rejected": 3}}
    assert rejected_of(one) == (WRONG,)


def test_names_of_patients_and_order_follow_from_the_images_alone() -> None:
    one = gathered([record("b", "x1"), record("a", "x2"), record("c", "x2")])
    other = gathered([record("c", "y9"), record("b", "y1"), record("a", "y9")])
    assert one == other
    assert [(r.record_id, r.patient_id) for r in one] == [
        ("a", "patient-000001"),
        ("b", "patient-000002"),
        ("c", "patient-000001"),
    ]


@pytest.mark.parametrize(("name", "read"), [(OUTCOMES, outcomes_of), (REJECTED, rejected_of)])
def test_what_cannot_be_read_is_told(name: str, read: object) -> None:
    with pytest.raises(DataSetError, match=name):
        read(record("a", "p", **{name: "nothing"}))  # type: ignore[operator]
