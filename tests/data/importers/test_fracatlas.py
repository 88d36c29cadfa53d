from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from medground.data.importers import Import, by_name
from medground.data.pairs.facts import Facts
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain

WriteJpeg = Callable[..., None]
WriteCoco = Callable[..., Path]
Entry = dict[str, Any]


def image(number: int, file_name: str, split: str = "train", size: tuple[int, int] = (60, 40)) -> Entry:
    return {"id": number, "file_name": file_name, "width": size[0], "height": size[1], "split": split}


def mark(image_id: int, bbox: list[float], category: int = 1) -> Entry:
    return {"image_id": image_id, "category_id": category, "bbox": bbox}


@pytest.fixture
def imported(write_coco: WriteCoco, write_jpeg: WriteJpeg) -> Import:
    images = [
        image(1, "good.jpg", "valid"),
        image(2, "cut.jpg"),
        image(3, "swapped.jpg", size=(40, 60)),
        image(4, "turned.jpg"),
        image(5, "dirty.jpg"),
        image(6, "absent.jpg"),
        image(7, "lost.jpg"),
        image(8, "whole.jpg"),
    ]
    marks = [
        mark(1, [10.5, 10, 20, 20]),
        mark(2, [1, 1, 5, 5]),
        mark(3, [40, 1, 15, 5]),
        mark(4, [2, 45, 10, 10]),  # on the upright picture of 40x60
        mark(5, [5, 5, 0, 9]),
        mark(5, [70, 5, 9, 9]),
        mark(5, [55, 5, 9, 9]),
        mark(5, [5, 5, 9, 9], category=2),
        mark(7, [5, 5, math.nan, 9]),
    ]
    source = write_coco(images, marks, ["fracture", "washer"])
    for name in ("good", "swapped", "dirty", "lost", "whole"):
        write_jpeg(source / "images" / f"{name}.jpg")
    write_jpeg(source / "images" / "cut.jpg", cut=True)
    write_jpeg(source / "images" / "turned.jpg", orientation=6)
    return by_name("fracatlas")(source)


def test_records(imported: Import) -> None:
    records = {record.record_id: record for record in imported.records}
    assert list(records) == ["good", "swapped", "turned", "dirty", "lost", "whole"]
    good = records["good"]
    assert (good.part, good.patient_id, good.domain) == ("valid", "good", Domain.LIMB_RADIOGRAPH)
    assert good.exhaustive_for == {"fracture"}
    assert [(r.concept, r.box.xyxy_px, r.source) for r in good.regions] == [
        ("fracture", (10.5, 10, 30.5, 30), "FracAtlas")
    ]


def test_sizes_and_boxes_are_those_of_the_stored_pixels(imported: Import) -> None:
    records = {record.record_id: record for record in imported.records}
    assert (records["swapped"].columns, records["swapped"].rows) == (60, 40)
    assert records["swapped"].regions[0].box.xyxy_px == (40, 1, 55, 6)
    assert (records["turned"].columns, records["turned"].rows) == (60, 40)
    # Orientation 6 is shown turned clockwise: shown (x, y) is stored (y, rows - x).
    assert records["turned"].regions[0].box.xyxy_px == (45, 28, 55, 38)


def test_every_dirt_is_listed(imported: Import) -> None:
    assert Counter((issue.record_id, issue.kind, issue.action) for issue in imported.issues) == {
        ("cut", "truncated_image", "rejected"): 1,
        ("cut", "box_without_image", "rejected"): 1,
        ("absent", "missing_image", "rejected"): 1,
        ("swapped", "swapped_size", "repaired"): 1,
        ("turned", "exif_orientation", "kept"): 1,
        ("turned", "turned_box", "repaired"): 1,
        ("dirty", "degenerate_box", "rejected"): 1,
        ("dirty", "outside_box", "rejected"): 1,
        ("dirty", "overhanging_box", "repaired"): 1,
        ("dirty", "unknown_class", "rejected"): 1,
        ("lost", "degenerate_box", "rejected"): 1,
    }


def test_a_film_whose_fracture_has_no_box_is_no_film_without_a_fracture(imported: Import) -> None:
    records = {record.record_id: record for record in imported.records}
    assert records["lost"].regions == records["whole"].regions == ()
    normal = {name for name, record in records.items() if Facts(record, load_vocabulary()).is_exhaustive("fracture")}
    assert normal == {"good", "swapped", "turned", "whole"}
    assert records["lost"].exhaustive_for == records["dirty"].exhaustive_for == frozenset()


@pytest.mark.real_data
def test_counts_equal_the_published_file(shared_data: Path, fracatlas: Import) -> None:
    source = shared_data / "fracatlas"
    content = json.loads((source / "annotations_coco.json").read_text(encoding="utf-8"))
    imported = fracatlas
    broken = set()
    for entry in content["images"]:
        try:
            with Image.open(source / "images" / entry["file_name"]) as picture:
                picture.load()
        except OSError:
            broken.add(entry["file_name"].removesuffix(".jpg"))
    assert len(content["images"]) == 1352
    assert len(broken) == 16
    assert {issue.record_id for issue in imported.issues if issue.kind == "truncated_image"} == broken
    assert len(imported.records) == 1352 - 16
    assert sum(len(r.regions) for r in imported.records) == len(content["annotations"]) == 848
    assert not [issue for issue in imported.issues if issue.action == "rejected" and issue.kind != "truncated_image"]
    split = Counter(e["split"] for e in content["images"] if e["file_name"].removesuffix(".jpg") not in broken)
    assert Counter(r.part for r in imported.records) == split == {"train": 1107, "valid": 229}
    # The two boxed files with an orientation: the fracture lies in the lower half of the stored leg.
    leg = next(r for r in imported.records if r.record_id == "IMG0002588")
    assert [tuple(round(v, 2) for v in r.box.xyxy_px) for r in leg.regions] == [
        (94.23, 326.42, 112.51, 348.8),
        (53.57, 301.05, 87.14, 340.97),
    ]
