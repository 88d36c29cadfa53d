"""Objects that refer to images, judged by dciodvfy, and the real images that an object can refer to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from medground.dicom.image import DicomImage, open_image
from medground.schema.errors import MedgroundError
from pipelines.judges import dciodvfy
from tests.dicom.sr_results import stored


def errors(dataset: Dataset, folder: Path, iod: str) -> list[str]:
    """What dciodvfy finds wrong with an object, which it must take for one of that definition."""
    path = folder / "judged.dcm"
    path.write_bytes(stored(dataset))
    return [one.text for one in dciodvfy.judge([path], iod=iod)]


def referable_images(shared_data: Path) -> Iterator[tuple[str, DicomImage]]:
    """Names and contents of the real images that can be opened and have UIDs that something can refer to."""
    for path in sorted((shared_data / "dicom").rglob("*.dcm")):
        try:
            one = open_image(path)
        except MedgroundError:
            continue
        if all(UID(uid).is_valid for uid in (*_own_uids(one), one.header.sop_class_uid)):
            yield path.name, one


def not_of_the_image(found: list[str], on: DicomImage) -> list[str]:
    """Errors but those that come from the image's own patient elements and UIDs."""
    if on.header.frames > 1:  # frames in a class that has none, or one younger than dciodvfy
        found = [line for line in found if "ReferencedFrameNumber" not in line]
    return [line for line in found if not any(word in line for word in (*_own_uids(on), "Patient"))]


def _own_uids(one: DicomImage) -> tuple[str, str, str]:
    return one.header.study_instance_uid, one.header.series_instance_uid, one.header.sop_instance_uid
