"""The three stages of the recipe on one trainer: alignment, joint tuning with EWC, mined hard examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from medground.schema.errors import UsageError
from medground.training.miner import MinerConfig, Mistake
from medground.training.recipe import Recipe, Stage
from medground.training.trainer import Trainer, set_modes

HEADS = ("text.", "dense.", "presence.", "kind.")
TOP = ("backbone.stages.3.", "backbone.context.", "backbone.lateral.", "backbone.smooth.")
MakeTrainer = Callable[..., Trainer]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def recipe(small_recipe: Recipe) -> Recipe:
    align = Stage(name="alignment", steps=4, trainable=HEADS, warmup_steps=1)
    joint = Stage(name="joint", steps=4, trainable=(*HEADS, *TOP), warmup_steps=1, ewc=100.0, ewc_samples=3)
    mining = MinerConfig(every=2, batch=3, min_score=1e-4, capacity=8)
    hard = Stage(name="hard examples", steps=6, trainable=(*HEADS, *TOP), warmup_steps=1, miner=mining)
    return small_recipe.model_copy(update={"stages": (align, joint, hard)})


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_stopped_in_each_stage_it_ends_with_the_same_bits(
    make_trainer: MakeTrainer, tmp_path: Path, recipe: Recipe
) -> None:
    whole = make_trainer(tmp_path / "whole", recipe)
    assert whole.run(resume=False)
    for stop in (2, 6, 11):  # inside alignment, inside joint tuning, between two mined steps
        assert not make_trainer(tmp_path / f"at{stop}", recipe).run(resume=False, stop_after=stop)
        second = make_trainer(tmp_path / f"at{stop}", recipe)
        assert second.run(resume=True)
        assert same(whole.network.state_dict(), second.network.state_dict()), stop


def test_what_is_logged_of_each_stage(make_trainer: MakeTrainer, tmp_path: Path, recipe: Recipe) -> None:
    trainer = make_trainer(tmp_path, recipe)
    trainer.run(resume=False)
    aligned, joint, hard = (row for _, row in trainer.log.rows)
    assert "loss/ewc" not in aligned
    assert joint["loss/ewc"] > 0
    assert not any(name.startswith("mined/") for name in joint)
    assert {f"mined/{kind}" for kind in Mistake} < set(hard)
    assert hard["mined/pool"] > 0
    assert hard["mined/confident"] > 0  # at such a low threshold an untrained model is wrong everywhere


def test_ewc_holds_the_weights_and_nothing_moves_what_is_frozen(
    make_trainer: MakeTrainer, tmp_path: Path, recipe: Recipe
) -> None:
    joint = recipe.stages[1].model_copy(update={"steps": 40, "learning_rate": 1e-4, "ema": 0.5})
    ends = {}
    for strength in (1e6, 0.0):
        one = recipe.model_copy(update={"stages": (joint.model_copy(update={"ewc": strength}),)})
        trainer = make_trainer(tmp_path / f"{strength}", one)
        before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
        trainer.run(resume=False)
        after = ends[strength] = trainer.network.state_dict()
        closed = [name for name in before if not name.startswith(joint.trainable)]
        assert all(torch.equal(before[name], after[name]) for name in closed)  # statistics of frozen norms too
        assert any("stages.0" in name and "running_mean" in name for name in closed)
        if trainer.held is not None:
            held = trainer.held
    needed = {name.split(".")[0] for name, value in held.fisher.items() if float(value.sum()) > 0}
    assert needed == {"backbone", "dense", "kind", "text"}  # the presence head says nothing in a drawn outcome

    def moved(weights: dict[str, torch.Tensor]) -> float:
        return sum(float((f * (weights[name] - held.weights[name]) ** 2).sum()) for name, f in held.fisher.items())

    assert moved(ends[1e6]) < 0.5 * moved(ends[0.0])


def test_modes_follow_what_is_open(make_trainer: MakeTrainer, tmp_path: Path, recipe: Recipe) -> None:
    network = make_trainer(tmp_path, recipe).network
    set_modes(network, recipe.stages[1])
    modes = {name: module.training for name, module in network.named_modules() if "Norm" in type(module).__name__}
    assert modes
    for name, training in modes.items():
        assert training == f"{name}.".startswith(recipe.stages[1].trainable), name
    assert network.training
    assert not network.decoder.training


def test_general_data_must_be_there(make_trainer: MakeTrainer, tmp_path: Path, recipe: Recipe) -> None:
    joint = recipe.stages[1].model_copy(update={"general_pools": ("films",)})
    trainer = make_trainer(tmp_path, recipe.model_copy(update={"stages": (joint,)}))
    with pytest.raises(UsageError, match="'films'"):
        trainer.run(resume=False)
