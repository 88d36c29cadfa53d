from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from medground.data.importers.coco_file import read_coco, xyxy_px
from medground.data.importers.imported import Published
from medground.schema.errors import DataSetError, InputNotFoundError


def write(path: Path, **changes: Any) -> Path:
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 5, "bbox": [1, 2, 3, 4]},
            {"id": 2, "image_id": 8, "category_id": 9, "bbox": [0, 0, 1, 1]},
        ],
        "categories": [{"id": 5, "name": "fracture"}],
        **changes,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_annotations_are_grouped_and_orphans_named(tmp_path: Path) -> None:
    coco = read_coco(write(tmp_path / "c.json"))
    assert [image["id"] for image in coco.images] == [7, 3]
    assert {key: [a["id"] for a in own] for key, own in coco.annotations.items()} == {3: [1]}
    assert coco.categories == {5: "fracture"}
    assert [(issue.kind, issue.action) for issue in coco.issues] == [("orphan_annotation", "rejected")]
    assert "image 8" in coco.issues[0].detail
    assert coco.published == Published(2, 2, {"fracture": 1, "9": 1})
    assert xyxy_px(coco.annotations[3][0]) == (1, 2, 4, 6)
    for bad in ({}, {"bbox": None}, {"bbox": []}, {"bbox": [1, 2, 3]}, {"bbox": [1, 2, "wide", 4]}):
        assert all(math.isnan(corner) for corner in xyxy_px(bad))


def test_what_is_not_coco_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        read_coco(tmp_path / "absent.json")
    (tmp_path / "c.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataSetError, match=r"c\.json"):
        read_coco(tmp_path / "c.json")
    (tmp_path / "c.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DataSetError):
        read_coco(tmp_path / "c.json")
    twice = [{"id": 7, "file_name": "a.jpg"}, {"id": 7, "file_name": "b.jpg"}]
    with pytest.raises(DataSetError, match="2 images under 1 ids"):
        read_coco(write(tmp_path / "c.json", images=twice))
