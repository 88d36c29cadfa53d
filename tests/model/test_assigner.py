from __future__ import annotations

import torch

from medground.model.assigner import TOP, assign
from medground.model.dense_head import locations


def _scene(boxes: list[list[float]], phrases: list[int]):
    generator = torch.Generator().manual_seed(3)
    centres, _ = locations([(16, 16), (8, 8), (4, 4)])
    scores = torch.rand(len(centres), 3, generator=generator) * 0.2 + 0.01
    size = torch.rand(len(centres), 2, generator=generator) * 30 + 4
    predicted = torch.cat([centres - size, centres + size], 1)
    return scores, predicted, centres, torch.tensor(boxes).reshape(-1, 4), torch.tensor(phrases, dtype=torch.int64)


def _iou(a, b) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union


def test_matches_the_formula_written_out_for_one_box():
    scores, predicted, centres, truth, phrase = _scene([[20.0, 30.0, 90.0, 100.0]], [1])
    found = assign(scores, predicted, centres, truth, phrase)
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


def test_a_box_between_centres_still_learns_somewhere():
    scores, predicted, centres, truth, phrase = _scene([[40.5, 40.5, 42.0, 42.0]], [0])
    found = assign(scores, predicted, centres, truth, phrase)
    assert len(found.locations_N) == 1
    assert torch.linalg.vector_norm(centres[found.locations_N[0]] - torch.tensor([41.25, 41.25])) < 4 * 2**0.5


def test_a_location_learns_one_box_only():
    found = assign(*_scene([[10.0, 10.0, 100.0, 100.0], [20.0, 20.0, 110.0, 110.0]], [0, 2]))
    assert len(set(found.locations_N.tolist())) == len(found.locations_N)
    assert set(found.boxes_N.tolist()) == {0, 1}
