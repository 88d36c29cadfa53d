"""Positions of frames, from headers that pydicom wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from medground.dicom.frame_positions import frame_positions_mm
from medground.dicom.image import open_image
from tests.dicom.conftest import dicom_file

AXIAL, SAGITTAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]


def positions(frames: int, **elements: Any) -> tuple[float | None, ...]:
    pixels = np.zeros((frames, 4, 5) if frames > 1 else (4, 5), np.uint16)
    opened = open_image(dicom_file(pixels, frames=frames, Modality="MR", **elements))
    return frame_positions_mm(opened.dataset, opened.header)


def groups(position: Sequence[float] | None = None, orientation: Sequence[float] | None = None) -> Dataset:
    """Functional groups with a plane."""
    made = Dataset()
    if position is not None:
        plane = Dataset()
        plane.ImagePositionPatient = list(position)
        made.PlanePositionSequence = [plane]
    if orientation is not None:
        along = Dataset()
        along.ImageOrientationPatient = list(orientation)
        made.PlaneOrientationSequence = [along]
    return made


def test_each_frame_has_its_own_position() -> None:
    own = [groups((7, 8, z)) for z in (-2.5, 0, 10)]
    shared = [groups(orientation=AXIAL)]
    assert positions(3, PerFrameFunctionalGroupsSequence=own, SharedFunctionalGroupsSequence=shared) == (-2.5, 0, 10)


def test_positions_are_along_the_normal() -> None:
    tilt = math.radians(30)  # about the patient's left: the normal is (0, -sin, cos)
    orientation = [1, 0, 0, 0, math.cos(tilt), math.sin(tilt)]
    own = [groups((0, -d * math.sin(tilt), d * math.cos(tilt)), orientation) for d in (0, 2.5, 5)]
    assert positions(3, PerFrameFunctionalGroupsSequence=own) == pytest.approx((0, 2.5, 5))


def test_a_frame_that_says_nothing_or_lies_across_has_none() -> None:
    own = [groups((0, 0, 1), AXIAL), groups(orientation=AXIAL), groups((0, 0, 3), SAGITTAL), groups((0, 0, 4), AXIAL)]
    assert positions(4, PerFrameFunctionalGroupsSequence=own) == (1, None, None, 4)


def test_a_frame_whose_axes_are_rounded_otherwise_has_its_own() -> None:
    """Cosines in a few digits are not of length one."""
    rounded = [0.999, 0, 0, 0, 0.999, 0]
    for orientations in ((rounded, AXIAL), (AXIAL, rounded), (rounded, rounded)):
        own = [groups((0, 0, z), orientation) for z, orientation in zip((1, 2), orientations, strict=True)]
        assert positions(2, PerFrameFunctionalGroupsSequence=own) == pytest.approx((1, 2), rel=0.01)


def test_frames_that_share_one_position_have_it() -> None:
    shared = [groups((0, 0, 6), AXIAL)]
    assert positions(2, SharedFunctionalGroupsSequence=shared) == (6, 6)


@pytest.mark.parametrize(
    ("orientation", "origin", "offsets", "found"),
    [
        (AXIAL, [1, 2, 30], [0, 2.5, 5], (30, 32.5, 35)),
        (SAGITTAL, [4, 2, 30], [0, 2, 4], (-4, -2, 0)),  # its normal goes to the right
        (AXIAL, [1, 2, 30], [30, 32.5, 35], (30, 32.5, 35)),  # z coordinates
        (AXIAL, [1, 2, 0], [0, -2, -4], (0, -2, -4)),
        (SAGITTAL, [4, 2, 30], [30, 32, 34], ()),  # which only an axial object may have
        (AXIAL, [1, 2, 30], [10, 12, 14], ()),
        (AXIAL, [1, 2, 30], [0, 2.5], ()),
    ],
)
def test_offsets_of_a_dose_grid(
    orientation: list[float], origin: list[float], offsets: list[float], found: tuple[float, ...]
) -> None:
    given = {"ImageOrientationPatient": orientation, "ImagePositionPatient": origin, "GridFrameOffsetVector": offsets}
    assert positions(3, **given) == found


def test_what_is_said_of_the_whole_is_not_said_of_frames() -> None:
    whole = {"ImageOrientationPatient": AXIAL, "ImagePositionPatient": [0, 0, 5]}
    assert positions(3, **whole) == ()
    assert positions(3) == ()
    assert positions(1, **whole) == ()
