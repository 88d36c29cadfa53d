from __future__ import annotations

import pytest
import torch

from medground.data.sample import Sample
from medground.model.assigner import Assignment
from medground.model.dense_head import Dense
from medground.training.batch import Batch
from medground.training.objective import means, weighted
from medground.training.opening import open_parameters, set_modes
from medground.training.recipe import Stage
from medground.training.step import BACKGROUND_ROWS, Place, prototype_rows
from medground.training.trainer import Trainer
from tests.training.four_stages import DENSE, HARD, JOINT, QUESTIONS, RESTORATION, recipe_of, trainer_of, uneven_pools

FROZEN = JOINT.model_copy(update={"joint": False, "dense": False, "trainable": ("region.", "decoder.")})
STAGES = {
    "restoration": RESTORATION,
    "dense": DENSE,
    "joint": JOINT,
    "questions": QUESTIONS,
    "frozen": FROZEN,
    "hard": HARD,
}
NAMES = {
    "restoration": {"restoration"},
    "dense": {"score", "giou", "distribution", "presence", "kind"},
    "joint": {"score", "giou", "distribution", "presence", "kind", "query_score", "query_giou", "query_l1", "words"},
    "questions": {"query_score", "query_giou", "query_l1"},
    "frozen": {"query_score", "query_giou", "query_l1", "words"},
    "hard": {"score", "giou", "distribution", "presence", "kind"},
}
CLASSES = len(recipe_of(DENSE).concepts)


def sample(boxes: list[list[float]], *, exhaustive: bool, words: tuple[str, ...] = (), flat: bool = False) -> Sample:
    noise = torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(len(boxes)))
    return Sample(
        torch.full_like(noise, -3.0) if flat else noise,
        torch.tensor(boxes).reshape(-1, 4),
        torch.arange(len(boxes)),
        torch.full((CLASSES,), exhaustive),
        0,
        (words,) * len(boxes),
    )


BATCHES = {
    "boxes and words": [sample([[5.0, 5, 30, 40], [2, 2, 4, 4]], exhaustive=True, words=("round",))],
    "boxes without words": [sample([[5.0, 5, 30, 40]], exhaustive=False)],
    "no boxes": [sample([], exhaustive=True)] * 2,
    "nothing known": [sample([], exhaustive=False)],
    "black": [sample([], exhaustive=False, flat=True)] * 2,
}


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    recipe = recipe_of(RESTORATION, DENSE)
    return trainer_of(tmp_path_factory.mktemp("step"), recipe, uneven_pools())


def reached(trainer: Trainer, stage: Stage, samples: list[Sample]) -> tuple[set[str], set[str]]:
    """Names of the losses of a step, and of the vision parameters that its gradient reaches; all are finite."""
    assert trainer.restorer is not None
    open_parameters(trainer.network, trainer.restorer.parameters(), stage)
    set_modes(trainer.network, stage)
    batch, places = Batch.of(samples), range(len(samples))
    outcome = trainer.losses(stage, Place(0, 3, places, len(samples)), batch, list(places))
    losses = means(outcome.terms, lambda counts: counts.detach())
    total = weighted(losses, trainer.recipe.losses)
    if total.requires_grad:
        torch.autograd.backward(total)
    assert all(bool(torch.isfinite(value)) for value in losses.values()), losses
    named = [(name, one.grad) for name, one in trainer.network.named_parameters() if one.grad is not None]
    assert all(bool(torch.isfinite(gradient).all()) for _, gradient in named)
    if outcome.rows is not None:
        assert bool(outcome.rows.embeddings_ND.isfinite().all())
        assert len(outcome.rows.embeddings_ND) == len(outcome.rows.concept_N) == len(outcome.rows.weight_N)
    return set(losses), {name for name, _ in named if name.startswith(("backbone.pyramid.", "dense."))}


@pytest.mark.parametrize("name", STAGES)
def test_every_batch_has_the_losses_of_its_stage_and_reaches_the_same_norms(trainer: Trainer, name: str) -> None:
    stage = STAGES[name]
    ends = {label: reached(trainer, stage, samples) for label, samples in BATCHES.items()}
    assert {label: names for label, (names, _) in ends.items()} == dict.fromkeys(BATCHES, NAMES[name])
    norms = [{one for one in vision if "norm" in one or ".1." in one} for _, vision in ends.values()]
    assert all(some == norms[0] for some in norms), name
    assert bool(norms[0]) == (name != "frozen")


@pytest.mark.parametrize("count", [1, 2, 64, 1000])
def test_the_batch_shares_its_background_rows_however_it_is_split(count: int) -> None:
    score_A = torch.arange(200.0)
    dense = Dense(
        score_A[None, :, None].expand(1, -1, CLASSES),
        score_A[None, :, None].expand(1, -1, 3),
        torch.zeros(1, 200, 4, 2),
        torch.zeros(1, 200, 4),
        torch.stack([score_A, torch.zeros(200)], 1),
        torch.full((200,), 8.0),
    )
    batch = Batch.of([sample([[150.0, -1, 300, 1]], exhaustive=True)])
    empty = torch.zeros(0, dtype=torch.int64)
    rows = prototype_rows(dense, batch, [Assignment(empty, empty, torch.zeros(0))], count)
    each = max(1, BACKGROUND_ROWS // count)
    assert rows.background_ND[:, 0].tolist() == [
        float(150 - place) for place in range(each)
    ]  # outside the box, best first
    silent = prototype_rows(dense, Batch.of([sample([], exhaustive=False)]), [Assignment(empty, empty, torch.zeros(0))])
    assert silent.background_ND.shape == (0, 3)


def test_only_good_examples_become_prototype_rows() -> None:
    embedding_BAD = torch.arange(30.0).view(1, 10, 3)
    dense = Dense(
        torch.zeros(1, 10, CLASSES),
        embedding_BAD,
        torch.zeros(1, 10, 4, 2),
        torch.zeros(1, 10, 4),
        torch.zeros(10, 2),
        torch.full((10,), 8.0),
    )
    batch = Batch.of([sample([[5.0, 5, 30, 40], [2, 2, 9, 9]], exhaustive=False)])
    found = Assignment(torch.tensor([4, 7, 8]), torch.tensor([1, 0, 1]), torch.tensor([0.9, 0.29, 0.31]))
    rows = prototype_rows(dense, batch, [found])
    assert torch.equal(rows.embeddings_ND, embedding_BAD[0, [4, 8]])
    assert rows.concept_N.tolist() == [1, 1]
    assert rows.weight_N.tolist() == pytest.approx([0.9, 0.31])
