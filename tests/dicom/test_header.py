"""Header: where millimetres come from, and what an untidy file makes of the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from medground.dicom.geometry import Plane
from medground.dicom.image import open_image
from medground.schema.result import SpacingSource

PIXELS = np.zeros((4, 6), np.uint16)


@pytest.mark.parametrize(
    ("elements", "spacing", "source"),
    [
        ({}, None, None),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), SpacingSource.DETECTOR),
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1), SpacingSource.DETECTOR),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), SpacingSource.DETECTOR),
        (
            {"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"},
            (0.2, 0.1),
            SpacingSource.DETECTOR,
        ),
        ({"PixelSpacing": [0.15, 0.1], "ImagerPixelSpacing": [0.2, 0.1]}, (0.15, 0.1), SpacingSource.CALIBRATION),
        (
            {"PixelSpacing": [0.2, 0.1], "PixelSpacingCalibrationType": "GEOMETRY"},
            (0.2, 0.1),
            SpacingSource.CALIBRATION,
        ),
        ({"PixelSpacing": [0.2, 0.1], "Modality": "CT"}, (0.2, 0.1), SpacingSource.PATIENT_PLANE),
        ({"PixelSpacing": [0, 0.1], "Modality": "MR"}, None, None),
    ],
)
def test_spacing(
    make_file: Callable[..., bytes],
    elements: dict[str, Any],
    spacing: tuple[float, float] | None,
    source: SpacingSource | None,
) -> None:
    header = open_image(make_file(PIXELS, **elements)).header
    assert (header.spacing_mm, header.spacing_source) == (spacing, source)


def test_plain_elements(make_file: Callable[..., bytes]) -> None:
    header = open_image(
        make_file(
            PIXELS,
            BodyPartExamined="CHEST",
            ViewPosition="PA",
            PatientOrientation=["L", "F"],
            InstanceNumber=7,
            ImageLaterality="",
            Laterality="R",
            ImageType=["DERIVED", "PRIMARY"],
        )
    ).header
    assert (header.rows, header.columns, header.frames) == (4, 6, 1)
    assert (header.body_part, header.view_position, header.patient_orientation) == ("CHEST", "PA", ("L", "F"))
    assert (header.instance_number, header.image_laterality, header.image_type) == (7, "R", ("DERIVED", "PRIMARY"))
    assert header.sop_instance_uid == "1.2.3.1"
    assert header.series_instance_uid == "1.2.3.2"
    assert header.study_instance_uid == "1.2.3.3"


def test_coded_anatomy_where_plain_words_are_absent(make_file: Callable[..., bytes]) -> None:
    region, view = Dataset(), Dataset()
    region.CodeMeaning, view.CodeMeaning = "Chest", "postero-anterior"
    elements = {"AnatomicRegionSequence": Sequence([region]), "ViewCodeSequence": Sequence([view])}
    header = open_image(make_file(PIXELS, **elements)).header
    assert (header.body_part, header.view_position) == ("CHEST", "POSTERO-ANTERIOR")


@pytest.mark.parametrize("letters", ["L", ["L", ""], ["L", "F", "H"]])
def test_incomplete_orientation_is_none(make_file: Callable[..., bytes], letters: Any) -> None:
    assert open_image(make_file(PIXELS, PatientOrientation=letters)).header.patient_orientation is None


def test_orientation_that_is_no_direction_is_none(make_file: Callable[..., bytes]) -> None:
    header = open_image(make_file(PIXELS, Modality="CT", ImageOrientationPatient=[0, 0, 0, 0, 1, 0])).header
    assert header.image_orientation is None


def test_each_frame_has_its_plane(make_file: Callable[..., bytes]) -> None:
    def place(z: float) -> Dataset:
        item, position = Dataset(), Dataset()
        position.ImagePositionPatient = [-5, -6, z]
        item.PlanePositionSequence = Sequence([position])
        return item

    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.8], 2.5
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    image = open_image(
        make_file(
            np.zeros((2, 4, 6), np.uint16),
            frames=2,
            Modality="CT",
            PerFrameFunctionalGroupsSequence=Sequence([place(10), place(12.5)]),
            SharedFunctionalGroupsSequence=Sequence([shared]),
        )
    )
    assert image.header.slice_thickness_mm == 2.5
    assert image.header.spacing_source == SpacingSource.PATIENT_PLANE
    assert image.frame_geometry(1) == Plane((-5, -6, 10), (1, 0, 0, 0, 1, 0), (0.7, 0.8))
    assert image.frame_geometry(2) == Plane((-5, -6, 12.5), (1, 0, 0, 0, 1, 0), (0.7, 0.8))
