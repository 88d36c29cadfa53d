"""Training with `--precision bf16`: towers in bfloat16, heads and losses in float32, through every kind of stage."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from medground.data.dataset import Pool
from medground.training import trainer as trainer_module
from medground.training.processes import Precision, Processes
from medground.training.recipe import Stage
from medground.training.trainer import Trainer
from tests.training.four_stages import DENSE, HARD, JOINT, QUESTIONS, RESTORATION, logged, recipe_of, trainer_of

pytestmark = pytest.mark.usefixtures("one_thread")
STAGES = (RESTORATION, DENSE, JOINT, QUESTIONS, HARD)


PRECISIONS: tuple[Precision, ...] = ("no", "bf16")


def trained(
    folder: Path, pools: list[Pool], precision: Precision, *stages: Stage, seed: int = 1
) -> tuple[Trainer, list[dict[str, float]]]:
    """A training to its end, and what it logged at each step."""
    recipe = recipe_of(*stages).model_copy(update={"seed": seed})
    trainer = trainer_of(folder / precision, recipe, pools, processes=Processes.single(precision=precision))
    assert trainer.run(resume=False)
    return trainer, [row for _, row in logged(trainer)]


@pytest.fixture(autouse=True)
def log_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "LOG_EVERY", 1)


def test_every_stage_runs_in_half_precision(tmp_path: Path, pools: list[Pool]) -> None:
    trainer, rows = trained(tmp_path, pools, "bf16", *STAGES)
    assert all(weight.dtype == torch.float32 for weight in trainer.network.parameters())
    assert len(rows) == sum(stage.steps for stage in STAGES)
    assert all(math.isfinite(value) for row in rows for value in row.values())


@pytest.mark.parametrize(
    ("stage", "losses", "near"),
    [
        (RESTORATION, {"restoration"}, 0.05),
        (DENSE, {"kind", "presence"}, 0.05),
        (DENSE, {"score", "giou", "distribution"}, 0.2),  # a location that is assigned otherwise moves them by a tenth
    ],
)
def test_losses_of_equal_weights_are_near_to_those_in_full(
    tmp_path: Path, pools: list[Pool], stage: Stage, losses: set[str], near: float
) -> None:
    """Of the first step: after it the weights differ, how much by the processor's own way to compute in bfloat16."""
    exact, half = (trained(tmp_path, pools, precision, stage, seed=8)[1][0] for precision in PRECISIONS)
    names = {f"loss/{name}" for name in losses}
    assert all(exact[name] > 0 for name in names)  # with this seed the first views show lesions
    assert {name: half[name] for name in names} == pytest.approx({name: exact[name] for name in names}, rel=near)
    assert all(half[name] != exact[name] for name in names)  # the tower did compute in bfloat16
