"""Real films as DICOM: a JPEG's pixels inside a DX object that says no more than is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from medground.imaging.picture import read_picture


def wrap_film(source: Path, folder: Path, *, body_part: str, photometric: str = "MONOCHROME2") -> Path:
    """Writes a picture as DX; spacing, side and orientation stay out, since the picture does not carry them.

    Args:
        source: a grey JPEG or PNG.
        folder: where the file goes, named after the source.
        body_part: Body Part Examined.
        photometric: MONOCHROME1 stores the pixels inverted, so that they display the same.
    """
    grey = read_picture(source)
    pixels = np.rint((grey if grey.ndim == 2 else grey.mean(2)) * 255).astype(np.uint8)
    path = folder / f"{source.stem}.dcm"
    dataset(pixels if photometric == "MONOCHROME2" else 255 - pixels, source.stem, body_part, photometric).save_as(
        path, enforce_file_format=True
    )
    return path


def dataset(pixels: NDArray[np.uint8], name: str, body_part: str, photometric: str) -> Dataset:
    """An 8-bit DX object; its UIDs depend on `name` alone."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID = DigitalXRayImageStorageForPresentation
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(film, keyword, generate_uid(entropy_srcs=["medground film", name, keyword]))
    film.Modality, film.BodyPartExamined = "DX", body_part
    film.PatientID, film.PatientName = name, ""
    film.StudyDate, film.StudyTime, film.PatientBirthDate, film.PatientSex = "", "", "", ""
    film.AccessionNumber, film.ReferringPhysicianName, film.StudyID = "", "", ""
    film.SeriesNumber, film.InstanceNumber = 1, 1
    film.PresentationIntentType = "FOR PRESENTATION"
    film.PhotometricInterpretation = photometric
    film.PresentationLUTShape = "IDENTITY" if photometric == "MONOCHROME2" else "INVERSE"
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.Rows, film.Columns = pixels.shape
    film.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    return film
