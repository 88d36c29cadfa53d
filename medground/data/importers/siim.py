"""SIIM-ACR Pneumothorax Segmentation: run-length masks on films of NIH ChestX-ray14.

Source: SIIM-ACR Pneumothorax Segmentation challenge, 2019, data description.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from medground.data.importers.image_files import ImageFiles, SourceImage
from medground.data.importers.imported import Import, ImportOptions, Issue, Published, bounded_box, still_exhaustive
from medground.data.importers.run_length import NONE, mask_of, regions_of
from medground.data.importers.table import by_image, read_table
from medground.schema.anatomy import Domain
from medground.schema.errors import InputNotFoundError, UsageError
from medground.schema.record import ImageRecord, Region

CONCEPT = "pneumothorax"
SIZE_PX = 1024
"""Columns and rows of every published film."""
SPECK_PX = 16
"""A connected region of fewer pixels is a slip of the pen."""
COLUMNS = ("ImageId", "EncodedPixels")
_SUFFIXES = (".dcm", ".png", ".jpg")


class Siim:
    """Importer of `train-rle.csv` with the films below `dicom-images-train/`.

    Each connected region of a mask becomes a box. Every film was read for pneumothorax: exhaustive for that alone.
    """

    name = "siim"
    title = "SIIM-ACR Pneumothorax: train-rle.csv (run-length masks), dicom-images-train/**/*.dcm"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: the table, or the folder that holds it.
            options: what the user says of it.

        Raises:
            InputNotFoundError: if there is no table.
            DataSetError: if it has other columns.
            UsageError: the vocabulary has no pneumothorax.
        """
        options = options or ImportOptions()
        if CONCEPT not in {concept.key for concept in options.vocabulary.concepts}:
            raise UsageError(f"the vocabulary has no {CONCEPT!r}, which this source marks")
        table = source if source.is_file() else _table(source)
        images = by_image(read_table(table, COLUMNS), "ImageId")
        folder = options.images or table.parent / "dicom-images-train"
        places = _places(folder) if options.with_images else {}
        files = ImageFiles(folder, options)
        records: list[ImageRecord] = []
        issues: list[Issue] = []
        boxes = 0
        for image_id, rows in images.items():
            masks = [row["EncodedPixels"] for row in rows if row["EncodedPixels"] not in (NONE, "")]
            names = (places.get(image_id, f"{image_id}.dcm"),)
            image, found = files.look(names, image_id, (SIZE_PX, SIZE_PX))
            issues += found
            regions, found, count = _regions(masks, image, image_id)
            boxes += count
            issues += found
            if image is not None:
                known = still_exhaustive(options, found, frozenset({CONCEPT}))
                records.append(_record(image_id, image, regions, known))
        count_by_class = +Counter({"Pneumothorax": boxes})
        return Import(tuple(records), tuple(issues), Published(len(images), boxes, count_by_class))


def _table(folder: Path) -> Path:
    found = sorted(folder.glob("*train*rle*.csv"))
    if not found:
        raise InputNotFoundError(f"no train-rle.csv in {folder}; give the folder that holds it, or the file")
    return found[0]


def _places(folder: Path) -> dict[str, str]:
    """Image to its file, which lies below folders named by study and series."""
    return {
        path.stem: path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES
    }


def _regions(masks: list[str], image: SourceImage | None, image_id: str) -> tuple[list[Region], list[Issue], int]:
    """Regions, issues, and how many boxes the masks come to; all of them lost where there is no image."""
    regions: list[Region] = []
    issues: list[Issue] = []
    boxes = 0
    for text in masks:
        try:
            marked = regions_of(mask_of(text, SIZE_PX, SIZE_PX))
        except ValueError as error:
            detail = f"{CONCEPT}: {error}"
            issues.append(Issue(image_id, "bad_mask", detail, "rejected", boxes=1, concept=CONCEPT))
            boxes += 1
            continue
        boxes += len(marked)
        for corners, area in marked:
            if image is None:
                detail = "a region of an image that cannot be used"
                issues.append(Issue(image_id, "box_without_image", detail, "rejected", boxes=1))
            elif area < SPECK_PX:
                detail = f"{CONCEPT}: {area} pixels at {corners}"
                issues.append(Issue(image_id, "speck", detail, "rejected", boxes=1, concept=CONCEPT))
            else:
                factor = (image.stored.columns / SIZE_PX, image.stored.rows / SIZE_PX) * 2
                x1, y1, x2, y2 = (v * f for v, f in zip(corners, factor, strict=True))
                size = (image.stored.columns, image.stored.rows)
                box, issue = bounded_box((x1, y1, x2, y2), *size, image_id, CONCEPT)
                issues += [issue] if issue else []
                if box is not None:
                    regions.append(Region(concept=CONCEPT, box=box, source="SIIM-ACR"))
    return regions, issues, boxes


def _record(image_id: str, image: SourceImage, regions: list[Region], exhaustive_for: frozenset[str]) -> ImageRecord:
    return image.record(
        image_id,
        regions,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset=Siim.name,
        exhaustive_for=exhaustive_for,
    )


IMPORTER = Siim()
