from __future__ import annotations

import itertools

import torch

from medground.model.matcher import match


def _cost(score, box, truth, size) -> float:
    l1 = sum(abs(a - b) for a, b in zip(box, truth, strict=True)) / size
    inter = max(0.0, min(box[2], truth[2]) - max(box[0], truth[0])) * max(
        0.0, min(box[3], truth[3]) - max(box[1], truth[1])
    )
    area = (box[2] - box[0]) * (box[3] - box[1]) + (truth[2] - truth[0]) * (truth[3] - truth[1]) - inter
    hull = (max(box[2], truth[2]) - min(box[0], truth[0])) * (max(box[3], truth[3]) - min(box[1], truth[1]))
    return -2 * score + 5 * l1 - 2 * (inter / area - (hull - area) / hull)


def test_finds_the_cheapest_of_all_permutations():
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        corner = torch.rand(5, 2, generator=generator) * 60
        boxes = torch.cat([corner, corner + torch.rand(5, 2, generator=generator) * 40 + 2], 1)
        scores = torch.rand(5, generator=generator)
        truth = boxes[[3, 1, 0]] + torch.randn(3, 4, generator=generator).clamp(-0.9, 0.9)
        query, which = match(scores, boxes, truth, 100.0)

        def total(order, scores=scores, boxes=boxes, truth=truth) -> float:
            return sum(
                _cost(float(scores[q]), boxes[q].tolist(), truth[g].tolist(), 100.0) for g, q in enumerate(order)
            )

        best = min(itertools.permutations(range(5), 3), key=total)
        got = dict(zip(which.tolist(), query.tolist(), strict=True))
        assert abs(total([got[g] for g in range(3)]) - total(best)) < 1e-4


def test_empty_targets_and_no_queries():
    for boxes, truth in ((4, 0), (0, 3)):
        query, which = match(torch.zeros(boxes), torch.zeros(boxes, 4), torch.ones(truth, 4), 10.0)
        assert query.shape == which.shape == (0,)
