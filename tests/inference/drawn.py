"""Draws the images that tests ask about, and writes them as DICOM or PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread as read_dataset
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

BlobPx = tuple[int, int, int, int]
_UID = "1.2.826.0.1.3680043.8.498."


def drawn(blobs: Sequence[BlobPx] = (), *, rows: int = 512, columns: int = 512) -> NDArray[np.float32]:
    """A smooth ground of 0 to 0.5 with blobs of 1, and a white edge on top that fixes the brightest level."""
    image = np.add.outer(np.linspace(0, 0.25, rows), np.linspace(0, 0.25, columns)).astype(np.float32)
    image[: max(1, rows // 100)] = 1
    for x1, y1, x2, y2 in blobs:
        image[y1:y2, x1:x2] = 1
    return image


def write_png(path: Path, pixels: NDArray[np.float32]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(path)
    return path


def write_dx(path: Path, pixels: NDArray[np.float32], *, study: int = 1, instance: int = 1, **header: Any) -> Path:
    """A frontal chest radiograph in the usual orientation: the patient's left is on the right of the image."""
    elements = {
        "Modality": "DX",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "PatientOrientation": ["L", "F"],
        "ImagerPixelSpacing": [0.5, 0.5],
        "WindowCenter": 2047.5,
        "WindowWidth": 4095,
        "PatientName": "Secret^Person",
        "PatientID": "SECRET-1",
    }
    stored = np.rint(pixels * 4095).astype(np.uint16)
    return _write(path, stored, DigitalXRayImageStorageForPresentation, study, 1, instance, elements | header)


def write_ct_slice(
    path: Path, pixels: NDArray[np.float32], *, z_mm: float, instance: int, study: int = 1, **header: Any
) -> Path:
    """An axial slice whose display in the lung window (-600, 1500) is `pixels`."""
    rows, columns = pixels.shape
    elements = {
        "Modality": "CT",
        "BodyPartExamined": "CHEST",
        "PixelSpacing": [0.8, 0.7],
        "SliceThickness": 2.5,
        "ImagePositionPatient": [-0.7 * columns / 2, -0.8 * rows / 2, z_mm],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "FrameOfReferenceUID": f"{_UID}9.{study}",
        "RescaleIntercept": -1350,
        "RescaleSlope": 1,
        "RescaleType": "HU",
        "InstanceNumber": instance,
    }
    stored = np.rint(pixels * 1500).astype(np.uint16)
    return _write(path, stored, CTImageStorage, study, 2, instance, elements | header)


def write_undecodable(path: Path, *, instance: int = 1) -> Path:
    """A film whose header is whole and whose JPEG stream is not: it fails only when it is looked at."""
    dataset = read_dataset(write_dx(path, drawn(), instance=instance))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xe0 no jpeg"])
    dataset["PixelData"].VR = "OB"
    return _save(dataset, path)


def write_sr_like(path: Path) -> Path:
    """A DICOM object without pixels."""
    dataset = _dataset("1.2.840.10008.5.1.4.1.1.88.11", 1, 3, 1)
    dataset.Modality = "SR"
    return _save(dataset, path)


def _write(
    path: Path, stored: NDArray[np.uint16], kind: str, study: int, series: int, instance: int, elements: dict[str, Any]
) -> Path:
    dataset = _dataset(kind, study, series, instance)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = stored.tobytes()
    return _save(dataset, path)


def _dataset(kind: str, study: int, series: int, instance: int) -> Dataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = f"{_UID}{study}.{series}.{instance}"
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID = kind
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = f"{_UID}{study}"
    dataset.SeriesInstanceUID = f"{_UID}{study}.{series}"
    return dataset


def _save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
