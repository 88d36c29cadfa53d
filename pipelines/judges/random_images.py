"""Random DICOM images whose headers are real and whose pixels are never looked at.

They are written by pydicom and opened by `open_image`. A report quotes sizes up to 4096 x 4096 and dozens of frames; so
the pixel data are an empty fragment under a compressed transfer syntax, which nobody decodes to write a report.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from random import Random

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    JPEG2000Lossless,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayAngiographicImageStorage,
)
from pydicom.valuerep import DSfloat

from medground.dicom.identifiers import uid_of
from medground.dicom.image import DicomImage, open_image


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of image: its class, its modality, and how it is laid out."""

    sop_class: UID
    modality: str
    stack: bool = False
    enhanced: bool = False
    cine: bool = False


KINDS: tuple[Kind, ...] = (
    Kind(ComputedRadiographyImageStorage, "CR"),
    Kind(DigitalXRayImageStorageForPresentation, "DX"),
    Kind(DigitalMammographyXRayImageStorageForPresentation, "MG"),
    Kind(CTImageStorage, "CT", stack=True),
    Kind(MRImageStorage, "MR", stack=True),
    Kind(EnhancedCTImageStorage, "CT", enhanced=True),
    Kind(EnhancedMRImageStorage, "MR", enhanced=True),
    Kind(XRayAngiographicImageStorage, "XA", cine=True),
    Kind(UltrasoundMultiFrameImageStorage, "US", cine=True),
)
_PROJECTION_PARTS = ("CHEST", "HAND", "FOOT", "KNEE", "SHOULDER", "BREAST", "SKULL", "")
_SECTION_PARTS = ("CHEST", "ABDOMEN", "HEAD", "PELVIS", "")
_LETTERS = (("L", "F"), ("R", "F"), ("L", "H"), ("R", "H"), ("P", "F"), ("A", "F"), ("A", "R"), ("LA", "FP"))
_NAMES = ("Doe^Jane", "王^小明", "Müller^Jürgen^^Dr.", "Yamada^Tarou=山田^太郎=やまだ^たろう", "")


def random_series(random: Random, study: Dataset, number: int) -> list[DicomImage]:
    """The images of one series.

    Args:
        random: the source of chance.
        study: patient and study elements, see `random_study`.
        number: of the series within the study.
    """
    kind = random.choice(KINDS)
    series = Dataset()
    series.update(study)
    uid = uid_of(study.StudyInstanceUID, str(number))
    series.SOPClassUID, series.SeriesInstanceUID, series.Modality = kind.sop_class, uid, kind.modality
    series.SeriesNumber = number
    series.Rows, series.Columns = _size(random, projection=not (kind.stack or kind.enhanced or kind.cine))
    series.BodyPartExamined = random.choice(_SECTION_PARTS if kind.stack or kind.enhanced else _PROJECTION_PARTS)
    series.SamplesPerPixel, series.PhotometricInterpretation = 1, random.choice(("MONOCHROME1", "MONOCHROME2"))
    series.BitsAllocated, series.BitsStored, series.HighBit, series.PixelRepresentation = 16, 12, 11, 0
    if kind.enhanced:
        return [_enhanced(random, series)]
    if kind.stack:
        return _stack(random, series)
    if kind.cine:
        series.NumberOfFrames = random.randrange(2, 60)
    return [_projection(random, series)]


def random_study(random: Random, uid: str) -> Dataset:
    """Patient and study elements, each of which an image may have empty or lack."""
    study = Dataset()
    study.SpecificCharacterSet = "ISO_IR 192"
    study.StudyInstanceUID = uid
    elements = {
        "PatientName": random.choice(_NAMES),
        "PatientID": random.choice(("P1", "患者-7", "")),
        "PatientBirthDate": random.choice(("19600229", "")),
        "PatientSex": random.choice(("F", "M", "O", "")),
        "StudyDate": random.choice(("20250102", "20240229", "")),
        "StudyTime": random.choice(("101112", "235959.123456", "")),
        "AccessionNumber": random.choice(("A1", "")),
        "StudyID": random.choice(("1", "")),
        "ReferringPhysicianName": random.choice(("Roe^Richard", "")),
    }
    for keyword, content in elements.items():
        if random.random() < 0.9:
            setattr(study, keyword, content)
    return study


def _size(random: Random, *, projection: bool) -> tuple[int, int]:
    """Rows and columns."""
    low, high = (200, 4096) if projection else (64, 1024)
    return random.randrange(low, high + 1), random.randrange(low, high + 1)


def _projection(random: Random, dataset: Dataset) -> DicomImage:
    """A single image or a cine loop without a place in the patient; spacing and directions known or not."""
    if random.random() < 0.7:
        dataset.PatientOrientation = list(random.choice(_LETTERS))
    if random.random() < 0.6:
        dataset.ImagerPixelSpacing = _spacing(random)
    if random.random() < 0.4:
        dataset.PixelSpacing = _spacing(random)
    if dataset.Modality == "MG" or random.random() < 0.3:
        dataset.ImageLaterality = random.choice("LRB")
    return _opened(dataset, 1)


def _stack(random: Random, series: Dataset) -> list[DicomImage]:
    """Slices along one normal, in any direction."""
    orientation, step = _orientation(random), random.uniform(0.5, 10)
    start = np.array([random.uniform(-400, 400) for _ in range(3)])
    normal = np.cross(orientation[:3], orientation[3:])
    series.FrameOfReferenceUID = uid_of(series.SeriesInstanceUID, "frame of reference")
    series.ImageOrientationPatient = _decimals(orientation)
    if random.random() < 0.95:
        series.PixelSpacing = _spacing(random)
    images = []
    for index in range(random.randrange(1, 13)):
        dataset = Dataset()
        dataset.update(series)
        dataset.ImagePositionPatient = _decimals(start + index * step * normal)
        images.append(_opened(dataset, index + 1))
    return images


def _enhanced(random: Random, dataset: Dataset) -> DicomImage:
    """Frames along one normal in one object; what they share stands in the shared functional groups or in each."""
    frames, orientation = random.randrange(2, 41), _orientation(random)
    start = np.array([random.uniform(-400, 400) for _ in range(3)])
    step = np.cross(orientation[:3], orientation[3:]) * random.uniform(0.5, 10)
    dataset.FrameOfReferenceUID = uid_of(dataset.SeriesInstanceUID, "frame of reference")
    dataset.NumberOfFrames = frames
    shared, each = Dataset(), [Dataset() for _ in range(frames)]
    for keyword, content in (
        ("PlaneOrientationSequence", {"ImageOrientationPatient": _decimals(orientation)}),
        ("PixelMeasuresSequence", {"PixelSpacing": _spacing(random)}),
    ):
        for group in [shared] if random.random() < 0.5 else each:
            setattr(group, keyword, [_item(content)])
    for index, group in enumerate(each):
        group.PlanePositionSequence = [_item({"ImagePositionPatient": _decimals(start + index * step)})]
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], each
    return _opened(dataset, 1)


def _item(elements: dict[str, list[DSfloat]]) -> Dataset:
    item = Dataset()
    for keyword, content in elements.items():
        setattr(item, keyword, content)
    return item


def _orientation(random: Random) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Two perpendicular unit vectors: half the time along the axes, else in any direction."""
    if random.random() < 0.5:
        axes = random.sample(range(3), 2)
        vectors = np.zeros((2, 3))
        vectors[0, axes[0]], vectors[1, axes[1]] = random.choice((1, -1)), random.choice((1, -1))
        return vectors.ravel()
    square = np.array([[random.gauss(0, 1) for _ in range(3)] for _ in range(3)])
    return np.linalg.qr(square)[0][:2].ravel()


def _spacing(random: Random) -> list[DSfloat]:
    """Distance between rows and between columns, now and then different."""
    between_rows = random.uniform(0.05, 2)
    return _decimals([between_rows, between_rows if random.random() < 0.7 else random.uniform(0.05, 2)])


def _decimals(numbers: object) -> list[DSfloat]:
    return [DSfloat(float(number), auto_format=True) for number in np.asarray(numbers)]


def _opened(dataset: Dataset, number: int) -> DicomImage:
    dataset.InstanceNumber = number
    dataset.SOPInstanceUID = uid_of(dataset.SeriesInstanceUID, str(number))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([b"\0\0"])
    dataset["PixelData"].VR = "OB"
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return open_image(stream.getvalue())
