from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from monai.data.box_utils import box_iou, non_max_suppression

from medground.imaging.boxes import clip, fuse, nms


def test_nms_keeps_what_monai_keeps():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        corner = torch.rand(60, 2, generator=generator) * 100
        boxes = torch.cat([corner, corner + 5 + torch.rand(60, 2, generator=generator) * 40], 1)
        scores = torch.rand(60, generator=generator)
        assert nms(boxes, scores, 0.4, 60).tolist() == non_max_suppression(boxes, scores, 0.4).tolist()


def slow_nms(boxes: list[list[int]], scores: list[float], iou: Fraction) -> list[int]:
    """Boxes one by one, best first and of equals the one that was given first; overlaps as exact fractions."""

    def overlap(a: list[int], b: list[int]) -> Fraction:
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        inside = max(width, 0) * max(height, 0)
        return Fraction(inside, (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)

    kept: list[int] = []
    for row in sorted(range(len(boxes)), key=lambda row: (-scores[row], row)):
        if all(overlap(boxes[row], boxes[better]) <= iou for better in kept):
            kept.append(row)
    return kept


def test_nms_keeps_what_the_slow_formula_keeps_with_equal_scores_equal_boxes_and_overlaps_at_the_limit() -> None:
    generator = torch.Generator().manual_seed(2)
    equal_scores = equal_boxes = at_limit = 0
    for _ in range(60):
        corner = 2 * torch.randint(0, 5, (40, 2), generator=generator)
        boxes = torch.cat([corner, corner + 2 * torch.randint(1, 5, (40, 2), generator=generator)], 1)
        scores = torch.randint(0, 6, (40,), generator=generator) / 8
        rows = boxes.tolist()
        for iou in (Fraction(1, 2), Fraction(1, 4), Fraction(0)):
            expected = slow_nms(rows, scores.tolist(), iou)
            assert nms(boxes.float(), scores, float(iou), 40).tolist() == expected
            assert nms(boxes.float(), scores, float(iou), 3).tolist() == expected[:3]
            ranked = scores[expected].tolist()
            equal_scores += len(ranked) - len(set(ranked))
            half = box_iou(boxes[expected].float(), boxes[expected].float())
            at_limit += int((half == float(iou)).sum()) if iou else 0
        equal_boxes += len(rows) - len({tuple(row) for row in rows})
    assert min(equal_scores, equal_boxes, at_limit) > 100


def test_nms_of_equal_scores_is_that_of_the_order_given() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [1, 0, 5, 4], [0, 0, 4, 4], [20, 0, 24, 4]])
    assert nms(boxes, torch.ones(4), 0.5, 4).tolist() == [0, 3]
    turned = torch.tensor([1, 0, 2, 3])
    assert nms(boxes[turned], torch.ones(4), 0.5, 4).tolist() == [0, 3]  # now the one that was second
    assert nms(boxes, torch.tensor([0.5, 0.5, 0.9, 0.5]), 0.5, 4).tolist() == [2, 3]


def test_nms_stops_at_the_limit_and_takes_nothing_from_nothing():
    boxes = torch.tensor([[0.0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10]])
    assert nms(boxes, torch.tensor([0.1, 0.9, 0.5]), 0.5, 2).tolist() == [1, 2]
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5, 3).tolist() == []


def test_clip():
    assert clip(torch.tensor([[-3.0, 2, 50, 90]]), 40, 30).tolist() == [[0, 2, 40, 30]]


def slow_fuse(
    boxes: list[list[float]], scores: list[float], view: list[int], iou: float
) -> list[tuple[float, list[float]]]:
    """Boxes one by one, best first, each with the best of the other view that overlaps it; then suppression."""

    def overlap(a: list[float], b: list[float]) -> float:
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        inside = max(width, 0.0) * max(height, 0.0)
        return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)

    left = sorted(range(len(boxes)), key=lambda row: -scores[row])
    out: list[tuple[float, list[float]]] = []
    while left:
        first = left[0]
        others = [row for row in left if view[row] != view[first] and overlap(boxes[row], boxes[first]) > iou][:1]
        mine = [first, *others]
        left = [row for row in left if row not in mine]
        weight = sum(scores[row] for row in mine)
        box = [sum(boxes[row][side] * scores[row] for row in mine) / weight for side in range(4)]
        out.append((weight / 2, box))
    kept: list[tuple[float, list[float]]] = []
    for score, box in sorted(out, key=lambda pair: -pair[0]):
        if all(overlap(box, other) <= iou for _, other in kept):
            kept.append((score, box))
    return kept


def test_fused_boxes_are_those_of_the_slow_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        corner = torch.rand(40, 2, generator=generator) * 60
        boxes = torch.cat([corner, corner + 5 + torch.rand(40, 2, generator=generator) * 40], 1).double()
        scores = torch.rand(40, generator=generator).double()
        view = torch.tensor([0, 1] * 20)
        found, score = fuse(boxes, scores, view, 0.5, 40)
        expected = slow_fuse(boxes.tolist(), scores.tolist(), view.tolist(), 0.5)
        assert len(found) == len(expected)
        assert torch.allclose(score, torch.tensor([s for s, _ in expected], dtype=torch.float64))
        assert torch.allclose(found, torch.tensor([b for _, b in expected], dtype=torch.float64))
        assert torch.equal(fuse(boxes, scores, view, 0.5, 3)[1], score[:3])


def test_a_box_of_one_view_alone_is_doubted_and_nothing_stays_nothing() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 12], [50, 50, 60, 60]])
    found, score = fuse(boxes, torch.tensor([0.8, 0.6, 0.9]), torch.tensor([0, 1, 0]), 0.5, 10)
    assert score.tolist() == pytest.approx([0.7, 0.45])
    assert found[0].tolist() == pytest.approx([0, 0, 10, (0.8 * 10 + 0.6 * 12) / 1.4])
    none, nothing = fuse(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0), 0.5, 10)
    assert (none.shape, nothing.shape) == ((0, 4), (0,))


def test_two_neighbours_of_one_view_are_not_swallowed_by_a_box_of_the_other() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 10], [0, 0, 12, 10], [8, 0, 20, 10]])
    found, _ = fuse(boxes, torch.tensor([0.6, 0.55, 0.5]), torch.tensor([0, 1, 1]), 0.5, 10)
    assert len(found) == 2
