"""Pascal VOC folders: one XML file an image, anyone's classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from medground.data.importers.class_names import ClassNames
from medground.data.importers.image_files import ImageFiles
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    Published,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.marks import regions_of
from medground.data.importers.voc_file import read_voc
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, InputNotFoundError
from medground.schema.record import ImageRecord

PARTS = {"train": "train", "val": "valid", "test": "test"}
"""File of `ImageSets/Main` to the part it stands for."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".dcm")


class Voc:
    """Importer of the layout `Annotations/*.xml`, `JPEGImages/`, and `ImageSets/Main/` where there are parts.

    The layout names no patient: each image stands for itself.
    """

    name = "voc"
    title = "Pascal VOC: Annotations/*.xml, JPEGImages/, ImageSets/Main/ if there"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: folder in the layout of Pascal VOC.
            options: what the user says of it.

        Returns:
            One record per image that can be decoded, in a part where the source has parts; and the issues.

        Raises:
            InputNotFoundError: if there are no annotations.
            DataSetError: if an image stands in two parts, or an annotation is not Pascal VOC.
        """
        return read_folder(source, options or ImportOptions(), dataset=self.name)


def read_folder(
    source: Path,
    options: ImportOptions,
    *,
    dataset: str,
    classes: Mapping[str, str] | None = None,
    exhaustive_for: frozenset[str] = frozenset(),
) -> Import:
    """Read a VOC folder.

    Args:
        source: the folder.
        options: what the user says of it.
        dataset: name given to the records, and to the source of their boxes.
        classes: published class name to vocabulary key.
        exhaustive_for: what is known of the source, where the user says nothing.
    """
    folder = source / "Annotations"
    annotations = {file.stem: read_voc(file) for file in sorted(folder.glob("*.xml"))}
    if not annotations:
        raise InputNotFoundError(f"no XML annotations in {folder}; give the folder that holds Annotations/")
    parts = _parts(source / "ImageSets" / "Main")
    files, names = ImageFiles(source / "JPEGImages", options), ClassNames(options, classes)
    records: list[ImageRecord] = []
    issues = [
        Issue(stem, "missing_annotation", f"listed as {part}, no XML file", "rejected")
        for stem, part in sorted(parts.items())
        if stem not in annotations
    ]
    for stem, file in annotations.items():
        if parts and stem not in parts:
            issues.append(Issue(stem, "no_part", "in no list of ImageSets/Main", "rejected", boxes=len(file.objects)))
            continue
        image, found = files.look(tuple(f"{stem}{suffix}" for suffix in SUFFIXES), stem, file.size)
        issues += found
        if image is None:
            issues += rejected_with_image(stem, len(file.objects))
            continue
        regions, found = regions_of(file.objects, image, stem, names, dataset)
        issues += found
        records.append(
            image.record(
                stem,
                regions,
                domain=options.domain or Domain.OTHER,
                dataset=dataset,
                exhaustive_for=still_exhaustive(options, found, exhaustive_for),
                part=parts.get(stem),
            )
        )
    published = Counter(label for file in annotations.values() for label, _ in file.objects)
    return Import(tuple(records), tuple(issues), Published(len(annotations), sum(published.values()), published))


def _parts(folder: Path) -> dict[str, str]:
    """Image stem to part."""
    parts: dict[str, str] = {}
    for list_name, part in PARTS.items():
        file = folder / f"{list_name}.txt"
        for stem in file.read_text(encoding="utf-8").split() if file.is_file() else ():
            if parts.setdefault(stem, part) != part:
                raise DataSetError(f"image {stem!r} is listed in two parts, {parts[stem]} and {part}; list it in one")
    return parts


IMPORTER = Voc()
