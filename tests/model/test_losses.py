from __future__ import annotations

import math

import pytest
import torch

from medground.model.losses import (
    distribution_focal_loss,
    giou_loss,
    sequence_loss,
    soft_bce_loss,
    varifocal_loss,
)


def test_giou_of_disjoint_boxes_by_hand():
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[4.0, 0, 6, 2]])
    # no overlap; the enclosing box is 6x2 = 12, the union 8: GIoU = 0 - 4/12
    assert giou_loss(a, b, torch.tensor([2.0])).item() == pytest.approx(2 * (1 + 4 / 12), abs=1e-5)
    assert giou_loss(a, a, torch.ones(1)).item() == pytest.approx(0, abs=1e-5)


def test_distribution_focal_loss_by_hand():
    logits = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([[0.0, 1.25, 3.5, 99.0]])
    log = logits.log_softmax(-1)[0]
    sides = [
        -log[0, 0],
        -(0.75 * log[1, 1] + 0.25 * log[1, 2]),
        -(0.5 * log[2, 3] + 0.5 * log[2, 4]),
        -(0.01 * log[3, 6] + 0.99 * log[3, 7]),
    ]
    loss = distribution_focal_loss(logits, target, torch.tensor([3.0]))
    assert loss.item() == pytest.approx(3 * float(sum(sides)) / 4, rel=1e-3)


def test_soft_bce_by_hand_and_weight_zero_is_not_judged():
    logits, targets = torch.tensor([0.3, -2.0, 5.0]), torch.tensor([0.7, 0.0, 1.0])
    weights = torch.tensor([1.0, 2.0, 0.0])
    by_hand = 0.0
    for x, t, w in zip(logits.tolist(), targets.tolist(), weights.tolist(), strict=True):
        p = 1 / (1 + math.exp(-x))
        by_hand -= w * (t * math.log(p) + (1 - t) * math.log(1 - p))
    assert soft_bce_loss(logits, targets, weights).item() == pytest.approx(by_hand, rel=1e-5)


def test_varifocal_by_hand():
    logits, targets = torch.tensor([0.5, -1.0]), torch.tensor([0.8, 0.0])
    p, q = 1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(1.0))
    positive = -0.8 * (0.8 * math.log(p) + 0.2 * math.log(1 - p))
    negative = -0.75 * q**2 * math.log(1 - q)
    assert varifocal_loss(logits, targets, torch.ones(2)).item() == pytest.approx(positive + negative, rel=1e-5)


def test_sequence_loss_ignores_padding():
    logits = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(1))
    words = torch.tensor([[2, 0, -1]])
    log = logits.log_softmax(-1)[0]
    assert sequence_loss(logits, words, ignore=-1).item() == pytest.approx(-float(log[0, 2] + log[1, 0]), rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: giou_loss(x.reshape(0, 4), torch.zeros(0, 4), torch.zeros(0)),
        lambda x: distribution_focal_loss(x.reshape(0, 4, 16), torch.zeros(0, 4), torch.zeros(0)),
        lambda x: soft_bce_loss(x, torch.zeros(0), torch.zeros(0)),
        lambda x: varifocal_loss(x, torch.zeros(0), torch.zeros(0)),
        lambda x: sequence_loss(x.reshape(0, 3, 5), torch.zeros(0, 3, dtype=torch.int64), ignore=-1),
    ],
)
def test_empty_targets_give_a_finite_zero_with_a_gradient(loss):
    x = torch.zeros(0, requires_grad=True)
    value = loss(x)
    value.backward()
    assert value.item() == 0.0
