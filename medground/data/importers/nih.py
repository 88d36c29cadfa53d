"""NIH ChestX-ray14: the boxes of `BBox_List_2017.csv`.

Source: Wang et al., ChestX-ray8, CVPR 2017. The header splits `Bbox [x,y,w,h]` over several columns.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from medground.data.importers.class_names import ClassNames
from medground.data.importers.image_files import ImageFiles, SourceImage
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    Published,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.marks import Mark, regions_of
from medground.data.importers.nih_chestxdet import CONCEPTS
from medground.data.importers.table import decimal
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError, InputNotFoundError
from medground.schema.record import ImageRecord, Region

CLASSES = {**CONCEPTS, "Infiltrate": "infiltration"}
"""The list of boxes calls "Infiltrate" what the image labels call "Infiltration"."""
SIZE_PX = 1024
"""Columns and rows of every published PNG."""
TABLE = "BBox_List_2017.csv"


class Nih:
    """Importer of `BBox_List_2017.csv`, images in `images/` or in `images_001/images/` to `images_012/images/`.

    A film has a box for one or few of its findings: exhaustive for nothing. The patient is the first part of the file
    name. Columns of the boxes are x, y, width, height, pixels of the PNG.
    """

    name = "nih"
    title = "NIH ChestX-ray14: BBox_List_2017.csv, images/ or images_001/images/ ..."

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the CSV file, or the folder that holds it.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no table.
            DataSetError: if it has another form.
        """
        options = options or ImportOptions()
        table = source if source.is_file() else source / TABLE
        marks = _marks(table)
        files, names = ImageFiles(table.parent, options), ClassNames(options, CLASSES)
        folders = ("",) if options.images else ("images/", *(f"images_{n:03}/images/" for n in range(1, 13)), "")
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        for file_name, own in marks.items():
            record_id = Path(file_name).stem
            image, found = files.look(tuple(f"{folder}{file_name}" for folder in folders), record_id, (SIZE_PX,) * 2)
            issues += found
            if image is None:
                issues += rejected_with_image(record_id, len(own))
                continue
            regions, found = regions_of(own, image, record_id, names, "NIH BBox_List_2017")
            issues += found
            records.append(_record(record_id, image, regions, still_exhaustive(options, found)))
        published = Counter(label for own in marks.values() for label, _ in own)
        return Import(tuple(records), tuple(issues), Published(len(marks), published.total(), published))


def _marks(table: Path) -> dict[str, list[Mark]]:
    """File name to the class name and corners of its boxes, in the order of the table."""
    if not table.is_file():
        raise InputNotFoundError(f"no table at {table}; give the folder that holds {TABLE}, or the file")
    marks: dict[str, list[Mark]] = {}
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream)
        if [name.strip() for name in next(rows, [])[:2]] != ["Image Index", "Finding Label"]:
            raise DataSetError(
                f"{table.name} does not begin with Image Index,Finding Label; compare it with the source"
            )
        for row in filter(any, rows):
            if len(row) < 6:
                raise DataSetError(f"{table.name} has a line of {len(row)} fields where a box needs 6: it is cut short")
            x, y, width, height = (decimal(field) for field in row[2:6])
            marks.setdefault(row[0].strip(), []).append((row[1].strip(), (x, y, x + width, y + height)))
    return marks


def _record(record_id: str, image: SourceImage, regions: list[Region], exhaustive_for: frozenset[str]) -> ImageRecord:
    return image.record(
        record_id,
        regions,
        patient_id=record_id.split("_")[0],
        domain=Domain.CHEST_RADIOGRAPH,
        dataset=Nih.name,
        exhaustive_for=exhaustive_for,
    )


IMPORTER = Nih()
