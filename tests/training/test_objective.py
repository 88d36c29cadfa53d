from __future__ import annotations

import pytest
import torch

from medground.data.sample import Sample
from medground.model.decoder import Refined
from medground.training.batch import Batch
from medground.training.objective import (
    LossWeights,
    Pairs,
    choose_pairs,
    dense_losses,
    query_losses,
    weighted,
    word_loss,
)


def sample(boxes: list[list[float]], concepts: list[int], exhaustive: list[bool], words=()) -> Sample:
    return Sample(
        torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(len(boxes))),
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(concepts, dtype=torch.int64),
        torch.tensor(exhaustive),
        0,
        tuple(words) or ((),) * len(boxes),
    )


def looked(network, batch):
    text = torch.nn.functional.normalize(torch.randn(2, 128, generator=torch.Generator().manual_seed(0)), dim=-1)
    pyramid = network.backbone(batch.images_B1HW)
    return text, pyramid, network.dense(pyramid, text)


@pytest.fixture
def network(make_trainer, tmp_path):
    return make_trainer(tmp_path).network


@pytest.mark.parametrize(
    "samples",
    [
        [sample([], [], [True, True]), sample([], [], [True, False])],
        [sample([], [], [False, False]), sample([], [], [False, False])],
        [sample([[5.0, 5, 30, 40]], [1], [False, True], [("round",)]), sample([], [], [True, True])],
    ],
)
def test_every_loss_is_finite_with_and_without_targets(network, samples):
    batch = Batch.of(samples)
    text, pyramid, dense = looked(network, batch)
    losses = dense_losses(network, batch, pyramid, dense, text) | word_loss(network, batch, pyramid)
    pairs = choose_pairs(batch, 2, torch.Generator().manual_seed(0))
    if len(pairs.image_N):
        found = network.propose(dense, pairs.image_N, pairs.phrase_N, 6)
        losses |= query_losses(network.refine(pyramid, text, pairs.image_N, pairs.phrase_N, found), batch, pairs, 64.0)
    total = weighted(losses, LossWeights())
    total.backward()
    assert bool(torch.isfinite(total))
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in network.parameters())


def test_what_was_not_labelled_exhaustively_is_not_judged(network):
    batch = Batch.of([sample([], [], [True, False])])
    text, pyramid, dense = looked(network, batch)
    dense.logits_BAP.retain_grad()
    dense_losses(network, batch, pyramid, dense, text)["score"].backward()
    grad = dense.logits_BAP.grad
    assert grad[0, :, 0].abs().sum() > 0
    assert grad[0, :, 1].abs().sum() == 0


def test_pairs_take_turns_between_there_and_known_absent():
    batch = Batch.of(
        [sample([[1.0, 1, 9, 9]], [1], [True, True]), sample([], [], [False, False]), sample([], [], [False, True])]
    )
    pairs = choose_pairs(batch, 2, torch.Generator().manual_seed(0))
    assert list(zip(pairs.image_N.tolist(), pairs.phrase_N.tolist(), strict=True)) == [(0, 1), (0, 0), (2, 1)]


def test_a_perfect_query_costs_less_than_a_wrong_one():
    truth = [[10.0, 10, 40, 40]]
    batch = Batch.of([sample(truth, [0], [True, True])])
    pairs = Pairs(torch.tensor([0]), torch.tensor([0]))

    def total(box, logits) -> float:
        layer = Refined(torch.tensor([logits]), torch.tensor([[box, [50.0, 50, 60, 60]]]))
        return float(sum(query_losses([layer], batch, pairs, 64.0).values()))

    assert total(truth[0], [8.0, -8.0]) < 0.01
    assert total([20.0, 20, 50, 50], [8.0, -8.0]) > total(truth[0], [8.0, -8.0])
    assert total(truth[0], [8.0, 8.0]) > 1.0  # a second box on nothing is "no object"


def test_off_box_queries_are_judged_only_on_exhaustive_images():
    def score(exhaustive: bool) -> float:
        batch = Batch.of([sample([[10.0, 10, 40, 40]], [0], [exhaustive, True])])
        layer = Refined(torch.tensor([[8.0, 8.0]]), torch.tensor([[[10.0, 10, 40, 40], [50.0, 50, 60, 60]]]))
        return float(query_losses([layer], batch, Pairs(torch.tensor([0]), torch.tensor([0])), 64.0)["query_score"])

    assert score(True) > 1.0
    assert score(False) < 0.01
