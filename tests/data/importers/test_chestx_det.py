from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medground.data.importers import ImportOptions, by_name
from medground.data.importers.chestx_det import THIRTEEN
from medground.schema.errors import DataSetError

WriteJpeg = Callable[..., None]


@pytest.fixture
def source(tmp_path: Path, write_jpeg: WriteJpeg) -> Path:
    train = [
        {"file_name": "1.png", "syms": [], "boxes": [], "polygons": []},
        {
            "file_name": "2.png",
            "syms": ["Effusion", "Diffuse Nodule", "Gadget", "Mass"],
            "boxes": [[799, 666, 937, 761], [1000, 5, 1030, 50], [1, 1, 2, 2], [9, 9, 9, 20]],
            "polygons": [[], [], [], []],
        },
    ]
    test = [{"file_name": "3.png", "syms": ["Mass"], "boxes": [[1, 1, 9, 9]], "polygons": [[]]}]
    (tmp_path / "ChestX_Det_train.json").write_text(json.dumps(train), encoding="utf-8")
    (tmp_path / "ChestX_Det_test.json").write_text(json.dumps(test), encoding="utf-8")
    for name in ("1", "2"):
        write_jpeg(tmp_path / "train_data" / f"{name}.png", 1024, 1024)
    return tmp_path


def test_records_and_dirt(source: Path) -> None:
    imported = by_name("chestx-det")(source)
    assert [(r.record_id, r.part, r.exhaustive_for) for r in imported.records] == [
        ("1", "train", THIRTEEN),
        ("2", "train", THIRTEEN - {"mass"}),  # its box was rejected
    ]
    assert [(r.concept, r.box.xyxy_px) for r in imported.records[1].regions] == [
        ("pleural_effusion", (799, 666, 937, 761)),
        ("diffuse_nodules", (1000, 5, 1024, 50)),
    ]
    assert Counter(issue.kind for issue in imported.issues) == {
        "missing_image": 1,
        "box_without_image": 1,
        "unknown_class": 1,
        "degenerate_box": 1,
        "overhanging_box": 1,
    }
    kept = sum(len(record.regions) for record in imported.records)
    assert kept + sum(i.boxes for i in imported.issues if i.action == "rejected") == imported.published.boxes == 5
    assert len(THIRTEEN) == 13


def test_another_form_is_refused(source: Path) -> None:
    (source / "ChestX_Det_test.json").write_text('[{"file_name": "x", "syms": ["Mass"], "boxes": []}]')
    with pytest.raises(DataSetError, match=r"ChestX_Det_test\.json"):
        by_name("chestx-det")(source)


@pytest.mark.real_data
def test_counts_equal_the_published_files(shared_data: Path) -> None:
    source = shared_data / "annotation_formats" / "ChestX-Det"
    imported = by_name("chestx-det")(source, ImportOptions(with_images=False))
    names: Counter[str] = Counter()
    images = {}
    for part in ("train", "test"):
        content = json.loads((source / f"ChestX_Det_{part}.json").read_text(encoding="utf-8"))
        images[part] = len(content)
        names.update(name for entry in content for name in entry["syms"])
    assert images == {"train": 3025, "test": 553}
    assert Counter(record.part for record in imported.records) == images
    assert imported.published.boxes_by_class == names
    assert len(names) == 13
    flat = imported.count("degenerate_box") + imported.count("outside_box")
    assert sum(len(record.regions) for record in imported.records) + flat == names.total()
    assert imported.count("unknown_class") == 0
