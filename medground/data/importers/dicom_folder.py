"""A folder of DICOM objects sorted by what they are: images, structured reports, segmentations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pydicom
from pydicom import Dataset
from pydicom.uid import UID

from medground.data.importers.imported import Issue
from medground.dicom.boundary import typed_errors
from medground.dicom.elements import text
from medground.dicom.found import files_in
from medground.dicom.geometry import columns_toward_left, head_direction
from medground.dicom.header import ImageHeader, Vector
from medground.dicom.image import DicomImage, open_image
from medground.dicom.limits import Limits
from medground.schema.errors import InputError, NotAnImageError, UnreadableFileError

_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_SEGMENTATIONS = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})  # binary, labelmap
_DIRECTORY = "1.2.840.10008.1.3.10"
_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an image: what a record needs, and where it lies in the patient.

    Attributes:
        spacing_mm, columns_toward_left, rows_toward_feet: as in `ImageRecord`.
        position_mm: centre of its first pixel (LPS), or None.
    """

    spacing_mm: tuple[float, float] | None
    columns_toward_left: Literal[1, -1] | None
    rows_toward_feet: Literal[1, -1] | None
    position_mm: Vector | None


@dataclass(frozen=True, slots=True)
class FolderImage:
    """An image whose every frame can be decoded.

    Attributes:
        path: its file.
        header: of the image.
        patient: a short digest of the patient's identifier, see `pseudonym`.
        sha256: of the file; None where pixels were not asked for.
        frames: in order.
    """

    path: Path
    header: ImageHeader
    patient: str
    sha256: str | None
    frames: tuple[Frame, ...]


@dataclass(slots=True)
class Folder:
    """What is in a folder; objects in the order of their paths."""

    images: dict[str, FolderImage] = field(default_factory=dict)
    reports: dict[str, Dataset] = field(default_factory=dict)
    segmentations: dict[str, Dataset] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def read_folder(roots: tuple[Path, ...], *, decode: bool) -> Folder:
    """Sort the files below some folders; ZIPs are not opened.

    An issue names an object by its SOP Instance UID, or a file that has none by its number in the order of paths:
    file names may hold the name of a patient.

    Args:
        roots: folders, or single files.
        decode: read every frame to its end and hash the file.

    Returns:
        The objects, and an issue for every file that is none of them.
    """
    folder = Folder()
    for number, path in enumerate(_files(roots), 1):
        name = f"file {number}"
        try:
            with typed_errors(UnreadableFileError, "the object cannot be read"):
                _sort(path, name, folder, decode=decode)
        except InputError as error:
            short = "truncated" in str(error) or "cut short" in str(error)
            kind = "truncated_image" if short else "unreadable_file"
            folder.issues.append(Issue(name, kind, type(error).__name__, "rejected"))
    return folder


def pseudonym(dataset: Dataset) -> str:
    """A short digest that stands for the patient: the first 16 hexadecimal digits of SHA-256.

    It has no key, so that the same patient gets the same one everywhere. Who knows an identifier can find its digest
    again: this keeps identifiers out of sight, it does not make data anonymous.

    Args:
        dataset: of an image; one without Patient ID stands for itself by its study, or its own UID.
    """
    issuer, patient = text(dataset, "IssuerOfPatientID") or "", text(dataset, "PatientID")
    study = text(dataset, "StudyInstanceUID") or text(dataset, "SOPInstanceUID") or ""
    named = f"patient\x00{issuer}\x00{patient}" if patient else f"study\x00{study}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _files(roots: tuple[Path, ...]) -> Iterator[Path]:
    for root in dict.fromkeys(root.resolve() for root in roots):
        yield from [root] if root.is_file() else (found.path for found in files_in(root, Limits()))


def _sort(path: Path, name: str, folder: Folder, *, decode: bool) -> None:
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            folder.issues.append(Issue(name, "not_dicom", "no DICOM file", "rejected"))
            return
    head = pydicom.dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
    kind = text(head, "SOPClassUID") or text(head.file_meta, "MediaStorageSOPClassUID") or ""
    uid = text(head, "SOPInstanceUID") or name
    if uid in folder.images or uid in folder.reports or uid in folder.segmentations:
        folder.issues.append(Issue(uid, "repeated_instance", f"{name}: read once already", "rejected"))
    elif kind.startswith(_REPORTS) or kind in _SEGMENTATIONS:
        (folder.segmentations if kind in _SEGMENTATIONS else folder.reports)[uid] = pydicom.dcmread(path)
    else:
        _add_image(path, uid, kind, folder, decode=decode)


def _add_image(path: Path, uid: str, kind: str, folder: Folder, *, decode: bool) -> None:
    try:
        image = open_image(path)
        if decode:
            for frame in range(1, image.header.frames + 1):
                image.stored(frame)
    except NotAnImageError:
        if kind != _DIRECTORY:
            folder.issues.append(Issue(uid, "no_image", UID(kind).name, "rejected"))
        return
    except InputError as error:
        short = "truncated" in str(error) or "cut short" in str(error)
        issue = Issue(uid, "truncated_image" if short else "unreadable_image", type(error).__name__, "rejected")
        folder.issues.append(issue)
        return
    frames = tuple(_frame(image, number) for number in range(1, image.header.frames + 1))
    patient, digest = pseudonym(image.dataset), _sha256(path) if decode else None
    folder.images[uid] = FolderImage(path, image.header, patient, digest, frames)


def _frame(image: DicomImage, number: int) -> Frame:
    header, plane = image.header, image.frame_geometry(number)
    if plane is not None:
        header = replace(header, image_orientation=plane.orientation, spacing_mm=plane.spacing_mm)
    left, head = columns_toward_left(header), head_direction(header)
    return Frame(
        header.spacing_mm,
        None if left is None else (1 if left > 0 else -1),
        None if head is None else (1 if head > 0 else -1),
        plane.position_mm if plane else None,
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
