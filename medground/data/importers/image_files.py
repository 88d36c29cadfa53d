"""The door from a source's file names to image files: found, decoded to the end, measured, and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medground.data.importers.imported import ImportOptions, Issue
from medground.data.importers.stored_image import StoredImage, inspect
from medground.dicom.geometry import columns_toward_left, head_direction
from medground.dicom.image import open_image
from medground.schema.errors import DataSetError, InputError
from medground.schema.record import ImageRecord, Region

_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class SourceImage:
    """What is known of one image of a source.

    Attributes:
        path: its file, or None where the images were left out.
        stored: size and orientation as stored, or as published where there is no file.
        sha256: of the file, or None.
        spacing_mm: between rows and between columns, of a DICOM file that says so.
        columns_toward_left, rows_toward_feet: as in `ImageRecord`, of a DICOM file that says so.
    """

    path: Path | None
    stored: StoredImage
    sha256: str | None = None
    spacing_mm: tuple[float, float] | None = None
    columns_toward_left: Literal[1, -1] | None = None
    rows_toward_feet: Literal[1, -1] | None = None

    def record(self, record_id: str, regions: Sequence[Region], **known: Any) -> ImageRecord:
        """The image as a record, with what its file says; the image stands for a patient unless `known` names one.

        Args:
            record_id: unique within the data set.
            regions: of the image.
            known: further fields of `ImageRecord`.
        """
        fields: dict[str, Any] = {
            "patient_id": record_id,
            "columns_toward_left": self.columns_toward_left,
            "rows_toward_feet": self.rows_toward_feet,
            "spacing_mm": self.spacing_mm,
            **known,
        }
        return ImageRecord(
            record_id=record_id,
            path=self.path,
            columns=self.stored.columns,
            rows=self.stored.rows,
            regions=tuple(regions),
            sha256=self.sha256,
            **fields,
        )


class ImageFiles:
    """Looks at the images of one source.

    Args:
        folder: where the publisher puts them; `options.images` comes first.
        options: whether images are wanted at all.
    """

    def __init__(self, folder: Path, options: ImportOptions) -> None:
        self._folder = options.images or folder
        self._wanted = options.with_images

    def look(
        self, names: tuple[str, ...], record_id: str, published: tuple[int, int] | None = None
    ) -> tuple[SourceImage | None, list[Issue]]:
        """Find and decode one image.

        Args:
            names: file names under the folder, the first that exists is taken (`x.png`, `x.jpg`).
            record_id: for the issues.
            published: width and height by the source, pixels, or None where it gives none.

        Returns:
            The image, or None where it is missing or cannot be decoded; and the issues.

        Raises:
            DataSetError: images were left out and the source gives no size.
        """
        if not self._wanted:
            if published is None:
                raise DataSetError(f"the source gives no size for {record_id!r}: import it with its images")
            return SourceImage(None, StoredImage(*published)), []
        path = next((self._folder / name for name in names if (self._folder / name).is_file()), None)
        if path is None:
            return None, [Issue(record_id, "missing_image", f"{names[0]} is not among the images", "rejected")]
        try:
            image = _dicom(path) if _is_dicom(path) else SourceImage(path, inspect(path), _sha256(path))
        except (OSError, InputError) as error:
            kind = "truncated_image" if "truncated" in str(error) or "cut short" in str(error) else "unreadable_image"
            return None, [Issue(record_id, kind, f"{path.name}: {type(error).__name__}", "rejected")]
        return image, _size_issues(image.stored, published, record_id)


def _size_issues(stored: StoredImage, published: tuple[int, int] | None, record_id: str) -> list[Issue]:
    """Where the published size, or the orientation tag, does not fit the stored pixels."""
    issues = []
    size = (stored.columns, stored.rows)
    if published not in (None, size):
        kind = "swapped_size" if published == size[::-1] else "wrong_size"
        detail = f"{published[0]}x{published[1]} published, {size[0]}x{size[1]} stored" if published else ""
        issues.append(Issue(record_id, kind, detail, "repaired"))
    if stored.orientation != 1:
        issues.append(Issue(record_id, "exif_orientation", f"Exif orientation {stored.orientation}", "kept"))
    return issues


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _dicom(path: Path) -> SourceImage:
    image = open_image(path)
    image.stored()  # to the end, as for other files
    header = image.header
    left, head = columns_toward_left(header), head_direction(header)
    return SourceImage(
        path,
        StoredImage(header.columns, header.rows),
        _sha256(path),
        header.spacing_mm,
        None if left is None else (1 if left > 0 else -1),
        None if head is None else (1 if head > 0 else -1),
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
