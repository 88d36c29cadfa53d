from __future__ import annotations

import pytest
import torch

from medground.model.dense_head import boxes_from_distances, locations


def test_locations_are_cell_centres_level_by_level():
    centres, strides = locations([(2, 3), (1, 2), (1, 1)])
    assert centres.tolist() == [
        [4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12], [8, 8], [24, 8], [16, 16],
    ]  # fmt: skip
    assert strides.tolist() == [8] * 6 + [16] * 2 + [32]


def test_a_certain_distribution_gives_its_distance():
    logits = torch.full((1, 1, 4, 16), -100.0)
    for side, distance in enumerate((1, 2, 3, 15)):
        logits[0, 0, side, distance] = 100.0
    box = boxes_from_distances(logits, torch.tensor([[100.0, 100.0]]), torch.tensor([8.0]))
    assert box[0, 0].tolist() == pytest.approx([100 - 8, 100 - 16, 100 + 24, 100 + 120])
