"""The stages of a recipe on one trainer: alignment, joint tuning with EWC, mined hard examples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medground.data.dataset import Pool
from medground.schema.errors import UsageError
from medground.training import trainer as trainer_module
from medground.training.ewc import penalty
from medground.training.miner import Mistake
from medground.training.recipe import Recipe
from pipelines.recipes.compact import EVERYTHING, HEADS, TEXT, TOP_VISION
from tests.training.four_stages import DENSE, HARD, JOINT, logged, recipe_of, trainer_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipe_of(DENSE, JOINT, HARD)


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_stopped_in_each_stage_it_ends_with_the_same_bits(tmp_path: Path, recipe: Recipe, pools: list[Pool]) -> None:
    whole = trainer_of(tmp_path / "whole", recipe, pools)
    assert whole.run(resume=False)
    lengths = (2, 2, 1, 6)  # inside alignment, at its end, after the first joint step, between two mined ones
    for length in lengths:
        assert not trainer_of(tmp_path / "parts", recipe, pools).run(resume=True, stop_after=length)
    last = trainer_of(tmp_path / "parts", recipe, pools)
    assert last.run(resume=True)
    assert same(whole.network.state_dict(), last.network.state_dict())
    assert last.replay.state() == whole.replay.state()


def test_what_is_logged_of_each_stage(tmp_path: Path, recipe: Recipe, pools: list[Pool]) -> None:
    trainer = trainer_of(tmp_path, recipe, pools)
    trainer.run(resume=False)
    aligned, joint, hard = (row for _, row in logged(trainer))
    assert "loss/ewc" not in aligned
    assert joint["loss/ewc"] > 0
    assert {"loss/query_score", "loss/query_giou", "loss/query_l1", "loss/words"} < set(joint)
    assert not any(name.startswith("mined/") for name in joint)
    assert {f"mined/{kind}" for kind in Mistake} < set(hard)
    assert hard["mined/pool"] > 0
    assert hard["mined/confident"] > 0  # at such a low threshold an untrained model is wrong everywhere


def test_the_penalty_is_nothing_at_the_snapshot_and_something_after_a_step(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "LOG_EVERY", 1)
    trainer = trainer_of(tmp_path, recipe_of(JOINT), pools)
    assert not trainer.run(resume=False, stop_after=0)
    assert trainer.held is not None
    assert float(penalty(trainer.network, trainer.held).detach()) == 0
    assert set(trainer.held.weights) == {name for name, _ in trainer.network.named_parameters()}  # all that is open
    assert not trainer.run(resume=False, stop_after=2)
    values = [row["loss/ewc"] for _, row in logged(trainer)]
    assert values[0] == 0
    assert values[1] > 0
    held = trainer.held
    slow = sum(
        float((held.fisher[name] * (parameter.detach() - held.weights[name]) ** 2).sum()) / 2
        for name, parameter in trainer.network.named_parameters()
    )
    assert slow > 0
    assert float(penalty(trainer.network, held).detach()) == pytest.approx(slow, rel=1e-5)


def test_ewc_holds_the_weights_and_nothing_moves_what_is_frozen(tmp_path: Path, pools: list[Pool]) -> None:
    opened = (TEXT, *HEADS, *TOP_VISION)
    ends: dict[float, dict[str, torch.Tensor]] = {}
    held = None
    for strength in (1e6, 0.0):
        stage = JOINT.model_copy(
            update={"ewc": strength, "trainable": opened, "steps": 30, "learning_rate": 1e-4, "queries_per_image": 0}
        )
        trainer = trainer_of(tmp_path / f"{strength}", recipe_of(stage), pools)
        before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
        trainer.run(resume=False)
        after = ends[strength] = trainer.network.state_dict()
        closed = [name for name in before if not name.startswith((*opened, "prototypes."))]
        assert all(torch.equal(before[name], after[name]) for name in closed)  # statistics of frozen norms too
        assert any("stages.0" in name and "running_mean" in name for name in closed)
        held = held or trainer.held
    assert held is not None
    needed = {name.split(".")[0] for name, value in held.fisher.items() if float(value.sum()) > 0}
    assert needed == {"backbone", "dense", "kind"}  # the presence head says nothing in a drawn outcome
    fisher, start = held.fisher, held.weights

    def moved(weights: dict[str, torch.Tensor]) -> float:
        return sum(float((value * (weights[name] - start[name]) ** 2).sum()) for name, value in fisher.items())

    assert moved(ends[1e6]) < 0.5 * moved(ends[0.0])


def test_general_data_must_be_there(tmp_path: Path, pools: list[Pool]) -> None:
    joint = JOINT.model_copy(update={"general_pools": ("films",), "trainable": EVERYTHING})
    with pytest.raises(UsageError, match="'films'"):
        trainer_of(tmp_path, recipe_of(joint), pools).run(resume=False)
