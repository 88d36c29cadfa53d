"""Segmentations read: as boxes, those that highdicom writes and those that are damaged."""

from __future__ import annotations

import highdicom
import numpy as np
import pytest
from highdicom.seg import Segmentation
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless

from medground.dicom.seg import write_seg
from medground.dicom.seg_read import read_seg_boxes
from medground.schema.errors import MedgroundError, UnreadableFileError
from tests.dicom.conftest import dicom_file
from tests.dicom.sr_results import (
    MODEL,
    PLACED,
    SETTINGS,
    by_uid,
    ct_slices,
    finding,
    image,
    loaded,
    stored,
    study,
)

SIZE = 64


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segmentations_of_highdicom(kind: str) -> None:
    slices = ct_slices(3)
    sources = []
    for one in slices:
        source = Dataset()
        source.update(one.dataset)
        source.file_meta = one.dataset.file_meta
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime"):
            setattr(source, keyword, None)
        source.SliceThickness = 3
        sources.append(source)
    labels = np.zeros((3, SIZE, SIZE, 2), np.float32 if kind == "FRACTIONAL" else np.uint8)
    labels[0, 10:20, 30:33, 0] = 1
    labels[1, 11:20, 30:33, 0] = 1
    labels[1, 40, 50, 1] = 1
    if kind == "FRACTIONAL":
        labels[0, 9, 30:33, 0] = 0.3  # less than half
    segments = [
        highdicom.seg.SegmentDescription(
            number, name, codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Nodule, "MANUAL"
        )
        for number, name in ((1, "a"), (2, "b"))
    ]
    written = Segmentation(
        sources,
        labels,
        kind,
        segments,
        series_instance_uid="1.2.3.77",
        series_number=1,
        sop_instance_uid="1.2.3.78",
        instance_number=1,
        manufacturer="Clinic",
        manufacturer_model_name="Desk",
        software_versions="1",
        device_serial_number="1",
        **({"transfer_syntax_uid": RLELossless} if kind == "FRACTIONAL" else {}),
    )
    boxes = {(one.sop_instance_uid, one.label): one.box_xyxy_px for one in read_seg_boxes(loaded(stored(written)))}
    assert boxes == {
        ("1.2.3.4.1", "a"): (30, 10, 33, 20),
        ("1.2.3.4.2", "a"): (30, 11, 33, 20),
        ("1.2.3.4.2", "b"): (50, 40, 51, 41),
    }


def test_what_is_no_segmentation_or_is_damaged() -> None:
    assert read_seg_boxes(Dataset()) == []
    assert read_seg_boxes(loaded(dicom_file(np.zeros((4, 4), np.uint8), **PLACED))) == []
    film = image()
    (dataset,) = write_seg(study(film, [finding(film, 1, (1, 2, 3, 4))]), MODEL, SETTINGS, by_uid(film))
    short = loaded(stored(dataset))
    short.PixelData = short.PixelData[:10]
    with pytest.raises(UnreadableFileError):
        read_seg_boxes(short)
    huge = loaded(stored(dataset))
    huge.Rows = huge.Columns = 65535
    with pytest.raises(MedgroundError, match="max_pixels_per_frame"):
        read_seg_boxes(huge)
