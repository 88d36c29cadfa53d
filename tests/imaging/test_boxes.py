from __future__ import annotations

import torch
from monai.data.box_utils import non_max_suppression

from medground.imaging.boxes import clip, nms


def test_nms_keeps_what_monai_keeps():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        corner = torch.rand(60, 2, generator=generator) * 100
        boxes = torch.cat([corner, corner + 5 + torch.rand(60, 2, generator=generator) * 40], 1)
        scores = torch.rand(60, generator=generator)
        assert nms(boxes, scores, 0.4, 60).tolist() == non_max_suppression(boxes, scores, 0.4).tolist()


def test_nms_stops_at_the_limit_and_takes_nothing_from_nothing():
    boxes = torch.tensor([[0.0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10]])
    assert nms(boxes, torch.tensor([0.1, 0.9, 0.5]), 0.5, 2).tolist() == [1, 2]
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5, 3).tolist() == []


def test_clip():
    assert clip(torch.tensor([[-3.0, 2, 50, 90]]), 40, 30).tolist() == [[0, 2, 40, 30]]
