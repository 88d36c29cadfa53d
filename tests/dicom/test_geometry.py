"""Pixels to millimetres and sides, against cases worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.dicom.geometry import Plane, columns_toward_left, directions, head_direction, plane_of, side_of_box
from medground.dicom.header import ImageHeader
from medground.schema.anatomy import Side

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def _header(**changes: Any) -> ImageHeader:
    plain = ImageHeader(
        sop_class_uid="1",
        sop_instance_uid="1.1",
        series_instance_uid="1.2",
        study_instance_uid="1.3",
        modality="DX",
        photometric="MONOCHROME2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        rows=100,
        columns=200,
        frames=1,
    )
    return dataclasses.replace(plain, **changes)


def test_axial_slice_by_hand() -> None:
    plane = Plane((-100.0, -80.0, 30.0), AXIAL, (0.5, 0.8))
    assert plane.to_lps(0.5, 0.5) == (-100.0, -80.0, 30.0)  # centre of the first pixel
    assert plane.to_lps(10.5, 20.5) == pytest.approx((-92.0, -70.0, 30.0))
    assert plane.to_pixel((-92.0, -70.0, 33.0)) == pytest.approx((10.5, 20.5, 3.0))
    assert plane.normal == (0.0, 0.0, 1.0)
    assert plane.along_normal_mm == 30.0


def test_coronal_slice_by_hand() -> None:
    plane = Plane((-10.0, 7.0, 200.0), CORONAL, (2.0, 1.0))
    assert plane.to_lps(3.5, 4.5) == pytest.approx((-7.0, 7.0, 192.0))
    assert plane.normal == (0.0, 1.0, 0.0)


@given(
    x=st.floats(-500, 3000),
    y=st.floats(-500, 3000),
    orientation=st.sampled_from([AXIAL, CORONAL, SAGITTAL, (0.8, 0.6, 0.0, -0.36, 0.48, -0.8)]),
    between_rows=st.floats(0.05, 5),
    between_columns=st.floats(0.05, 5),
)
def test_there_and_back(
    x: float, y: float, orientation: tuple[float, ...], between_rows: float, between_columns: float
) -> None:
    plane = Plane((12.0, -34.0, 56.0), orientation, (between_rows, between_columns))  # type: ignore[arg-type]  # the cases are data
    back_x, back_y, away = plane.to_pixel(plane.to_lps(x, y))
    assert back_x == pytest.approx(x, abs=1e-6)
    assert back_y == pytest.approx(y, abs=1e-6)
    assert away == pytest.approx(0, abs=1e-6)


def test_a_plane_needs_all_three() -> None:
    whole = {"image_position_mm": (0.0, 0.0, 0.0), "image_orientation": AXIAL, "spacing_mm": (1.0, 1.0)}
    assert plane_of(_header(**whole)) == Plane((0.0, 0.0, 0.0), AXIAL, (1.0, 1.0))
    for missing in whole:
        assert plane_of(_header(**{**whole, missing: None})) is None


@pytest.mark.parametrize(
    ("changes", "left", "feet"),
    [
        ({"patient_orientation": ("L", "F")}, 1, 1),
        ({"patient_orientation": ("R", "H")}, -1, -1),
        ({"patient_orientation": ("LF", "FR")}, 1, 1),
        ({"patient_orientation": ("P", "F")}, None, 1),
        ({"image_orientation": AXIAL}, 1, None),
        ({"image_orientation": (-1.0, 0.0, 0.0, 0.0, 0.0, 1.0)}, -1, -1),
        ({"image_orientation": CORONAL}, 1, 1),
        ({"image_orientation": SAGITTAL}, None, 1),
        ({}, None, None),
    ],
)
def test_directions(changes: dict[str, Any], left: int | None, feet: int | None) -> None:
    assert columns_toward_left(_header(**changes)) == left
    assert head_direction(_header(**changes)) == feet


@pytest.mark.parametrize(
    ("box", "side"),
    [
        ((10, 10, 40, 40), Side.RIGHT),
        ((150, 10, 190, 40), Side.LEFT),
        ((60, 10, 105, 40), Side.RIGHT),  # a ninth of it beyond the midline
        ((20, 10, 180, 40), Side.BILATERAL),
        ((90, 10, 110, 40), None),
    ],
)
def test_side_of_a_frontal_film(box: tuple[float, float, float, float], side: Side | None) -> None:
    mirrored = (200 - box[2], box[1], 200 - box[0], box[3])
    assert side_of_box(_header(patient_orientation=("L", "F")), box) == side
    assert side_of_box(_header(patient_orientation=("R", "F")), mirrored) == side
    assert side_of_box(_header(), box) is None


def test_side_of_a_limb_is_that_of_the_image() -> None:
    hand = _header(body_part="HAND", image_laterality="R", patient_orientation=("L", "F"))
    assert side_of_box(hand, (150, 10, 190, 40)) == Side.RIGHT
    chest = _header(body_part="CHEST", image_laterality="R", patient_orientation=("L", "F"))
    assert side_of_box(chest, (150, 10, 190, 40)) == Side.LEFT


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, None),
        ({"patient_orientation": ("L", "F")}, ("L", "F")),
        ({"patient_orientation": ("RH", "HL")}, ("R", "H")),
        ({"patient_orientation": ("L", "R")}, None),
        ({"patient_orientation": ("LE", "D")}, None),
        ({"image_orientation": AXIAL}, ("L", "P")),
        ({"image_orientation": CORONAL}, ("L", "F")),
        ({"image_orientation": SAGITTAL}, ("P", "F")),
        ({"image_orientation": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0), "patient_orientation": ("L", "P")}, ("R", "A")),
        ({"image_orientation": (0.0, 0.0, 1.0, 0.0, 1.0, 0.0)}, ("H", "P")),
        ({"image_orientation": (0.6, 0.6, 0.53, -0.6, 0.7, -0.1)}, None),
    ],
)
def test_directions_are_the_letters_of_the_axes_that_lie_nearest(elements: dict[str, Any], expected: Any) -> None:
    assert directions(_header(**elements)) == expected
