from __future__ import annotations

import pytest
import torch

from medground.model.backbones.interface import Pyramid
from medground.model.config import HeadConfig
from medground.model.dense_head import DenseHead, boxes_from_distances, locations


def test_locations_are_cell_centres_level_by_level():
    centres, strides = locations([(2, 3), (1, 2), (1, 1)], (8, 16, 32))
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


def test_scores_are_products_of_the_embedding_it_returns():
    torch.manual_seed(0)
    head = DenseHead(8, 6, HeadConfig()).eval()
    pyramid = Pyramid(tuple(torch.randn(2, 8, 8 // n, 8 // n) for n in (1, 2, 4)), torch.zeros(2, 4), (7, 14, 28))
    text = torch.nn.functional.normalize(torch.randn(3, 6), dim=1)
    dense = head(pyramid, text)
    assert dense.strides_A.unique().tolist() == [7, 14, 28]
    expected = dense.embedding_BAD @ text.T * head.scale.exp() + head.bias
    assert torch.allclose(dense.logits_BAP, expected, atol=1e-6)


def test_a_single_scale_proposes_from_the_middle_level_alone():
    head = DenseHead(8, 6, HeadConfig(single_scale=True)).eval()
    pyramid = Pyramid(tuple(torch.randn(1, 8, 8 // n, 8 // n) for n in (1, 2, 4)), torch.zeros(1, 4))
    dense = head(pyramid, torch.randn(2, 6))
    assert dense.logits_BAP.shape == (1, 16, 2)
    assert dense.strides_A.unique().tolist() == [16]
