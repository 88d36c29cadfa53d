"""FracAtlas: limb radiographs with fracture boxes, as one COCO file.

Source: Abedeen et al., FracAtlas, Scientific Data 2023, doi 10.1038/s41597-023-02432-4.
"""

from __future__ import annotations

from pathlib import Path

from medground.data.importers.coco import CocoFile, Entry, read_coco, xyxy_px
from medground.data.importers.imported import Import, Issue, bounded_box
from medground.data.importers.stored_image import StoredImage, inspect
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

    def __call__(self, source: Path) -> Import:
        """Read the data set.

        Args:
            source: folder with `annotations_coco.json` and `images/`.

        Returns:
            One record per image that can be decoded, and the issues.

        Raises:
            InputNotFoundError: if the annotations are absent.
            DataSetError: if they are not COCO.
        """
        coco = read_coco(source / "annotations_coco.json")
        records: list[ImageRecord] = []
        issues = list(coco.issues)
        for entry in coco.images:
            record, found = _record(entry, coco, source / "images")
            issues += found
            records += [record] if record else []
        return Import(tuple(records), tuple(issues))


def _record(entry: Entry, coco: CocoFile, images: Path) -> tuple[ImageRecord | None, list[Issue]]:
    path = images / str(entry["file_name"])
    record_id = path.stem
    try:
        stored = inspect(path)
    except OSError as error:
        kind = "truncated_image" if "truncated" in str(error) else "unreadable_image"
        return None, [Issue(record_id, kind, f"{path.name}: {type(error).__name__}", "rejected")]
    issues = _frame_issues(entry, stored, record_id)
    regions: list[Region] = []
    for annotation in coco.annotations.get(entry["id"], ()):
        label = coco.categories.get(annotation["category_id"], str(annotation["category_id"]))
        if label not in CONCEPTS:
            issues.append(Issue(record_id, "unknown_class", label, "rejected"))
            continue
        box, issue = bounded_box(xyxy_px(annotation), *stored.shown_size, record_id)
        issues += [issue] if issue else []
        if box is None:
            continue
        if stored.orientation != 1:
            detail = f"{box.xyxy_px} turned back from Exif orientation {stored.orientation}"
            issues.append(Issue(record_id, "turned_box", detail, "repaired"))
        regions.append(Region(concept=CONCEPTS[label], box=stored.to_stored(box), source="FracAtlas"))
    record = ImageRecord(
        record_id=record_id,
        patient_id=record_id,
        path=path,
        columns=stored.columns,
        rows=stored.rows,
        domain=Domain.LIMB_RADIOGRAPH,
        dataset=FracAtlas.name,
        regions=tuple(regions),
        exhaustive_for=frozenset(CONCEPTS.values()),
        part=str(entry["split"]),
    )
    return record, issues


def _frame_issues(entry: Entry, stored: StoredImage, record_id: str) -> list[Issue]:
    """Where the published size, or the orientation tag, does not fit the stored pixels."""
    issues = []
    published, size = (entry["width"], entry["height"]), (stored.columns, stored.rows)
    if published != size:
        kind = "swapped_size" if published == size[::-1] else "wrong_size"
        detail = f"{published[0]}x{published[1]} published, {size[0]}x{size[1]} stored"
        issues.append(Issue(record_id, kind, detail, "repaired"))
    if stored.orientation != 1:
        issues.append(Issue(record_id, "exif_orientation", f"Exif orientation {stored.orientation}", "kept"))
    return issues
