"""NIH ChestX-ray14 films with the boxes of ChestX-Det and of NIH's own list, as one COCO file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medground.data.importers.coco import CocoFile, Entry, read_coco, xyxy_px
from medground.data.importers.imported import Import, Issue, bounded_box
from medground.data.importers.stored_image import inspect
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord, Region

CONCEPTS = {
    "Atelectasis": "atelectasis",
    "Calcification": "calcification",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Diffuse Nodule": "diffuse_nodules",
    "Effusion": "pleural_effusion",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Fracture": "fracture",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pleural Thickening": "pleural_thickening",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}
"""Published class name to vocabulary key."""

CHESTX_DET = "ChestX-Det"
SAME_LESION_IOU = 0.5


class NihChestXDet:
    """Importer of the folder `cxr`: `annotations_coco.json` beside `images/`.

    A film that ChestX-Det read is exhaustive for its 13 classes, boxes or no boxes. Films with only NIH's boxes, and
    films that NIH's text mining called "No Finding", are exhaustive for nothing: the first list was never complete
    and the mined labels are noisy, so neither proves an absence. Sides are left open: burned-in markers were painted
    over, and without them a film cannot be told from its mirror image.
    """

    name = "nih_chestxdet"

    def __call__(self, source: Path) -> Import:
        """Read the data set.

        Args:
            source: folder with `annotations_coco.json` and `images/`.

        Returns:
            One record per film that can be decoded, and the issues.

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
            if record is not None:
                records.append(record)
                issues += _comparisons(record)
        return Import(tuple(records), tuple(issues))


def merge_double_marked(record: ImageRecord) -> ImageRecord:
    """Leave one box where two sources marked the same lesion: the one of ChestX-Det's readers.

    Args:
        record: a record with the boxes of both sources.

    Returns:
        The record without the boxes of other sources that a ChestX-Det box of the same concept overlaps with
        IoU >= 0.5; equal to the given record where there are none.
    """
    dropped = {id(other) for _, other in _double_marked(record)}
    return record.model_copy(update={"regions": tuple(r for r in record.regions if id(r) not in dropped)})


def _record(entry: Entry, coco: CocoFile, images: Path) -> tuple[ImageRecord | None, list[Issue]]:
    path = images / str(entry["file_name"])
    record_id = path.stem
    try:
        stored = inspect(path)
    except OSError as error:
        return None, [Issue(record_id, "unreadable_image", f"{path.name}: {type(error).__name__}", "rejected")]
    issues: list[Issue] = []
    regions: list[Region] = []
    for annotation in coco.annotations.get(entry["id"], ()):
        label = coco.categories.get(annotation["category_id"], str(annotation["category_id"]))
        concept = CONCEPTS.get(label)
        if concept is None:
            issues.append(Issue(record_id, "unknown_class", label, "rejected"))
            continue
        box, issue = bounded_box(xyxy_px(annotation), stored.columns, stored.rows, record_id)
        issues += [issue] if issue else []
        if box is not None:
            regions.append(Region(concept=concept, box=box, source=str(annotation["source"])))
    read_for = [str(label) for label in entry.get("exhaustive_for", ())]
    unknown = [label for label in read_for if label not in CONCEPTS]
    issues += [Issue(record_id, "unknown_class", f"exhaustive for {label}", "rejected") for label in unknown]
    if "nih_image_label" in entry and not read_for:
        issues.append(Issue(record_id, "unproven_normal", f"text-mined label {entry['nih_image_label']!r}", "kept"))
    if (stored.columns, stored.rows) != (entry["width"], entry["height"]):
        detail = f"{entry['width']}x{entry['height']} published, {stored.columns}x{stored.rows} stored"
        issues.append(Issue(record_id, "wrong_size", detail, "repaired"))
    record = ImageRecord(
        record_id=record_id,
        patient_id=str(entry["patient"]),
        path=path,
        columns=stored.columns,
        rows=stored.rows,
        domain=Domain.CHEST_RADIOGRAPH,
        dataset=NihChestXDet.name,
        regions=tuple(regions),
        exhaustive_for=frozenset(CONCEPTS[label] for label in read_for if label in CONCEPTS),
    )
    return record, issues


def _double_marked(record: ImageRecord) -> Iterator[tuple[Region, Region]]:
    """Pairs (ChestX-Det region, region of another source) that mark the same lesion."""
    for other in record.regions:
        if other.source == CHESTX_DET:
            continue
        rivals = [r for r in record.regions if r.source == CHESTX_DET and r.concept == other.concept]
        best = max(rivals, key=lambda rival: rival.box.iou(other.box), default=None)
        if best is not None and best.box.iou(other.box) >= SAME_LESION_IOU:
            yield best, other


def _comparisons(record: ImageRecord) -> list[Issue]:
    """Where the sources agree on a lesion, and where a box stands on a film that others read without marking it."""
    issues = []
    doubled = list(_double_marked(record))
    for kept, other in doubled:
        detail = f"{other.concept} by {kept.source} and {other.source}, IoU {kept.box.iou(other.box):.2f}"
        issues.append(Issue(record.record_id, "double_marked", detail, "kept"))
    matched = {id(other) for _, other in doubled}
    for region in record.regions:
        contested = region.source != CHESTX_DET and region.concept in record.exhaustive_for
        if contested and id(region) not in matched:
            detail = f"{region.concept} by {region.source} has no {CHESTX_DET} box at IoU >= {SAME_LESION_IOU}"
            issues.append(Issue(record.record_id, "sources_disagree", detail, "kept"))
    return issues
