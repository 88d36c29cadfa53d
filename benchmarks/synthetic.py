"""Files to measure on: a CT series and a film with headers as full as a scanner's, in each transfer syntax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

SYNTAXES = {
    "uncompressed": ExplicitVRLittleEndian,
    "jpeg-2000": JPEG2000Lossless,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-lossless": JPEGLosslessSV1,
}
# By name: pydicom would try GDCM first, whose RLE encoder aborts the process.
_ENCODERS = {RLELossless: "pydicom", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}
_NOISE_HU = 15.0
_TEXTS = {
    "SpecificCharacterSet": "ISO_IR 100",
    "InstanceCreationDate": "20240102",
    "InstanceCreationTime": "101112",
    "StudyDate": "20240102",
    "SeriesDate": "20240102",
    "AcquisitionDate": "20240102",
    "ContentDate": "20240102",
    "StudyTime": "101010.123",
    "SeriesTime": "101030.123",
    "AcquisitionTime": "101100.123",
    "ContentTime": "101112.123",
    "AccessionNumber": "A1",
    "Manufacturer": "SYNTHETIC",
    "InstitutionName": "Nowhere",
    "StationName": "CT1",
    "StudyDescription": "CHEST",
    "SeriesDescription": "THIN",
    "ManufacturerModelName": "Model",
    "PatientName": "Synthetic^Patient",
    "PatientID": "S1",
    "PatientBirthDate": "19700101",
    "PatientSex": "O",
    "PatientAge": "053Y",
    "BodyPartExamined": "CHEST",
    "ScanOptions": "HELICAL",
    "ProtocolName": "CHEST ROUTINE",
    "SoftwareVersions": "1.0",
    "FilterType": "BODY",
    "ConvolutionKernel": "B60",
    "PatientPosition": "HFS",
    "StudyID": "1",
    "RotationDirection": "CW",
    "PositionReferenceIndicator": "SN",
}
_NUMBERS: dict[str, Any] = {
    "SliceThickness": 1,
    "KVP": 120,
    "DataCollectionDiameter": 500,
    "ReconstructionDiameter": 358.4,
    "DistanceSourceToDetector": 1000,
    "DistanceSourceToPatient": 540,
    "GantryDetectorTilt": 0,
    "TableHeight": 150,
    "ExposureTime": 500,
    "XRayTubeCurrent": 200,
    "Exposure": 100,
    "GeneratorPower": 40,
    "FocalSpots": [1.2, 1.2],
    "SingleCollimationWidth": 0.6,
    "TotalCollimationWidth": 38.4,
    "TableSpeed": 40,
    "SpiralPitchFactor": 1.0,
    "AcquisitionNumber": 1,
    "SeriesNumber": 2,
    "SmallestImagePixelValue": 0,
    "LargestImagePixelValue": 4095,
}


def write_ct(folder: Path, syntax: str, slices: int, size: int) -> None:
    """Write a chest-like CT series in an order of names that is not that of the slices.

    Args:
        folder: to write to; made if absent.
        syntax: a name of `SYNTAXES`.
        slices: how many.
        size: rows and columns of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(slices):
        dataset = _dataset(CTImageStorage, "CT", number + 1, _ct_pixels(number, slices, size))
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.PatientPosition = "HFS"
        dataset.ImagePositionPatient = [-179.2, -179.2, number * 1.0]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [358.4 / size, 358.4 / size]
        dataset.SliceLocation = number * 1.0
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
        dataset.WindowCenter, dataset.WindowWidth = [50, -600], [350, 1500]
        _write(dataset, syntax, folder / f"{number * 7919 % 10007:05}.dcm")


def write_film(path: Path, syntax: str, size: int, *, windowed: bool) -> None:
    """Write a digital radiograph of (size, size) pixels of 14 bits.

    Args:
        path: to write to.
        syntax: a name of `SYNTAXES`.
        size: rows and columns.
        windowed: with rescale and window elements.
    """
    y, x = np.mgrid[:size, :size] / size - 0.5
    bright = 9000 - 6000 * np.exp(-((np.abs(x) - 0.2) ** 2 + y**2 / 3) * 40)
    pixels = np.clip(bright + np.random.default_rng(1).normal(0, 30, bright.shape), 0, 2**14 - 1).astype(np.uint16)
    dataset = _dataset(DigitalXRayImageStorageForPresentation, "DX", 1, pixels)
    dataset.BitsStored, dataset.HighBit = 14, 13
    dataset.ImagerPixelSpacing = [0.15, 0.15]
    if windowed:
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "US"
        dataset.WindowCenter, dataset.WindowWidth = 6000, 9000
    _write(dataset, syntax, path)


def _ct_pixels(number: int, slices: int, size: int) -> NDArray[np.uint16]:
    """A body with lungs and a spine, noise inside the field of view, padding-like air outside of it."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    hu = np.where(np.hypot(x / 0.46, y / 0.34) < 1, 40.0, -1000.0)
    lung = 0.13 * np.sin(np.pi * (number + 1) / (slices + 1)) ** 0.5
    for side in (-1, 1):
        hu[np.hypot((x - side * 0.2) / lung, (y + 0.02) / (lung * 1.6)) < 1] = -860
    hu[np.hypot(x, y - 0.24) < 0.04] = 500
    hu += np.random.default_rng(number).normal(0, _NOISE_HU, hu.shape)
    hu[np.hypot(x, y) > 0.5] = -1024
    stored: NDArray[np.uint16] = np.clip(hu + 1024, 0, 4095).astype(np.uint16)
    return stored


def _dataset(sop_class: str, modality: str, number: int, pixels: NDArray[np.uint16]) -> Dataset:
    dataset = Dataset()
    for keyword, value in (_TEXTS | _NUMBERS).items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"1.2.826.0.1.3680043.8.498.1.{number}"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    dataset.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.4"
    dataset.Modality, dataset.InstanceNumber = modality, number
    procedure, study = Dataset(), Dataset()
    procedure.CodeValue, procedure.CodingSchemeDesignator, procedure.CodeMeaning = "399331006", "SCT", "CT of chest"
    dataset.ProcedureCodeSequence = Sequence([procedure])
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.826.0.1.3680043.8.5"
    dataset.ReferencedStudySequence = Sequence([study])
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _write(dataset: Dataset, syntax: str, path: Path) -> None:
    uid = SYNTAXES[syntax]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if uid == JPEGLosslessSV1:
        _write_by_gdcm(dataset, path)
        return
    if uid in _ENCODERS:
        dataset.compress(uid, encoding_plugin=_ENCODERS[uid], generate_instance_uid=False)
    dcmwrite(path, dataset, enforce_file_format=True)


def _write_by_gdcm(dataset: Dataset, path: Path) -> None:
    """GDCM is the only free encoder of lossless JPEG."""
    import gdcm

    dcmwrite(path, dataset, enforce_file_format=True)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    if not reader.Read():
        raise ValueError(f"GDCM cannot read {path.name}, which pydicom has written")
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise ValueError(f"GDCM cannot compress {path.name}")
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise ValueError(f"GDCM cannot write {path.name}")
