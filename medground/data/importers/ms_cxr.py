"""MS-CXR: boxes on films of MIMIC-CXR, each with the phrase of a radiologist that it illustrates.

Source: Boecking et al., Making the Most of Text Semantics to Improve Biomedical Vision-Language Processing, ECCV 2022.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from medground.data.importers.class_names import ClassNames
from medground.data.importers.image_files import ImageFiles, SourceImage
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    Published,
    bounded_box,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.table import Row, by_image, decimal, read_table
from medground.schema.anatomy import Domain
from medground.schema.errors import InputNotFoundError
from medground.schema.record import ImageRecord, Region

CLASSES = {"Edema": "pulmonary_oedema"}
COLUMNS = ("category_name", "label_text", "dicom_id", "x", "y", "w", "h", "image_width", "image_height")
_PARTS = {"train": "train", "val": "valid", "validate": "valid", "test": "test"}
_PATIENT = re.compile(r"/(p\d{8})/")


class MsCxr:
    """Importer of the CSV, films by `dicom_id` in `images/` or under the path that the table gives.

    A film has a box for the phrases that were chosen, not for everything on it: exhaustive for nothing. The patient is
    read from the path where the table has one; else each image stands for itself.
    """

    name = "ms-cxr"
    title = "MS-CXR: MS_CXR_Local_Alignment_*.csv (a phrase per box), images/ or the tree of MIMIC-CXR"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the CSV, or the folder that holds it.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no CSV.
            DataSetError: if it has other columns.
        """
        options = options or ImportOptions()
        table = source if source.is_file() else next(iter(sorted(source.glob("*.csv"))), None)
        if table is None:
            raise InputNotFoundError(f"no CSV in {source}; give MS_CXR_Local_Alignment_*.csv or its folder")
        images = by_image(read_table(table, COLUMNS), "dicom_id")
        files, names = ImageFiles(table.parent, options), ClassNames(options, CLASSES)
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        for image_id, rows in images.items():
            size = (int(decimal(rows[0]["image_width"])), int(decimal(rows[0]["image_height"])))
            stems = (f"images/{image_id}", image_id)
            wanted = (
                *filter(None, [rows[0].get("path")]),
                *(f"{s}{e}" for s in stems for e in (".jpg", ".png", ".dcm")),
            )
            image, found = files.look(wanted, image_id, size)
            issues += found
            if image is None:
                issues += rejected_with_image(image_id, len(rows))
                continue
            regions, found = _regions(rows, image, size, image_id, names)
            issues += found
            records.append(_record(image_id, rows[0], image, regions, still_exhaustive(options, found)))
        published = Counter(row["category_name"] for rows in images.values() for row in rows)
        return Import(tuple(records), tuple(issues), Published(len(images), published.total(), published))


def _regions(
    rows: list[Row], image: SourceImage, size: tuple[int, int], image_id: str, names: ClassNames
) -> tuple[list[Region], list[Issue]]:
    """Boxes are in the published size: films are often kept smaller, and the boxes are then scaled."""
    regions: list[Region] = []
    issues: list[Issue] = []
    scale_x, scale_y = image.stored.columns / size[0], image.stored.rows / size[1]
    for row in rows:
        concept = names.key(row["category_name"])
        if concept is None:
            issues.append(Issue(image_id, "unknown_class", row["category_name"], "rejected", boxes=1))
            continue
        x, y, w, h = (decimal(row[column]) for column in COLUMNS[3:7])
        corners = (x * scale_x, y * scale_y, (x + w) * scale_x, (y + h) * scale_y)
        box, issue = bounded_box(corners, image.stored.columns, image.stored.rows, image_id, concept)
        issues += [issue] if issue else []
        if box is not None:
            regions.append(Region(concept=concept, box=box, source="MS-CXR", phrase=row["label_text"] or None))
    return regions, issues


def _record(
    image_id: str, row: Row, image: SourceImage, regions: list[Region], exhaustive_for: frozenset[str]
) -> ImageRecord:
    patient = _PATIENT.search(row.get("path", ""))
    return image.record(
        image_id,
        regions,
        patient_id=patient[1] if patient else image_id,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset=MsCxr.name,
        exhaustive_for=exhaustive_for,
        part=_PARTS.get(row.get("split", "")),
    )


IMPORTER = MsCxr()
