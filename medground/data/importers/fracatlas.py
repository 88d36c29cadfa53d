"""FracAtlas: limb radiographs with fracture boxes, as one COCO file.

Source: Abedeen et al., FracAtlas, Scientific Data 2023, doi 10.1038/s41597-023-02432-4.
"""

from __future__ import annotations

import csv
from pathlib import Path

from medground.data.importers.class_names import ClassNames
from medground.data.importers.coco_file import CocoFile, Entry, read_coco, xyxy_px
from medground.data.importers.image_files import ImageFiles, SourceImage
from medground.data.importers.imported import (
    Import,
    ImportOptions,
    Issue,
    bounded_box,
    rejected_with_image,
    still_exhaustive,
)
from medground.data.importers.stored_image import StoredImage
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord, Region

CONCEPTS = {"fracture": "fracture"}


class FracAtlas:
    """Importer of the folder `fracatlas`: `annotations_coco.json` beside `images/`.

    The source names no patient: each image stands for itself until `leaks.with_duplicate_groups` ties copies of a
    film together. Boxes were drawn on the picture as a viewer shows it, so on the few files with an Exif orientation
    they are turned back to stored pixels.
    """

    name = "fracatlas"
    title = "FracAtlas: annotations_coco.json (or the published COCO file) beside images/, with dataset.csv if there"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: folder with `annotations_coco.json` and `images/`.
            options: what the user says of it.

        Returns:
            One record per image that can be decoded, and the issues.

        Raises:
            InputNotFoundError: if the annotations are absent.
            DataSetError: if they are not COCO.
        """
        options = options or ImportOptions()
        coco = read_coco(source / "annotations_coco.json")
        attributes = _attributes(source / "dataset.csv")
        files, names = ImageFiles(source / "images", options), ClassNames(options, CONCEPTS)
        records: list[ImageRecord] = []
        issues = list(coco.issues)
        for entry in coco.images:
            file_name = str(entry["file_name"])
            record_id = Path(file_name).stem
            image, found = files.look((file_name,), record_id, (int(entry["width"]), int(entry["height"])))
            issues += found
            if image is None:
                issues += rejected_with_image(record_id, len(coco.annotations.get(entry["id"], ())))
                continue
            regions, found = _regions(coco, entry, image.stored, record_id, names)
            issues += found
            exhaustive_for = still_exhaustive(options, found, frozenset(CONCEPTS.values()))
            records.append(_record(entry, image, regions, attributes.get(file_name, {}), exhaustive_for))
        return Import(tuple(records), tuple(issues), coco.published)


def _regions(
    coco: CocoFile, entry: Entry, stored: StoredImage, record_id: str, names: ClassNames
) -> tuple[list[Region], list[Issue]]:
    regions: list[Region] = []
    issues: list[Issue] = []
    for annotation in coco.annotations.get(entry["id"], ()):
        label = coco.label(annotation)
        concept = names.key(label)
        if concept is None:
            issues.append(Issue(record_id, "unknown_class", label, "rejected", boxes=1))
            continue
        box, issue = bounded_box(xyxy_px(annotation), *stored.shown_size, record_id, concept)
        issues += [issue] if issue else []
        if box is None:
            continue
        if stored.orientation != 1:
            detail = f"{box.xyxy_px} turned back from Exif orientation {stored.orientation}"
            issues.append(Issue(record_id, "turned_box", detail, "repaired", boxes=1))
        regions.append(Region(concept=concept, box=stored.to_stored(box), source="FracAtlas"))
    return regions, issues


def _record(
    entry: Entry,
    image: SourceImage,
    regions: list[Region],
    attributes: dict[str, str],
    exhaustive_for: frozenset[str],
) -> ImageRecord:
    record_id = Path(str(entry["file_name"])).stem
    return image.record(
        record_id,
        regions,
        domain=Domain.LIMB_RADIOGRAPH,
        dataset=FracAtlas.name,
        exhaustive_for=exhaustive_for,
        part=str(entry["split"]) if "split" in entry else None,
        attributes=attributes,
    )


def _attributes(table: Path) -> dict[str, dict[str, str]]:
    """File name to the columns of `dataset.csv` (site, hardware, view, ...); empty where it is absent."""
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8-sig") as stream:
        return {row.pop("image_id"): row for row in csv.DictReader(stream)}


IMPORTER = FracAtlas()
