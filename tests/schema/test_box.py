from __future__ import annotations

import pytest
from pydantic import ValidationError

from medground.schema.box import Box


@pytest.mark.parametrize("xyxy", [(5, 0, 5, 9), (5, 0, 4, 9), (0, 9, 5, 9), (-1, 0, 5, 9), (0, -0.5, 5, 9)])
def test_boxes_without_area_or_outside_are_refused(xyxy):
    with pytest.raises(ValidationError, match="needs 0 <="):
        Box(x1=xyxy[0], y1=xyxy[1], x2=xyxy[2], y2=xyxy[3])


def test_measures():
    box = Box(x1=1, y1=2, x2=5, y2=10)
    assert (box.width_px, box.height_px, box.area_px2, box.centre_px) == (4, 8, 32, (3, 6))


def test_iou_by_counting_pixels():
    a, b = Box(x1=0, y1=0, x2=10, y2=10), Box(x1=5, y1=2, x2=15, y2=8)
    inside = [(0 <= x < 10 and 0 <= y < 10, 5 <= x < 15 and 2 <= y < 8) for x in range(20) for y in range(20)]
    both = sum(p and q for p, q in inside)
    either = sum(p or q for p, q in inside)
    assert a.iou(b) == pytest.approx(both / either)
    assert a.iou(Box(x1=10, y1=0, x2=20, y2=10)) == 0.0
