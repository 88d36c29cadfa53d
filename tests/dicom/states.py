"""Presentation states of findings, and a grey film for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medground.dicom.gsps import write_gsps
from medground.dicom.image import DicomImage
from medground.schema.result import BoxPx, StudyResult
from tests.dicom.conftest import dicom_file
from tests.dicom.sr_results import MODEL, PLACED, SETTINGS, by_uid, finding, loaded, stored, study

GREY_STATE, COLOUR_STATE = "GrayscaleSoftcopyPresentationState", "ColorSoftcopyPresentationState"
ROWS, COLUMNS = 60, 80
BOX: BoxPx = (10, 20, 30.5, 40.25)
GREY = np.random.default_rng(5).integers(0, 4096, (ROWS, COLUMNS)).astype(np.uint16)


def content(pixels: NDArray[Any], **elements: Any) -> bytes:
    return dicom_file(pixels, **{**PLACED, **elements})


def states(on: Sequence[DicomImage], about: StudyResult) -> list[Dataset]:
    """Presentation states as they come back from a file."""
    return [loaded(stored(one)) for one in write_gsps(about, MODEL, SETTINGS, by_uid(*on))]


def state(on: DicomImage, *boxes: BoxPx, **changes: Any) -> Dataset:
    found = [finding(on, number, box, **changes) for number, box in enumerate(boxes, start=1)]
    (only,) = states([on], study(on, found))
    return only


def outlines(dataset: Dataset) -> list[list[tuple[float, float]]]:
    """The corners of every graphic, in order."""
    return [
        list(zip(graphic.GraphicData[0::2], graphic.GraphicData[1::2], strict=True))
        for annotation in dataset.GraphicAnnotationSequence
        for graphic in annotation.GraphicObjectSequence
    ]
