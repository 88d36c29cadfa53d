"""NIH ChestX-ray14 films with the boxes of ChestX-Det and of NIH's own list, as one COCO file."""

from __future__ import annotations

from collections.abc import Iterator
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

    name = "nih-chestxdet"
    title = "NIH films with the boxes of ChestX-Det and NIH joined: annotations_coco.json beside images/"

    def __call__(self, source: Path, options: ImportOptions | None = None) -> Import:
        """Read the data set.

        Args:
            source: folder with `annotations_coco.json` and `images/`.
            options: what the user says of it.

        Returns:
            One record per film that can be decoded, and the issues.

        Raises:
            InputNotFoundError: if the annotations are absent.
            DataSetError: if they are not COCO.
        """
        options = options or ImportOptions()
        coco = read_coco(source / "annotations_coco.json")
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
            record, found = _record(entry, image, coco, names, options)
            records.append(record)
            issues += [*found, *_comparisons(record)]
        return Import(tuple(records), tuple(issues), coco.published)


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


def _record(
    entry: Entry, image: SourceImage, coco: CocoFile, names: ClassNames, options: ImportOptions
) -> tuple[ImageRecord, list[Issue]]:
    record_id = Path(str(entry["file_name"])).stem
    issues: list[Issue] = []
    regions: list[Region] = []
    for annotation in coco.annotations.get(entry["id"], ()):
        label = coco.label(annotation)
        concept = names.key(label)
        if concept is None:
            issues.append(Issue(record_id, "unknown_class", label, "rejected", boxes=1))
            continue
        box, issue = bounded_box(xyxy_px(annotation), image.stored.columns, image.stored.rows, record_id, concept)
        issues += [issue] if issue else []
        if box is not None:
            regions.append(Region(concept=concept, box=box, source=str(annotation["source"])))
    read_for = {str(label): names.key(str(label)) for label in entry.get("exhaustive_for", ())}
    unknown = [label for label, key in read_for.items() if key is None]
    issues += [Issue(record_id, "unknown_class", f"exhaustive for {label}", "rejected") for label in unknown]
    if "nih_image_label" in entry and not read_for:
        issues.append(Issue(record_id, "unproven_normal", f"text-mined label {entry['nih_image_label']!r}", "kept"))
    record = image.record(
        record_id,
        regions,
        patient_id=str(entry["patient"]),
        domain=Domain.CHEST_RADIOGRAPH,
        dataset="nih_chestxdet",
        exhaustive_for=still_exhaustive(options, issues, frozenset(key for key in read_for.values() if key)),
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


IMPORTER = NihChestXDet()
