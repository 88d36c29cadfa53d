"""The phantom as valid DICOM: a DX film for presentation, or a CT series, of a patient who does not exist."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from medground.data.phantom.chest_radiograph import PhantomImage
from medground.data.phantom.ct_volume import PhantomVolume

Photometric = Literal["MONOCHROME1", "MONOCHROME2"]
_DATE: Final = "20250101"
_TIME: Final = "120000"
_ORIENTATION: Final = [1, 0, 0, 0, 1, 0]


def write_radiograph_study(image: PhantomImage, folder: Path, *, photometric: Photometric | None = None) -> list[Path]:
    """Write a film as Digital X-Ray Image Storage - For Presentation, 12 bits.

    Args:
        image: the film.
        folder: made if absent.
        photometric: None chooses from the seed.

    Returns:
        The file, in a list.

    Source: PS3.3 A.26 (DX IOD), C.11.2 (VOI LUT).
    """
    rng = np.random.default_rng([image.seed, 71])
    chosen = photometric or ("MONOCHROME1" if rng.random() < 0.35 else "MONOCHROME2")
    low, width = int(rng.integers(0, 300)), int(rng.integers(3000, 3700))
    shown = image.pixels if chosen == "MONOCHROME2" else 1 - image.pixels
    stored = np.round(low + shown * (width - 1)).astype(np.uint16)
    dataset = _common(image.seed, "DX", DigitalXRayImageStorageForPresentation, 1)
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.PhotometricInterpretation = chosen
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1 if chosen == "MONOCHROME2" else 1
    dataset.PresentationLUTShape = "IDENTITY" if chosen == "MONOCHROME2" else "INVERSE"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.WindowCenter = low + 0.5 + (width - 1) / 2
    dataset.WindowWidth = width
    dataset.ImagerPixelSpacing = [f"{value:.6f}" for value in image.spacing_mm]
    dataset.PatientOrientation = ["L", "F"]
    dataset.ViewPosition = "PA"
    dataset.ViewCodeSequence = Sequence([_code("272479007", "SCT", "postero-anterior")])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    dataset.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Chest")])
    dataset.ImageLaterality = "U"
    dataset.PositionerType = "NONE"
    dataset.DetectorType = "SCINTILLATOR"
    dataset.BurnedInAnnotation = "YES"
    dataset.AcquisitionContextSequence = Sequence()
    _put_pixels(dataset, stored, bits=12)
    return [_save(dataset, folder / f"phantom_{image.seed}_dx.dcm")]


def write_ct_study(volume: PhantomVolume, folder: Path) -> list[Path]:
    """Write a volume as a series of CT Image Storage, one file per slice, lowest slice first.

    Args:
        volume: the volume.
        folder: made if absent.

    Returns:
        The files in slice order.

    Source: PS3.3 A.3 (CT IOD), C.7.6.2 (Image Plane).
    """
    paths = []
    step, row_mm, column_mm = volume.spacing_mm
    rows, columns = volume.hu.shape[1:]
    for number, hu in enumerate(volume.hu):
        dataset = _common(volume.seed, "CT", CTImageStorage, number + 1)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.FrameOfReferenceUID = _uid(volume.seed, "CT", "frame of reference")
        dataset.PositionReferenceIndicator = ""
        dataset.PatientPosition = "HFS"
        dataset.ImageOrientationPatient = _ORIENTATION
        dataset.ImagePositionPatient = [
            f"{-column_mm * (columns - 1) / 2:.4f}",
            f"{-row_mm * (rows - 1) / 2:.4f}",
            f"{number * step:.4f}",
        ]
        dataset.PixelSpacing = [f"{row_mm:.6f}", f"{column_mm:.6f}"]
        dataset.SliceThickness = f"{step:.4f}"
        dataset.KVP = "120"
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = -1024, 1, "HU"
        dataset.WindowCenter, dataset.WindowWidth = [-600, 40], [1500, 400]
        dataset.WindowCenterWidthExplanation = ["LUNG", "MEDIASTINUM"]
        _put_pixels(dataset, (hu.astype(np.int32) + 1024).astype(np.uint16), bits=16)
        paths.append(_save(dataset, folder / f"phantom_{volume.seed}_ct_{number + 1:03d}.dcm"))
    return paths


def _uid(seed: int, *parts: str) -> str:
    return str(generate_uid(entropy_srcs=["medground phantom", str(seed), *parts]))


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _common(seed: int, modality: str, sop_class: str, number: int) -> Dataset:
    """Patient, study, series, equipment and SOP common modules."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = _uid(seed, modality, "instance", str(number))
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = _DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = _TIME
    dataset.AccessionNumber = ""
    dataset.Modality = modality
    dataset.Manufacturer = "medground"
    dataset.ManufacturerModelName = "phantom"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = f"Synthetic chest {modality}"
    dataset.PatientName = f"PHANTOM^SEED{seed}"
    dataset.PatientID = f"PHANTOM-{seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.BodyPartExamined = "CHEST"
    dataset.StudyInstanceUID = _uid(seed, modality, "study")
    dataset.SeriesInstanceUID = _uid(seed, modality, "series")
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.InstanceNumber = number
    dataset.LossyImageCompression = "00"
    return dataset


def _put_pixels(dataset: Dataset, stored: NDArray[np.uint16], *, bits: int) -> None:
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.astype("<u2").tobytes()


def _save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    dataset.save_as(path, enforce_file_format=True)
    return path
