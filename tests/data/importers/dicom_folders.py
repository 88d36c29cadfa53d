"""Folders of images, reports and segmentations for the tests of their importer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from medground.data.import_report import report_of
from medground.data.importers import Import, ImportOptions, by_name
from medground.dicom.image import DicomImage, open_image
from tests.dicom.conftest import dicom_file
from tests.dicom.sr_results import PLACED, stored

BOX = (10.0, 20.0, 30.5, 44.0)


def read(folder: Path, **options: Any) -> Import:
    """An import whose account balances; `report_of` raises where it does not."""
    found = by_name("dicom-sr")(folder, ImportOptions(**options))
    report_of(found, "dicom-sr", seek_near_duplicates=False)
    return found


def film(folder: Path, uid: str = "1.2.3.1", **elements: Any) -> DicomImage:
    pixels = np.random.default_rng(len(uid)).integers(0, 4000, (64, 48), dtype=np.uint16)
    content = dicom_file(pixels, **{**PLACED, "SOPInstanceUID": uid, **elements})
    (folder / f"{uid}.dcm").write_bytes(content)
    return open_image(content)


def slices(folder: Path, count: int) -> list[DicomImage]:
    return [
        film(
            folder,
            f"1.2.3.4.{number}",
            SOPClassUID=CTImageStorage,
            Modality="CT",
            FrameOfReferenceUID="1.2.3.9",
            PixelSpacing=[0.5, 0.75],
            SliceThickness=3,
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[-10, -20, 3 * number],
        )
        for number in range(1, count + 1)
    ]


def save(folder: Path, name: str, dataset: Dataset) -> Dataset:
    (folder / f"{name}.dcm").write_bytes(stored(dataset))
    return dataset
