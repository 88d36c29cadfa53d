from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from medground.data.importers import Import, ImportOptions, by_name
from medground.data.importers.nih_chestxdet import CONCEPTS, merge_double_marked
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.record import ImageRecord, Region

WriteJpeg = Callable[..., None]
WriteCoco = Callable[..., Path]
Entry = dict[str, Any]

DET, NIH = "ChestX-Det", "NIH BBox_List_2017"
THIRTEEN = [name for name in CONCEPTS if name not in ("Infiltration", "Pneumonia")]


def image(
    number: int, file_name: str, *, exhaustive: Sequence[str] = (), size: tuple[int, int] = (60, 40), **more: str
) -> Entry:
    entry = {"id": number, "file_name": file_name, "width": size[0], "height": size[1], "patient": f"p{number // 10}"}
    return {**entry, "exhaustive_for": list(exhaustive), **more}


def mark(image_id: int, label: str, bbox: list[float], source: str = DET) -> Entry:
    number = list(CONCEPTS).index(label) + 1 if label in CONCEPTS else len(CONCEPTS) + 1
    return {"image_id": image_id, "category_id": number, "bbox": bbox, "source": source}


@pytest.fixture
def imported(write_coco: WriteCoco, write_jpeg: WriteJpeg) -> Import:
    names = ("read", "normal", "listed", "mined", "resized", "doubled")
    images = [
        image(10, "read.jpg", exhaustive=THIRTEEN),
        image(11, "normal.jpg", exhaustive=[*THIRTEEN, "Widget"]),
        image(20, "listed.jpg"),
        image(30, "mined.jpg", nih_image_label="No Finding"),
        image(40, "resized.jpg", size=(120, 80)),
        image(50, "doubled.jpg", exhaustive=THIRTEEN),
        image(60, "absent.jpg"),
    ]
    marks = [
        mark(10, "Diffuse Nodule", [1, 2, 30, 20]),
        mark(10, "Effusion", [1, 2, 0, 20]),
        mark(10, "Effusion", [50, 30, 20, 20]),
        mark(10, "Gadget", [1, 2, 3, 4]),
        mark(20, "Infiltration", [5, 5, 10, 10], NIH),
        mark(50, "Mass", [0, 0, 20, 20]),
        mark(50, "Mass", [0, 0, 20, 10], NIH),  # IoU exactly 0.5
        mark(50, "Nodule", [0, 0, 20, 20], NIH),  # another concept on the same place
        mark(50, "Cardiomegaly", [30, 0, 20, 20]),
        mark(50, "Cardiomegaly", [30, 0, 20, 9], NIH),  # IoU 0.45
    ]
    source = write_coco(images, marks, [*CONCEPTS, "Gadget"])
    for name in names:
        write_jpeg(source / "images" / f"{name}.jpg")
    return by_name("nih-chestxdet")(source)


def test_records_carry_patient_domain_and_mapped_regions(imported: Import) -> None:
    records = {record.record_id: record for record in imported.records}
    assert list(records) == ["read", "normal", "listed", "mined", "resized", "doubled"]
    read = records["read"]
    assert (read.patient_id, read.domain, read.dataset, read.part) == (
        "p1",
        Domain.CHEST_RADIOGRAPH,
        "nih_chestxdet",
        None,
    )
    assert [(r.concept, r.box.xyxy_px, r.source, r.side) for r in read.regions] == [
        ("diffuse_nodules", (1, 2, 31, 22), DET, None),
        ("pleural_effusion", (50, 30, 60, 40), DET, None),
    ]
    assert records["normal"].patient_id == "p1"


def test_only_a_reading_proves_an_absence(imported: Import) -> None:
    records = {record.record_id: record for record in imported.records}
    thirteen = {CONCEPTS[name] for name in THIRTEEN}
    assert len(thirteen) == 13
    assert records["normal"].exhaustive_for == thirteen
    assert records["normal"].regions == ()
    assert records["read"].exhaustive_for == thirteen - {"pleural_effusion"}  # one of two boxes was rejected
    assert records["listed"].exhaustive_for == frozenset()
    assert records["mined"].exhaustive_for == frozenset()


def test_every_dirt_is_listed(imported: Import) -> None:
    assert Counter((issue.record_id, issue.kind, issue.action) for issue in imported.issues) == {
        ("read", "degenerate_box", "rejected"): 1,
        ("read", "overhanging_box", "repaired"): 1,
        ("read", "unknown_class", "rejected"): 1,
        ("normal", "unknown_class", "rejected"): 1,
        ("mined", "unproven_normal", "kept"): 1,
        ("resized", "wrong_size", "repaired"): 1,
        ("doubled", "double_marked", "kept"): 1,
        ("doubled", "sources_disagree", "kept"): 2,
        ("absent", "missing_image", "rejected"): 1,
    }
    assert next(r for r in imported.records if r.record_id == "resized").columns == 60


def test_merging_keeps_the_readers_box_and_both_of_different_lesions(imported: Import) -> None:
    doubled = next(r for r in imported.records if r.record_id == "doubled")
    merged = merge_double_marked(doubled)
    assert [(r.concept, r.source) for r in merged.regions] == [
        ("mass", DET),
        ("nodule", NIH),
        ("cardiomegaly", DET),
        ("cardiomegaly", NIH),
    ]
    assert merge_double_marked(merged) == merged


def test_merging_leaves_two_boxes_of_one_source_alone() -> None:
    box = Box(x1=0, y1=0, x2=9, y2=9)
    for source in (DET, NIH):
        regions = (Region(concept="mass", box=box, source=source),) * 2
        record = ImageRecord(
            record_id="a",
            patient_id="a",
            columns=9,
            rows=9,
            domain=Domain.CHEST_RADIOGRAPH,
            dataset="d",
            regions=regions,
        )
        assert merge_double_marked(record) == record


@pytest.mark.real_data
def test_counts_equal_the_published_file(shared_data: Path) -> None:
    content = json.loads((shared_data / "cxr" / "annotations_coco.json").read_text(encoding="utf-8"))
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    imported = by_name("nih-chestxdet")(shared_data / "cxr")
    assert len(imported.records) == len(content["images"]) == 447
    assert sum(len(r.regions) for r in imported.records) == len(content["annotations"]) == 813
    found = Counter((g.concept, g.source) for r in imported.records for g in r.regions)
    assert found == Counter((CONCEPTS[names[a["category_id"]]], a["source"]) for a in content["annotations"])
    assert [r.patient_id for r in imported.records] == [entry["patient"] for entry in content["images"]]
    assert not [issue for issue in imported.issues if issue.action != "kept"]
    assert imported.count("unproven_normal") == sum("nih_image_label" in entry for entry in content["images"]) == 15


@pytest.mark.real_data
def test_double_marks_equal_a_slow_count(shared_data: Path) -> None:
    content = json.loads((shared_data / "cxr" / "annotations_coco.json").read_text(encoding="utf-8"))
    pairs = 0
    for a in content["annotations"]:
        for b in content["annotations"]:
            same = (a["image_id"], a["category_id"]) == (b["image_id"], b["category_id"])
            if same and a["source"] == DET and b["source"] == NIH:
                (ax, ay, aw, ah), (bx, by, bw, bh) = a["bbox"], b["bbox"]
                w, h = min(ax + aw, bx + bw) - max(ax, bx), min(ay + ah, by + bh) - max(ay, by)
                shared = max(w, 0) * max(h, 0)
                pairs += shared / (aw * ah + bw * bh - shared) >= 0.5
    imported = by_name("nih-chestxdet")(shared_data / "cxr")
    assert imported.count("double_marked") == pairs == 4
    assert sum(len(merge_double_marked(r).regions) for r in imported.records) == 813 - pairs


def test_the_users_word_does_not_prove_what_a_rejected_box_marks(write_coco: WriteCoco, write_jpeg: WriteJpeg) -> None:
    images = [image(10, "read.jpg", exhaustive=THIRTEEN), image(20, "listed.jpg")]
    source = write_coco(images, [mark(20, "Mass", [1, 2, 0, 20], NIH)], [*CONCEPTS])
    for name in ("read", "listed"):
        write_jpeg(source / "images" / f"{name}.jpg")
    options = ImportOptions(exhaustive_for=frozenset({"mass", "nodule"}))
    read, listed = by_name("nih-chestxdet")(source, options).records
    assert (read.exhaustive_for, listed.exhaustive_for) == ({"mass", "nodule"}, {"nodule"})
