from __future__ import annotations

import pytest
import torch

from medground.model.backbones.interface import Pyramid
from medground.model.config import DecoderConfig
from medground.model.decoder import QueryDecoder, Refined
from medground.model.network import Proposals
from medground.training.denoising import SHIFT, STRETCH, denoising_terms, shown, split, with_shown

TRUTH = [torch.tensor([[10.0, 20, 50, 60], [100.0, 100, 160, 130]]), torch.zeros(0, 4), torch.tensor([[0.0, 0, 8, 8]])]


def test_copies_stray_within_their_bounds_and_know_their_box():
    found = shown(TRUTH, 3, [1, 2, 3])
    assert found.boxes_NX4.shape == (3, 6, 4)
    assert found.truth_NX.tolist() == [[0, 1, 0, 1, 0, 1], [-1] * 6, [0, 0, 0, -1, -1, -1]]
    for row, boxes in enumerate(TRUTH):
        for box, index in zip(found.boxes_NX4[row], found.truth_NX[row].tolist(), strict=True):
            if index < 0:
                continue
            true = boxes[index]
            size, now = true[2:] - true[:2], box[2:] - box[:2]
            moved = (box[:2] + box[2:] - true[:2] - true[2:]).abs() / 2
            assert bool((moved <= SHIFT * size / 2 + 1e-4).all())
            assert bool(((now / size - 1).abs() <= STRETCH + 1e-4).all())
            assert not torch.equal(box, true)


def test_a_pair_is_noised_alike_whatever_stands_beside_it():
    alone, together = shown(TRUTH[:1], 2, [7]), shown(TRUTH, 2, [7, 8, 9])
    assert torch.equal(alone.boxes_NX4[0], together.boxes_NX4[0])


def test_no_boxes_at_all_show_nothing_and_lose_nothing():
    found = shown([torch.zeros(0, 4)], 3, [1])
    assert found.boxes_NX4.shape == (1, 0, 4)
    layer = Refined(torch.zeros(1, 0), torch.zeros(1, 0, 4, requires_grad=True))
    for value, count in denoising_terms([layer], found, [torch.zeros(0, 4)], 100.0).values():
        assert (float(value.detach()), float(count)) == (0.0, 0.0)


def test_shown_boxes_and_proposals_do_not_see_each_other():
    torch.manual_seed(0)
    decoder = QueryDecoder(32, 16, DecoderConfig(queries=4, layers=2, feedforward=32)).eval()
    pyramid = Pyramid(tuple(torch.randn(1, 32, 96 // s, 96 // s) for s in (8, 16, 32)), torch.randn(1, 8))
    found = Proposals(
        torch.rand(1, 4, 4) * 20 + torch.tensor([0, 0, 40.0, 40]), torch.zeros(1, 4), torch.zeros(1, 4).long()
    )
    text, regions = torch.randn(1, 16), torch.randn(1, 10, 32)

    def run(added):
        proposals, mask = with_shown(found, added, (8, 16, 32))
        layers = decoder(
            pyramid, torch.tensor([0]), text, proposals.boxes_NQ4, regions, proposals.logits_NQ, 96.0, apart_QQ=mask
        )
        return split(layers, 4)

    own, mended = run(shown(TRUTH[:1], 3, [1]))
    other, _ = run(shown(TRUTH[:1], 3, [2]))
    assert mended[0].logits_NQ.shape == (1, 6)
    assert torch.allclose(own[-1].logits_NQ, other[-1].logits_NQ, atol=1e-5)


def test_terms_equal_the_sums_written_out():
    added = shown(TRUTH[:1], 1, [5])
    boxes = torch.tensor([[[12.0, 20, 50, 60], [100.0, 100, 160, 140]]])
    terms = denoising_terms([Refined(torch.zeros(1, 2), boxes)] * 2, added, TRUTH[:1], 100.0)
    l1, count = terms["denoising_l1"]
    assert float(count) == 4
    assert float(l1) == pytest.approx(2 * (2 + 10) / 100)
    iou = (38 * 40 / (40 * 40), 60 * 30 / (60 * 40))  # each lies inside the larger one: GIoU is IoU
    assert float(terms["denoising_giou"][0]) == pytest.approx(2 * (2 - sum(iou)), abs=1e-4)


def test_levels_are_those_of_the_size():
    found = Proposals(torch.zeros(1, 1, 4), torch.zeros(1, 1), torch.zeros(1, 1).long())
    big = shown([torch.tensor([[0.0, 0, 60, 60], [0.0, 0, 180, 100], [0.0, 0, 500, 400]])], 1, [3])
    assert with_shown(found, big, (8, 16, 32))[0].level_NQ.tolist() == [[0, 0, 1, 2]]
