"""Stages as child runs, through kills: a process of its own trains and is killed outright by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

import medground
from medground.tracking.runs import open_run
from medground.tracking.staged_log import StagedLog
from medground.tracking.store import store_uri

STAGES = [("align", 2), ("open", 2), ("mine", 2)]
HOME = str(Path(medground.__file__).parents[1])
KILLED = """
import os, signal, sys
from pathlib import Path
from medground.tracking.runs import open_run
from medground.tracking.staged_log import StagedLog
home, steps = Path(sys.argv[1]), int(sys.argv[2])
with open_run(home, "exp", "first", notes=home / "notes.json") as run, StagedLog(run, STAGES) as log:
    for step in range(steps):
        log.metrics({"x": 1.0}, step + 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def client(home) -> MlflowClient:
    return MlflowClient(store_uri(home))


def children(home, run_id) -> dict[str, Run]:
    experiment = client(home).get_run(run_id).info.experiment_id
    found = client(home).search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return {run.info.run_name: run for run in found}


def killed_after(home, steps: int) -> None:
    """What a training leaves that is killed after so many steps."""
    command = [sys.executable, "-c", f"STAGES = {STAGES}\n{KILLED}", str(home), str(steps)]
    environment = os.environ | {"PYTHONPATH": HOME}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


def statuses(home, run_id) -> dict[str, str]:
    return {name: run.info.status for name, run in children(home, run_id).items()}


def test_a_child_for_each_stage_gets_the_numbers_of_its_steps(home):
    with open_run(home, "exp", "first") as run, StagedLog(run, [("align", 100), ("open", 50), ("mine", 10)]) as log:
        for step in (25, 100, 101, 150, 160):
            log.metrics({"loss/score": float(step)}, step)
        with pytest.raises(ValueError, match="after the last of the 160 steps"):
            log.metrics({"x": 1.0}, 161)
    made = children(home, run.run_id)
    history = {
        name: [(m.step, m.value) for m in client(home).get_metric_history(child.info.run_id, "loss/score")]
        for name, child in made.items()
    }
    assert history == {
        "stage align": [(25, 25.0), (100, 100.0)],
        "stage open": [(1, 101.0), (50, 150.0)],
        "stage mine": [(10, 160.0)],
    }
    assert {child.info.status for child in made.values()} == {"FINISHED"}
    assert {child.data.tags["medground.kind"] for child in made.values()} == {"stage"}


def test_killed_between_two_stages_the_first_ends_when_the_second_goes_on(home):
    killed_after(home, 2)
    with open_run(home, "exp", "first", notes=home / "notes.json") as run, StagedLog(run, STAGES) as log:
        assert statuses(home, run.run_id) == {"stage align": "RUNNING"}  # who watches it cannot know better yet
        log.metrics({"x": 2.0}, 3)
        assert statuses(home, run.run_id) == {"stage align": "FINISHED", "stage open": "RUNNING"}
        log.metrics({"x": 2.0}, 6)
    ended = children(home, run.run_id)
    assert {name: found.info.status for name, found in ended.items()} == {
        f"stage {name}": "FINISHED" for name, _ in STAGES
    }
    assert ended["stage align"].info.end_time >= ended["stage align"].info.start_time
    assert client(home).get_run(run.run_id).info.status == "FINISHED"


def test_killed_after_the_last_number_all_end_though_none_follows(home):
    killed_after(home, 6)
    with open_run(home, "exp", "first", notes=home / "notes.json") as run, StagedLog(run, STAGES):
        assert statuses(home, run.run_id)["stage mine"] == "RUNNING"
    assert set(statuses(home, run.run_id).values()) == {"FINISHED"}


def end_a_stage_and_stop(run) -> None:
    with StagedLog(run, STAGES) as log:
        log.metrics({"x": 1.0}, 2)
        raise RuntimeError("stop")


def test_a_stage_that_was_over_when_the_training_failed_is_finished_later_and_no_other_run_is(home):
    notes = home / "notes.json"
    with pytest.raises(RuntimeError, match="stop"), open_run(home, "exp", "first", notes=notes) as run:
        end_a_stage_and_stop(run)
    with pytest.raises(RuntimeError, match="stop"), open_run(home, "exp", "other") as other:
        end_a_stage_and_stop(other)
    with open_run(home, "exp", "first", notes=notes) as again, StagedLog(again, STAGES) as log:
        assert statuses(home, run.run_id) == {"stage align": "FAILED"}
        log.metrics({"x": 2.0}, 3)
    assert statuses(home, run.run_id) == {"stage align": "FINISHED", "stage open": "FINISHED"}
    assert statuses(home, other.run_id) == {"stage align": "FAILED"}
