"""RSNA Pneumonia Detection Challenge: opacities suspicious for pneumonia on films of NIH ChestX-ray14.

Source: Shih et al., Augmenting the NIH Chest Radiograph Dataset with Expert Annotations of Possible Pneumonia,
Radiology: AI 2019.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

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
from medground.schema.errors import UsageError
from medground.schema.record import ImageRecord, Region

CONCEPT = "pneumonia"
SIZE_PX = 1024
"""Columns and rows of every published film."""
TABLE = "stage_2_train_labels.csv"
DETAILS = "stage_2_detailed_class_info.csv"
COLUMNS = ("patientId", "x", "y", "width", "height", "Target")


class Rsna:
    """Importer of `stage_2_train_labels.csv` with the films in `stage_2_train_images/`.

    Every film was read for opacities that suggest pneumonia: exhaustive for those alone. `patientId` names a film, not
    a person; which NIH patient it shows is not in the table. What `stage_2_detailed_class_info.csv` says of the film
    (e.g. "No Lung Opacity / Not Normal") becomes its attribute `class`.
    """

    name = "rsna"
    title = f"RSNA Pneumonia: {TABLE}, stage_2_train_images/*.dcm"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the table, or the folder that holds it.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no table.
            DataSetError: if it has other columns.
            UsageError: the vocabulary has no pneumonia.
        """
        options = options or ImportOptions()
        if CONCEPT not in {concept.key for concept in options.vocabulary.concepts}:
            raise UsageError(f"the vocabulary has no {CONCEPT!r}, which this source marks")
        table = source if source.is_file() else source / TABLE
        images = by_image(read_table(table, COLUMNS), "patientId")
        details = table.with_name(DETAILS)
        classes = (
            {row["patientId"]: row["class"] for row in read_table(details, ("patientId", "class"))}
            if details.is_file()
            else {}
        )
        files = ImageFiles(table.parent / "stage_2_train_images", options)
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        for image_id, rows in images.items():
            boxed = [row for row in rows if row["Target"] == "1" or row["x"]]
            image, found = files.look((f"{image_id}.dcm", f"{image_id}.png"), image_id, (SIZE_PX, SIZE_PX))
            issues += found
            if image is None:
                issues += rejected_with_image(image_id, len(boxed))
                continue
            regions, found = _regions(boxed, image, image_id)
            issues += found
            attributes = {"class": classes[image_id]} if image_id in classes else {}
            known = still_exhaustive(options, found, frozenset({CONCEPT}))
            records.append(_record(image_id, image, regions, attributes, known))
        boxes = sum(bool(row["Target"] == "1" or row["x"]) for rows in images.values() for row in rows)
        count = Counter({"Lung Opacity": boxes})
        return Import(tuple(records), tuple(issues), Published(len(images), boxes, +count))


def _regions(boxed: list[Row], image: SourceImage, image_id: str) -> tuple[list[Region], list[Issue]]:
    regions: list[Region] = []
    issues: list[Issue] = []
    for row in boxed:
        x, y, width, height = (decimal(row[column]) for column in COLUMNS[1:5])
        if row["Target"] != "1":
            detail = f"{CONCEPT}: a box where Target is 0"
            issues.append(Issue(image_id, "contradiction", detail, "rejected", boxes=1, concept=CONCEPT))
            continue
        corners = (x, y, x + width, y + height)
        box, issue = bounded_box(corners, image.stored.columns, image.stored.rows, image_id, CONCEPT)
        issues += [issue] if issue else []
        if box is not None:
            regions.append(Region(concept=CONCEPT, box=box, source="RSNA Pneumonia"))
    return regions, issues


def _record(
    image_id: str,
    image: SourceImage,
    regions: list[Region],
    attributes: dict[str, str],
    exhaustive_for: frozenset[str],
) -> ImageRecord:
    return image.record(
        image_id,
        regions,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset=Rsna.name,
        exhaustive_for=exhaustive_for,
        attributes=attributes,
    )


IMPORTER = Rsna()
