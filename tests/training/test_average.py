from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from medground.data.dataset import Pool
from medground.model.network import GroundingNetwork
from medground.training.average import Average
from medground.training.trainer import Trainer
from tests.training.four_stages import DENSE, HARD, logged, recipe_of, trainer_of


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, pools: list[Pool]) -> GroundingNetwork:
    return trainer_of(tmp_path_factory.mktemp("network"), recipe_of(DENSE), pools).network


def test_weights_and_statistics_are_averaged_and_counts_and_prototypes_copied(network: GroundingNetwork) -> None:
    average = Average(network)
    stage = DENSE.model_copy(update={"ema": 0.25})
    slow = float(network.dense.bias.detach())
    count = network.get_buffer("dense.norm.num_batches_tracked")
    for step in range(4):
        with torch.no_grad():
            network.dense.bias.add_(1 + step)
            network.get_buffer("dense.norm.running_mean").add_(1)
            count.add_(1)
            network.prototypes.slope += 1
        average.step(network, stage, step)
        keep = min(0.25, (1 + step) / (10 + step))  # 0.1, 2/11, 0.25, 0.25
        slow = keep * slow + (1 - keep) * float(network.dense.bias.detach())
    assert float(average.weights["dense.bias"]) == pytest.approx(slow, rel=1e-6)
    assert 3 < float(average.weights["dense.norm.running_mean"][0]) < 4
    assert int(average.weights["dense.norm.num_batches_tracked"]) == int(count)
    assert float(average.weights["prototypes.slope"]) == float(network.prototypes.slope)


def test_the_judge_sees_the_average_and_the_network_stays_as_it_was(network: GroundingNetwork) -> None:
    network.train()
    network.decoder.eval()
    average = Average(network)
    average.weights["dense.bias"] += 2
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen: list[float] = []

    def judge(shown: GroundingNetwork) -> float:
        assert not any(module.training for module in shown.modules())
        seen.append(float(shown.dense.bias.detach()))
        return (0.3, 0.5, 0.5, float("nan"))[len(seen) - 1]

    assert average.judged(network, judge) == 0.3
    average.weights["dense.bias"] += 1
    best = float(average.weights["dense.bias"])
    average.judged(network, judge)
    assert average.looks_since == 0
    average.weights["dense.bias"] += 1
    average.judged(network, judge)  # as good is not better
    average.judged(network, judge)  # and no number is worse than any
    start = float(before["dense.bias"])
    assert seen == pytest.approx([start + 2, start + 3, start + 4, start + 4])
    assert (average.best_figure, average.looks_since) == (0.5, 2)
    assert float(average.end()["dense.bias"]) == best
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.training
    assert network.dense.norm.training
    assert not network.decoder.training
    again = Average(network)
    again.restore(average.weights, average.tensors())
    assert (again.best_figure, again.looks_since) == (0.5, 2)
    assert all(torch.equal(value, average.end()[name]) for name, value in again.end().items())
    before_the_split = Average(network)
    before_the_split.restore(average.weights, average.tensors() | {"told": average.tensors()["told"][:2]})
    assert (before_the_split.best, before_the_split.best_figure) == (None, -math.inf)


def lot(network: GroundingNetwork) -> float:
    """A figure of every bit of the weights: no two averages share one, and the best is any of them."""
    digest = hashlib.sha256()
    for name, value in sorted(network.learned_state().items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return int.from_bytes(digest.digest()[:4]) / 2**32


def test_stopped_at_any_step_a_judged_stage_keeps_the_same_best(tmp_path: Path, pools: list[Pool]) -> None:
    dense = DENSE.model_copy(update={"steps": 9, "judge_every": 1, "patience": 2})
    recipe = recipe_of(dense, HARD.model_copy(update={"steps": 2}))
    lines: list[str] = []

    def trainer(name: str) -> Trainer:
        return trainer_of(tmp_path / name, recipe, pools, note=lines.append, judge=lot)

    whole = trainer("whole")
    assert whole.run(resume=False)
    looks = [line for line in lines if "development AP50" in line]
    assert 3 <= len(looks) < dense.steps  # patience ended the stage
    figures = [float(line.split("AP50 ")[1].split()[0]) for line in looks]
    assert max(figures) == figures[-3]
    told = [row["development/mean_ap50"] for _, row in logged(whole) if "development/mean_ap50" in row]
    assert [round(figure, 4) for figure in told] == figures
    parts = trainer("parts")
    assert not parts.run(resume=True, stop_after=1)
    assert not trainer("parts").run(resume=True, stop_after=len(looks) - 2)
    last = trainer("parts")
    assert last.run(resume=True)
    assert all(
        torch.equal(value, last.network.state_dict()[name]) for name, value in whole.network.state_dict().items()
    )


def test_a_stage_that_makes_nothing_better_ends_with_what_it_began_with(tmp_path: Path, pools: list[Pool]) -> None:
    dense = DENSE.model_copy(update={"steps": 2})
    worse = DENSE.model_copy(update={"name": "worse", "steps": 3, "judge_every": 1})
    seen: list[dict[str, Tensor]] = []

    def judge(network: GroundingNetwork) -> float:
        seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return -float(len(seen))

    trainer = trainer_of(tmp_path / "work", recipe_of(dense, worse), pools, judge=judge)
    assert trainer.run(resume=False)
    assert len(seen) == 4  # at the start, and after each step
    ended = trainer.network.state_dict()
    assert all(torch.equal(value, ended[name]) for name, value in seen[0].items())
    assert not torch.equal(seen[0]["dense.bias"], seen[3]["dense.bias"])
