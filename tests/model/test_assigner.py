from __future__ import annotations

import math

import pytest
import torch

from medground.model.assigner import REACH, TOP, _allowed, assign, closeness
from medground.model.dense_head import locations


def _scene(boxes: list[list[float]], phrases: list[int]):
    generator = torch.Generator().manual_seed(3)
    centres, strides = locations([(16, 16), (8, 8), (4, 4)], (8, 16, 32))
    scores = torch.rand(len(centres), 3, generator=generator) * 0.2 + 0.01
    size = torch.rand(len(centres), 2, generator=generator) * 30 + 4
    predicted = torch.cat([centres - size, centres + size], 1)
    return scores, predicted, centres, strides, torch.tensor(boxes).reshape(-1, 4), torch.tensor(phrases).long()


def _iou(a, b) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


def test_matches_the_formula_written_out_for_one_box():
    scores, predicted, centres, strides, truth, phrase = _scene([[20.0, 30.0, 90.0, 100.0]], [1])
    found = assign(scores, predicted, centres, strides, truth, phrase)
    box = truth[0].tolist()
    rows = []
    for index, (x, y) in enumerate(centres.tolist()):
        if box[0] < x < box[2] and box[1] < y < box[3]:
            u = _iou(box, predicted[index].tolist())
            rows.append((float(scores[index, 1]) ** 0.5 * u**6, u, index))
    best = sorted(rows, reverse=True)[:TOP]
    assert sorted(found.locations_N.tolist()) == sorted(index for _, _, index in best)
    top_alignment, top_iou = best[0][0], max(u for _, u, _ in best)
    expected = {index: t / top_alignment * top_iou for t, _, index in best}
    for location, quality in zip(found.locations_N.tolist(), found.quality_N.tolist(), strict=True):
        assert abs(quality - expected[location]) < 1e-4


def test_no_boxes_means_no_locations():
    found = assign(*_scene([], []))
    assert found.locations_N.shape == found.boxes_N.shape == found.quality_N.shape == (0,)


def test_a_box_between_centres_learns_at_the_locations_around_it():
    scores, predicted, centres, strides, truth, phrase = _scene([[40.5, 40.5, 42.0, 42.0]], [0])
    found = assign(scores, predicted, centres, strides, truth, phrase)
    assert set(strides[found.locations_N].tolist()) == {8.0}  # too small for the coarser levels
    away = (centres[found.locations_N] - torch.tensor([41.25, 41.25])).abs().amax(1)
    assert len(away) > 1
    assert float(away.max()) <= REACH * 8
    assert float(found.quality_N.max()) > 0


@pytest.mark.parametrize(("side", "levels"), [(6, {8}), (20, {8}), (30, {8, 16}), (60, {8, 16, 32}), (120, {16, 32})])
def test_a_level_learns_boxes_of_its_sizes(side, levels):
    _, _, centres, strides, truth, _ = _scene([[4.0, 4.0, 4.0 + side, 4.0 + side]], [0])
    allowed = _allowed(centres, strides, truth)[0]
    assert set(strides[allowed].int().tolist()) == levels


def test_a_box_for_which_no_level_has_a_centre_learns_at_the_nearest_that_fits():
    centres, strides = locations([(2, 2), (1, 1)], (8, 32))
    allowed = _allowed(centres, strides, torch.tensor([[40.0, 0.0, 200.0, 8.0]]))[0]  # beside the grid, for stride 32
    assert allowed.nonzero().squeeze(1).tolist() == [4]


def test_closeness_is_iou_for_large_boxes_nwd_for_tiny_ones_and_between_between():
    predicted = torch.tensor([[10.0, 10, 50, 60], [100.0, 100, 106, 106], [12.0, 8, 30, 30]])
    truth = torch.tensor([[12.0, 12, 60, 60], [10.0, 10, 16, 16], [10.0, 10, 30, 30]])
    found = closeness(truth, predicted)
    for row, box in enumerate(truth.tolist()):
        side = ((box[2] - box[0]) * (box[3] - box[1])) ** 0.5
        share = min(max((32 - side) / 24, 0), 1)
        for column, other in enumerate(predicted.tolist()):
            apart = sum(
                ((a + c) / 2 - (x + z) / 2) ** 2
                for a, c, x, z in ((box[0], box[2], other[0], other[2]), (box[1], box[3], other[1], other[3]))
            ) + sum(
                ((c - a) / 2 - (z - x) / 2) ** 2
                for a, c, x, z in ((box[0], box[2], other[0], other[2]), (box[1], box[3], other[1], other[3]))
            )
            near = math.exp(-(apart**0.5) / max(side, 8))
            expected = (1 - share) * _iou(box, other) + share * near
            assert float(found[row, column]) == pytest.approx(expected, abs=1e-4)
    assert 0 < float(found[1, 0]) < 0.01  # off by more than its side, and still drawn toward it


def test_a_location_learns_one_box_only():
    found = assign(*_scene([[10.0, 10.0, 100.0, 100.0], [20.0, 20.0, 110.0, 110.0]], [0, 2]))
    assert len(set(found.locations_N.tolist())) == len(found.locations_N)
    assert set(found.boxes_N.tolist()) == {0, 1}
