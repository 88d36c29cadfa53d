from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from medground.data.sample import Sample
from medground.model.backbones.interface import Pyramid
from medground.model.decoder import Refined
from medground.model.dense_head import Dense
from medground.model.network import GroundingNetwork
from medground.training.batch import Batch
from medground.training.objective import (
    LossWeights,
    Pairs,
    choose_pairs,
    dense_losses,
    means,
    query_losses,
    weighted,
    word_loss,
)
from medground.training.trainer import Trainer


def sample(
    boxes: list[list[float]], concepts: list[int], exhaustive: list[bool], words: tuple[tuple[str, ...], ...] = ()
) -> Sample:
    return Sample(
        torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(len(boxes))),
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(concepts, dtype=torch.int64),
        torch.tensor(exhaustive),
        0,
        words or ((),) * len(boxes),
    )


def alone(tensor: Tensor) -> Tensor:
    return tensor.detach()


def looked(network: GroundingNetwork, batch: Batch) -> tuple[Tensor, Pyramid, Dense]:
    text = torch.nn.functional.normalize(torch.randn(2, 128, generator=torch.Generator().manual_seed(0)), dim=-1)
    pyramid = network.backbone.look(batch.images_BCHW)
    return text, pyramid, network.dense(pyramid, text)


@pytest.fixture(scope="module")
def network(make_trainer: Callable[..., Trainer], tmp_path_factory: pytest.TempPathFactory) -> GroundingNetwork:
    return make_trainer(tmp_path_factory.mktemp("network")).network.train()


@pytest.mark.parametrize(
    "samples",
    [
        [sample([], [], [True, True]), sample([], [], [True, False])],
        [sample([], [], [False, False]), sample([], [], [False, False])],
        [sample([[5.0, 5, 30, 40]], [1], [False, True], (("round",),)), sample([], [], [True, True])],
    ],
)
def test_every_loss_is_finite_with_and_without_targets(network: GroundingNetwork, samples: list[Sample]) -> None:
    batch = Batch.of(samples)
    text, pyramid, dense = looked(network, batch)
    terms = dense_losses(network, batch, pyramid, dense, text)[0] | word_loss(network, batch, pyramid)
    pairs = choose_pairs(batch, 2, [0, 1])
    if len(pairs.image_N):
        found = network.propose(dense, pairs.image_N, pairs.phrase_N, 6)
        terms |= query_losses(network.refine(pyramid, text, pairs.image_N, pairs.phrase_N, found), batch, pairs, 64.0)
    assert all(float(count) >= 0 for _, count in terms.values())
    losses = means(terms, alone)
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    network.zero_grad()
    torch.autograd.backward(weighted(losses, LossWeights()))
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in network.parameters())


def test_what_was_not_labelled_exhaustively_is_not_judged(network: GroundingNetwork) -> None:
    batch = Batch.of([sample([], [], [True, False])])
    text, pyramid, dense = looked(network, batch)
    dense.logits_BAP.retain_grad()
    terms, learned = dense_losses(network, batch, pyramid, dense, text)
    torch.autograd.backward(terms["score"][0])
    grad = dense.logits_BAP.grad
    assert grad is not None
    assert grad[0, :, 0].abs().sum() > 0
    assert grad[0, :, 1].abs().sum() == 0
    assert [len(found.boxes_N) for found in learned] == [0]
    assert float(terms["presence"][1]) == 1  # one concept is judged


def test_a_loss_is_the_sum_of_all_processes_over_their_count() -> None:
    three, one = torch.tensor(3.0, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    terms = {"score": (three * 2, torch.tensor(4.0)), "words": (one, torch.tensor(0.0))}
    halves = means(terms, lambda counts: counts + torch.tensor([8.0, 0.25]))  # what another process adds
    assert halves["score"].item() == pytest.approx(3 * 2 / 12)
    assert halves["words"].item() == 1.0  # a count below 1 is taken as 1
    weights = LossWeights(score=3.0, words=0.5)
    total = weighted(halves, weights)
    assert total.item() == pytest.approx(3.0 * 0.5 + 0.5)
    torch.autograd.backward(total)
    assert three.grad is not None
    assert three.grad.item() == pytest.approx(3.0 * 2 / 12)


def test_sums_and_counts_of_two_halves_are_those_of_the_whole(network: GroundingNetwork) -> None:
    samples = [sample([[5.0, 5, 30, 40]], [1], [False, True], (("round",),)), sample([], [], [True, True])]
    network.eval()

    def told(part: list[Sample]) -> dict[str, Tensor]:
        batch = Batch.of(part)
        with torch.no_grad():
            text, pyramid, dense = looked(network, batch)
            terms = dense_losses(network, batch, pyramid, dense, text)[0] | word_loss(network, batch, pyramid)
        return {name: torch.stack(pair) for name, pair in terms.items()}

    first, second, whole = told(samples[:1]), told(samples[1:]), told(samples)
    network.train()
    for name, value in whole.items():
        torch.testing.assert_close(first[name] + second[name], value, rtol=1e-4, atol=1e-5)


def test_pairs_take_turns_between_there_and_known_absent() -> None:
    samples = [
        sample([[1.0, 1, 9, 9]], [1], [True, True]),
        sample([], [], [False, False]),
        sample([], [], [False, True]),
    ]
    pairs = choose_pairs(Batch.of(samples), 2, [5, 6, 7])
    assert list(zip(pairs.image_N.tolist(), pairs.phrase_N.tolist(), strict=True)) == [(0, 1), (0, 0), (2, 1)]


def test_pairs_of_an_image_do_not_depend_on_its_neighbours() -> None:
    samples = [sample([], [], [True] * 6), sample([], [], [True] * 6)]
    both = choose_pairs(Batch.of(samples), 3, [5, 6])
    second = choose_pairs(Batch.of(samples[1:]), 3, [6])
    assert both.phrase_N[both.image_N == 1].tolist() == second.phrase_N.tolist()
    drawn = {tuple(choose_pairs(Batch.of(samples[:1]), 3, [seed]).phrase_N.tolist()) for seed in range(20)}
    assert len(drawn) > 10


def scores(layer: Refined, exhaustive: bool) -> dict[str, Tensor]:
    batch = Batch.of([sample([[10.0, 10, 40, 40]], [0], [exhaustive, True])])
    return means(query_losses([layer], batch, Pairs(torch.tensor([0]), torch.tensor([0])), 64.0), alone)


def test_a_perfect_query_costs_less_than_a_wrong_one() -> None:
    def total(box: list[float], logits: list[float]) -> float:
        layer = Refined(torch.tensor([logits]), torch.tensor([[box, [50.0, 50, 60, 60]]]))
        return float(torch.stack(list(scores(layer, True).values())).sum())

    truth = [10.0, 10, 40, 40]
    assert total(truth, [8.0, -8.0]) < 0.01
    assert total([20.0, 20, 50, 50], [8.0, -8.0]) > total(truth, [8.0, -8.0])
    assert total(truth, [8.0, 8.0]) > 1.0  # a second box on nothing is "no object"


def test_off_box_queries_are_judged_only_on_exhaustive_images() -> None:
    layer = Refined(torch.tensor([[8.0, 8.0]]), torch.tensor([[[10.0, 10, 40, 40], [50.0, 50, 60, 60]]]))
    assert float(scores(layer, True)["query_score"]) > 1.0
    assert float(scores(layer, False)["query_score"]) < 0.01
