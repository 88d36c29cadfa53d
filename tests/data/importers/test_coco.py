from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medground.data.importers import Import, ImportOptions, by_name
from medground.schema.anatomy import Domain
from medground.schema.errors import DataSetError

WriteJpeg = Callable[..., None]
WriteCoco = Callable[..., Path]


@pytest.fixture
def source(write_coco: WriteCoco, write_jpeg: WriteJpeg) -> Path:
    images = [
        {"id": 1, "file_name": "p/a.jpg", "width": 60, "height": 40, "patient": "P", "split": "val"},
        {"id": 2, "file_name": "q/a.jpg", "width": 40, "height": 60},
        {"id": 3, "file_name": "cut.jpg", "width": 60, "height": 40},
        {"id": 4, "file_name": "gone.jpg", "width": 60, "height": 40},
    ]
    marks = [
        {"image_id": 1, "category_id": 1, "bbox": [1.5, 2, 10, 10]},
        {"image_id": 1, "category_id": 2, "bbox": [0, 0, 60, 40], "iscrowd": 1},
        {"image_id": 2, "category_id": 1, "bbox": [50, 30, 20, 20]},
        {"image_id": 2, "category_id": 2, "bbox": [5, 5, -3, 4]},
        {"image_id": 2, "category_id": 2, "bbox": [61, 5, 3, 4]},
        {"image_id": 2, "category_id": 3, "bbox": [1, 1, 3, 4]},
        {"image_id": 3, "category_id": 1, "bbox": [1, 1, 3, 4]},
        {"image_id": 4, "category_id": 1, "bbox": [1, 1, 3, 4]},
        {"image_id": 9, "category_id": 1, "bbox": [1, 1, 3, 4]},
    ]
    folder = write_coco(images, marks, ["Lung_Nodule", "Mass", "gadget"])
    write_jpeg(folder / "images" / "p" / "a.jpg")
    write_jpeg(folder / "images" / "q" / "a.jpg")
    write_jpeg(folder / "cut.jpg", cut=True)
    return folder


def test_records(source: Path) -> None:
    imported = by_name("coco")(source, ImportOptions(domain=Domain.CHEST_RADIOGRAPH))
    records = {record.record_id: record for record in imported.records}
    assert list(records) == ["p/a", "q/a"]
    one = records["p/a"]
    assert (one.patient_id, one.part, one.domain, one.exhaustive_for) == ("P", "valid", Domain.CHEST_RADIOGRAPH, set())
    assert [(r.concept, r.box.xyxy_px) for r in one.regions] == [("nodule", (1.5, 2, 11.5, 12))]
    assert [(r.concept, r.box.xyxy_px) for r in records["q/a"].regions] == [("nodule", (50, 30, 60, 40))]
    assert one.sha256 is not None


def test_every_dirt_is_listed_and_the_account_balances(source: Path) -> None:
    imported = by_name("coco")(source)
    assert Counter((issue.record_id, issue.kind) for issue in imported.issues) == {
        ("annotations_coco.json", "orphan_annotation"): 1,
        ("p/a", "crowd"): 1,
        ("q/a", "swapped_size"): 1,
        ("q/a", "overhanging_box"): 1,
        ("q/a", "degenerate_box"): 1,
        ("q/a", "outside_box"): 1,
        ("q/a", "unknown_class"): 1,
        ("cut", "truncated_image"): 1,
        ("cut", "box_without_image"): 1,
        ("gone", "missing_image"): 1,
        ("gone", "box_without_image"): 1,
    }
    assert_balanced(imported)
    assert imported.published.boxes == 9
    assert imported.published.images == 4


def assert_balanced(imported: Import) -> None:
    kept = sum(len(record.regions) for record in imported.records)
    lost = sum(issue.boxes for issue in imported.issues if issue.action in ("rejected", "merged"))
    assert kept + lost == imported.published.boxes == sum(imported.published.boxes_by_class.values())


def test_silence_proves_nothing_of_what_a_rejected_box_or_a_crowd_marks(source: Path) -> None:
    content = json.loads((source / "annotations_coco.json").read_text())
    content["annotations"] += [
        {"id": 10, "image_id": 1, "category_id": 1, "bbox": [1, 1, math.nan, 4]},
        {"id": 11, "image_id": 2, "category_id": 4, "segmentation": [[1, 1, 5, 1, 5, 5]]},
    ]
    content["categories"].append({"id": 4, "name": "Fracture"})
    (source / "annotations_coco.json").write_text(json.dumps(content))
    options = ImportOptions(exhaustive_for=frozenset({"nodule", "mass", "fracture", "cardiomegaly"}))
    imported = by_name("coco")(source, options)
    assert {record.record_id: record.exhaustive_for for record in imported.records} == {
        "p/a": {"fracture", "cardiomegaly"},
        "q/a": {"nodule", "cardiomegaly"},
    }
    assert_balanced(imported)


def test_parts_by_file_and_images_elsewhere(tmp_path: Path, write_jpeg: WriteJpeg) -> None:
    for number, part in enumerate(("train", "val")):
        entry = {"id": 1, "file_name": f"{part}.jpg", "width": 60, "height": 40}
        content = {"images": [entry], "annotations": [], "categories": []}
        table = tmp_path / "annotations" / f"instances_{part}2017.json"
        table.parent.mkdir(exist_ok=True)
        table.write_text(json.dumps(content), encoding="utf-8")
        write_jpeg(tmp_path / (f"{part}2017", "images")[number] / f"{part}.jpg")
    imported = by_name("coco")(tmp_path)
    assert [(r.record_id, r.part) for r in imported.records] == [("train", "train"), ("val", "valid")]
    elsewhere = by_name("coco")(tmp_path / "annotations" / "instances_val2017.json", ImportOptions(images=tmp_path))
    assert [(i.kind, i.record_id) for i in elsewhere.issues] == [("missing_image", "val")]


def test_annotations_alone_need_sizes(source: Path) -> None:
    imported = by_name("coco")(source, ImportOptions(with_images=False))
    assert [(r.columns, r.rows, r.path) for r in imported.records][1] == (40, 60, None)
    content = json.loads((source / "annotations_coco.json").read_text())
    del content["images"][0]["width"]
    (source / "annotations_coco.json").write_text(json.dumps(content))
    with pytest.raises(DataSetError, match="gives no size"):
        by_name("coco")(source, ImportOptions(with_images=False))
