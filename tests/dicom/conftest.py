"""A factory of small DICOM objects, written by pydicom from arrays."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
# By name: pydicom would try GDCM first, whose RLE encoder aborts the process.
_ENCODERS = {RLELossless: "pydicom", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}


def dicom_dataset(pixels: NDArray[Any], *, frames: int = 1, **elements: Any) -> Dataset:
    """An image object around `pixels`: (rows, columns), (rows, columns, 3), each with frames in front if frames > 1."""
    shape = pixels.shape[1:] if frames > 1 else pixels.shape
    dataset = Dataset()
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
    dataset.Modality = "CR"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "P1"
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = shape[2] if len(shape) == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if len(shape) == 3 else "MONOCHROME2"
    if len(shape) == 3:
        dataset.PlanarConfiguration = 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def dicom_file(
    pixels: NDArray[Any], *, syntax: str = ExplicitVRLittleEndian, frames: int = 1, prefix: bool = True, **elements: Any
) -> bytes:
    """The content of a DICOM file around `pixels`, compressed where `syntax` asks for it."""
    dataset = dicom_dataset(pixels, frames=frames, **elements)
    syntax = UID(syntax)
    big = syntax == ExplicitVRBigEndian
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    dataset.PixelData += b"\0" * (len(dataset.PixelData) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax not in _NATIVE:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(syntax, encoding_plugin=_ENCODERS[syntax], generate_instance_uid=False)
    return written(dataset, prefix=prefix)


def written(dataset: Dataset, *, prefix: bool = True) -> bytes:
    """The bytes of a data set with file meta information."""
    stream = io.BytesIO()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dcmwrite(stream, dataset, enforce_file_format=prefix)
    return stream.getvalue()


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Dataset]:
    return dicom_dataset


@pytest.fixture(scope="session")
def make_file() -> Callable[..., bytes]:
    return dicom_file


@pytest.fixture(scope="session")
def write_bytes() -> Callable[..., bytes]:
    return written


@pytest.fixture(scope="session")
def grey() -> NDArray[np.uint16]:
    """40 x 50 twelve-bit values that cover their range, the same in every run."""
    return np.random.default_rng(7).integers(0, 4096, (40, 50)).astype(np.uint16)


@pytest.fixture
def dciodvfy() -> str:
    found = shutil.which("dciodvfy")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("dciodvfy of the Debian package dicom3tools is not installed")
        pytest.skip("needs dciodvfy of the Debian package dicom3tools")
    return found
