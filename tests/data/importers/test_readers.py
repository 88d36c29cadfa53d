from __future__ import annotations

import pytest

from medground.data.importers.readers import fuse
from medground.schema.box import Box


def box(x: float, y: float, size: float = 100) -> Box:
    return Box(x1=x, y1=y, x2=x + size, y2=y + size)


def test_boxes_of_one_lesion_become_their_mean_with_the_readers_counted() -> None:
    marks = {
        "R1": [("nodule", box(100, 100)), ("mass", box(500, 500))],
        "R2": [("nodule", box(110, 100))],
        "R3": [("nodule", box(120, 100)), ("nodule", box(800, 800))],
    }
    found = fuse(marks, 1000, 1000)
    assert [(one.concept, one.readers, one.boxes) for one in found] == [
        ("nodule", 3, 3),
        ("mass", 1, 1),
        ("nodule", 1, 1),
    ]
    assert found[0].box.xyxy_px == pytest.approx((110, 100, 210, 200), abs=1e-2)
    assert found[1].box.xyxy_px == pytest.approx((500, 500, 600, 600), abs=1e-2)


def test_other_classes_are_not_fused_and_one_reader_counts_once() -> None:
    marks = {"R1": [("nodule", box(0, 0)), ("nodule", box(5, 0))], "R2": [("mass", box(0, 0))], "R3": []}
    found = fuse(marks, 1000, 800)
    assert [(one.concept, one.readers, one.boxes) for one in found] == [("mass", 1, 1), ("nodule", 1, 2)]
    assert fuse({"R1": [], "R2": []}, 10, 10) == []
