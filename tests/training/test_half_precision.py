"""Training with `--precision bf16`: towers in bfloat16, heads and losses in float32, through every kind of stage."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from medground.data.dataset import Pool
from medground.training import trainer as trainer_module
from medground.training.processes import Precision, Processes
from tests.training.four_stages import DENSE, HARD, JOINT, QUESTIONS, RESTORATION, logged, recipe_of, trainer_of

pytestmark = pytest.mark.usefixtures("one_thread")
STAGES = (RESTORATION, DENSE, JOINT, QUESTIONS, HARD)


def test_every_stage_runs_in_half_precision_and_its_first_losses_are_near_to_those_in_full(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "LOG_EVERY", 1)
    rows = {}
    precisions: tuple[Precision, ...] = ("no", "bf16")
    for precision in precisions:
        processes = Processes.single(precision=precision)
        trainer = trainer_of(tmp_path / precision, recipe_of(*STAGES), pools, processes=processes)
        assert trainer.run(resume=False)
        rows[precision] = [row for _, row in logged(trainer)]
        assert all(weight.dtype == torch.float32 for weight in trainer.network.parameters())
    assert len(rows["bf16"]) == len(rows["no"]) == sum(stage.steps for stage in STAGES)
    for row in rows["bf16"]:
        assert all(math.isfinite(value) for value in row.values())
    first, exact = rows["bf16"][0], rows["no"][0]
    assert first["loss/restoration"] == pytest.approx(exact["loss/restoration"], rel=0.05)
    assert first["loss/restoration"] != exact["loss/restoration"]  # the tower did compute in bfloat16
    for name, value in rows["no"][RESTORATION.steps].items():  # of the stage with boxes, after equal data
        if name in ("loss/score", "loss/giou", "loss/distribution", "loss/presence"):
            assert rows["bf16"][RESTORATION.steps][name] == pytest.approx(value, rel=0.1), name
