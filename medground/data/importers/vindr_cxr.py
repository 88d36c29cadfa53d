"""VinDr-CXR (VinBigData): boxes of several radiologists for each film.

Source: Nguyen et al., VinDr-CXR, Scientific Data 2022; the table of the VinBigData challenge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
from medground.data.importers.readers import fuse
from medground.data.importers.table import Row, by_image, decimal, read_table
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region

CLASSES = {
    "Aortic enlargement": "aortic_enlargement",
    "Atelectasis": "atelectasis",
    "Calcification": "calcification",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "ILD": "interstitial_lung_disease",
    "Infiltration": "infiltration",
    "Lung Opacity": "lung_opacity",
    "Nodule/Mass": "lung_lesion",
    "Pleural effusion": "pleural_effusion",
    "Pleural thickening": "pleural_thickening",
    "Pneumothorax": "pneumothorax",
    "Pulmonary fibrosis": "fibrosis",
}
"""Published class to vocabulary key. "Other lesion" says nothing that could be asked for, and stays unmapped."""
EXHAUSTIVE = frozenset(CLASSES.values()) - {"lung_lesion", "lung_opacity"}
"""Every reader marked every class. The two broad ones cover other classes of the list too, and are left open."""
NO_FINDING = "No finding"
COLUMNS = ("image_id", "class_name", "rad_id", "x_min", "y_min", "x_max", "y_max")


class VinDrCxr:
    """Importer of `train.csv` with the films in `train/` (DICOM), or PNG copies of the same size.

    Boxes of different readers are fused; `Region.readers` tells how many of `ImageRecord.readers` agreed. Without the
    films the size of each is taken from `train_meta.csv` (image_id, dim0 rows, dim1 columns). The patient is not told:
    each image stands for itself.
    """

    name = "vindr-cxr"
    title = "VinDr-CXR: train.csv (several readers), train/*.dicom, train_meta.csv where films are left out"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: `train.csv`, or the folder that holds it.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no table.
            DataSetError: if it has other columns, or films are left out and their size is not told.
        """
        options = options or ImportOptions()
        table = source if source.is_file() else source / "train.csv"
        images = by_image(read_table(table, COLUMNS), "image_id")
        sizes = _sizes(table.with_name("train_meta.csv"))
        files, names = ImageFiles(table.parent / "train", options), ClassNames(options, CLASSES)
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        published: Counter[str] = Counter()
        for image_id, rows in images.items():
            boxed = [row for row in rows if row["class_name"] != NO_FINDING]
            published.update(row["class_name"] for row in boxed)
            suffixes = (".dicom", ".dcm", ".png", ".jpg")
            image, found = files.look(tuple(image_id + one for one in suffixes), image_id, sizes.get(image_id))
            issues += found
            if image is None:
                issues += rejected_with_image(image_id, len(boxed))
                continue
            readers, found = _marks(rows, image, image_id, names)
            regions, merged = _regions(readers, image, image_id)
            issues += [*found, *merged]
            known = still_exhaustive(options, found, EXHAUSTIVE)
            records.append(_record(image_id, image, regions, len(readers), known))
        return Import(tuple(records), tuple(issues), Published(len(images), published.total(), published))


def _sizes(table: Path) -> dict[str, tuple[int, int]]:
    """Image to width and height, where the table of sizes is there."""
    if not table.is_file():
        return {}
    rows = read_table(table, ("image_id", "dim0", "dim1"))
    return {row["image_id"]: (int(row["dim1"]), int(row["dim0"])) for row in rows}


def _marks(
    rows: Sequence[Row], image: SourceImage, image_id: str, names: ClassNames
) -> tuple[dict[str, list[tuple[str, Box]]], list[Issue]]:
    """Reader to what they marked; a reader of "No finding" marked nothing."""
    readers: dict[str, list[tuple[str, Box]]] = {}
    issues: list[Issue] = []
    for row in rows:
        own = readers.setdefault(row["rad_id"], [])
        if row["class_name"] == NO_FINDING:
            continue
        concept = names.key(row["class_name"])
        if concept is None:
            issues.append(Issue(image_id, "unknown_class", row["class_name"], "rejected", boxes=1))
            continue
        x1, y1, x2, y2 = (decimal(row[column]) for column in COLUMNS[3:])
        box, issue = bounded_box((x1, y1, x2, y2), image.stored.columns, image.stored.rows, image_id, concept)
        issues += [issue] if issue else []
        if box is not None:
            own.append((concept, box))
    return readers, issues


def _regions(
    readers: dict[str, list[tuple[str, Box]]], image: SourceImage, image_id: str
) -> tuple[list[Region], list[Issue]]:
    regions: list[Region] = []
    issues: list[Issue] = []
    for lesion in fuse(readers, image.stored.columns, image.stored.rows):
        regions.append(Region(concept=lesion.concept, box=lesion.box, source="VinDr-CXR", readers=lesion.readers))
        if lesion.boxes > 1:
            detail = f"{lesion.boxes} boxes of {lesion.readers} readers became one {lesion.concept}"
            issues.append(Issue(image_id, "readers_fused", detail, "merged", boxes=lesion.boxes - 1))
    return regions, issues


def _record(
    image_id: str, image: SourceImage, regions: list[Region], readers: int, exhaustive_for: frozenset[str]
) -> ImageRecord:
    return image.record(
        image_id,
        regions,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset=VinDrCxr.name,
        exhaustive_for=exhaustive_for,
        readers=readers,
    )


IMPORTER = VinDrCxr()
