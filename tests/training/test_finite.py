"""Losses that are not numbers, made by what makes them in life: broken pixels, a rate and a weight far too high."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medground.data.dataset import Pool
from medground.schema.errors import UsageError
from medground.training import trainer as trainer_module
from medground.training.finite import check_gradient, check_losses, is_finite
from medground.training.objective import LossWeights
from medground.training.processes import Processes
from medground.training.recipe import Stage
from medground.training.trainer import Trainer
from tests.training.four_stages import (
    DENSE,
    HARD,
    JOINT,
    QUESTIONS,
    RESTORATION,
    recipe_of,
    trainer_of,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def spoilt(pools: list[Pool]) -> list[Pool]:
    """The same pools, and one that nearly every sample comes from, of labelled images without a single number."""
    items = tuple(replace(held, pixels_HW=np.full(held.pixels_HW.shape, np.nan, np.float32)) for held in pools[0].items)
    return [*pools, Pool("films", 1e6, items, pools[0].weights)]


def names_of(trainer: Trainer, stage: Stage) -> list[str]:
    """The losses of its first step, in the order that processes count them in."""
    ((batch, numbers, place),) = trainer.batches.of_stage(0, 0, 1, trainer.replay)
    return list(trainer.losses(stage, place, batch, numbers).terms)


SHOWN = QUESTIONS.model_copy(update={"name": "shown", "denoising": 2})


@pytest.mark.parametrize("stage", [RESTORATION, DENSE, JOINT, QUESTIONS, SHOWN, HARD], ids=lambda stage: stage.name)
def test_every_kind_of_stage_stops_before_its_step(tmp_path: Path, pools: list[Pool], stage: Stage) -> None:
    trainer = trainer_of(tmp_path / "run", recipe_of(stage), spoilt(pools))
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    with pytest.raises(UsageError) as stopped:
        trainer.run(resume=False)
    start, what, names = str(stopped.value).split(";")[0].split(": ")
    assert (start, what) == (f"stage {stage.name!r}, step 1", "losses that are not finite")
    assert names.split(", ") == names_of(trainer_of(tmp_path / "fine", recipe_of(stage), pools), stage)
    assert all(torch.equal(value, before[name]) for name, value in trainer.network.named_parameters())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("stage", [QUESTIONS, SHOWN], ids=lambda stage: stage.name)
def test_a_decoder_that_is_spoilt_alone_is_told_by_its_losses(tmp_path: Path, pools: list[Pool], stage: Stage) -> None:
    """Weights as a step far too long leaves them: what the other heads say is finite still."""
    trainer = trainer_of(tmp_path, recipe_of(stage), pools)
    with torch.no_grad():
        for parameter in trainer.network.decoder.parameters():
            parameter.mul_(1e30)
    names = ", ".join(names_of(trainer_of(tmp_path, recipe_of(stage), pools), stage))
    with pytest.raises(UsageError, match=rf"step \d: losses that are not finite: {names};"):
        trainer.run(resume=False)


def test_the_checkpoint_before_stays_and_is_gone_on_from(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "SAVE_EVERY", 1)
    recipe = recipe_of(DENSE)
    whole = trainer_of(tmp_path / "whole", recipe, pools)
    assert whole.run(resume=False)
    trainer = trainer_of(tmp_path / "part", recipe, pools)
    assert not trainer.run(resume=False, stop_after=2)
    good = trainer.checkpoint.read_bytes()
    with pytest.raises(UsageError, match=r"stage 'dense', step 3: losses that are not finite: score.*;.*--resume"):
        trainer_of(tmp_path / "part", recipe, spoilt(pools)).run(resume=True)
    assert trainer.checkpoint.read_bytes() == good
    assert [found.name for found in (tmp_path / "part").iterdir()] == [trainer.checkpoint.name]
    again = trainer_of(tmp_path / "part", recipe, pools)
    assert again.run(resume=True)
    ended = again.network.state_dict()
    assert all(torch.equal(value, ended[name]) for name, value in whole.network.state_dict().items())


def test_a_rate_far_too_high_ends_the_training(tmp_path: Path, pools: list[Pool]) -> None:
    trainer = trainer_of(tmp_path, recipe_of(DENSE.model_copy(update={"learning_rate": 1e30})), pools)
    with pytest.raises(UsageError, match=r"stage 'dense', step 2: losses that are not finite: .*lower learning_rate"):
        trainer.run(resume=False)
    assert not trainer.checkpoint.exists()


def test_a_gradient_that_is_too_large_for_a_number_ends_it_before_the_step(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "SAVE_EVERY", 1)
    recipe = recipe_of(DENSE).model_copy(update={"losses": LossWeights(kind=3e38)})
    trainer = trainer_of(tmp_path, recipe, pools)
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    with pytest.raises(UsageError, match=r"stage 'dense', step 1: the gradient has norm (inf|nan), not finite"):
        trainer.run(resume=False)
    assert all(torch.equal(value, before[name]) for name, value in trainer.network.named_parameters())
    assert not trainer.checkpoint.exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_what_is_not_finite_is_named(value: float) -> None:
    alone = Processes.single()
    fine = {"score": torch.tensor(1e38), "giou": torch.tensor(0.0, dtype=torch.float64)}
    check_losses(fine, DENSE, 0, alone)
    with pytest.raises(UsageError, match=r"stage 'dense', step 8: losses that are not finite: ewc;"):
        check_losses(fine | {"ewc": torch.tensor(value)}, DENSE, 7, alone)
    with pytest.raises(UsageError, match=r"step 1: losses that are not finite: ewc, words;"):
        check_losses({"ewc": torch.tensor(value), **fine, "words": torch.tensor(value)}, DENSE, 0, alone)
    check_gradient(torch.tensor(1e38), DENSE, 0)
    with pytest.raises(UsageError, match="step 1: the gradient has norm"):
        check_gradient(torch.tensor(value), DENSE, 0)


@pytest.mark.parametrize(
    ("boxes", "finite"),
    [
        ([], True),
        ([[0, 0, 1e18, 1e18]], True),
        ([[0, 0, 1e20, 1e20]], False),  # as large as it is, its area is no number
        ([[0, 0, 5, 5], [0, 0, math.nan, 5]], False),
        ([[0, 0, math.inf, 5]], False),
    ],
)
def test_boxes_of_which_no_overlap_can_be_computed_are_told(boxes: list[list[float]], finite: bool) -> None:
    boxes_N4 = torch.tensor(boxes).reshape(-1, 4)
    assert is_finite(torch.zeros(3), boxes_N4) == finite
    assert not is_finite(torch.tensor([0.0, math.inf]), boxes_N4)
