from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from medground.schema.errors import CheckpointError
from medground.training.trainer import schedule


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_run_stopped_in_each_stage_ends_with_the_same_bits(make_trainer, tmp_path):
    whole = make_trainer(tmp_path / "whole")
    assert whole.run(resume=False)
    for stop in (3, 6, 8):  # inside the first stage, at its end, inside the second
        first = make_trainer(tmp_path / f"at{stop}")
        assert not first.run(resume=False, stop_after=stop)
        second = make_trainer(tmp_path / f"at{stop}")
        assert second.run(resume=True)
        assert same(whole.network.state_dict(), second.network.state_dict()), stop


def test_a_frozen_part_does_not_move_and_an_open_one_does(make_trainer, tmp_path, small_recipe):
    dense, queries = small_recipe.stages
    only_queries = small_recipe.model_copy(update={"stages": (queries,)})
    trainer = make_trainer(tmp_path, only_queries)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.run(resume=False)
    after = trainer.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(queries.trainable) for name in moved)
    assert any(name.startswith("decoder.") for name in moved)
    assert any(name.startswith("describer.") for name in moved)
    assert not any(name.startswith(dense.trainable) for name in moved)


def test_losses_are_logged_finite_and_fall(make_trainer, tmp_path, small_recipe):
    dense = small_recipe.stages[0].model_copy(update={"steps": 50, "warmup_steps": 5})
    trainer = make_trainer(tmp_path, small_recipe.model_copy(update={"stages": (dense,)}))
    trainer.run(resume=False)
    rows = trainer.log.rows
    assert [step for step, _ in rows] == [25, 50]
    assert rows[1][1]["loss/score"] < rows[0][1]["loss/score"]
    assert all(value == value for _, row in rows for value in row.values())


def test_a_checkpoint_of_another_recipe_is_refused(make_trainer, tmp_path, small_recipe):
    make_trainer(tmp_path).run(resume=False, stop_after=1)
    other = make_trainer(tmp_path, small_recipe.model_copy(update={"seed": 5}))
    with pytest.raises(CheckpointError, match="another recipe"):
        other.run(resume=True)


def test_schedule_rises_then_falls(small_recipe):
    stage = small_recipe.stages[0].model_copy(update={"steps": 100, "warmup_steps": 10})
    values = [schedule(step, stage) for step in range(100)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == pytest.approx(1.0)
    assert values.index(max(values)) in (9, 10)
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[-1] < 0.02


SCRIPT = """
import sys, torch
sys.path.insert(0, sys.argv[2])
torch.set_num_threads(1)
from pathlib import Path
from medground.training import trainer as t
t.SAVE_EVERY = 2
from pipelines.train import main
raise SystemExit(main(["--recipe", "tiny", "--data", sys.argv[1] + "/none", "--out", sys.argv[1] + "/run",
                       "--mlruns", sys.argv[1] + "/mlruns", "--threads", "1", *sys.argv[3:]]))
"""


@pytest.mark.slow
def test_killed_outright_it_goes_on_and_ships_the_same_bundle(tmp_path, repository):
    def start(folder, *more):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", SCRIPT, str(folder), str(repository), *more]
        return subprocess.Popen(command, cwd=repository, stderr=subprocess.PIPE, start_new_session=True)

    whole = start(tmp_path / "whole")
    killed = start(tmp_path / "killed")
    checkpoint = tmp_path / "killed" / "run" / "checkpoint.safetensors"
    while not checkpoint.exists() and killed.poll() is None:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert checkpoint.exists()
    assert not (tmp_path / "killed" / "run" / "bundle").exists()
    resumed = start(tmp_path / "killed", "--resume")
    for process in (whole, resumed):
        message = process.communicate()[1].decode()
        assert process.returncode == 0, message[-2000:]
    weights = [
        (tmp_path / name / "run" / "bundle" / "weights.safetensors").read_bytes() for name in ("whole", "killed")
    ]
    assert weights[0] == weights[1]
