"""Killed outright in every kind of stage, a training goes on and ends with the same bits.

Started with a folder, this file is also the process that trains: it forks one child for each stretch, and a child
kills itself at a named step, so that nothing depends on how fast the machine is. Checkpoints are written every other
step, and the kill comes one step after one, so that a step is lost and done again.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import medground
from medground.tracking.store import open_store
from medground.training import trainer as trainer_module
from medground.training.checkpoint import load_checkpoint
from medground.training.trainer import recipe_digest
from tests.training.four_stages import DENSE, HARD, JOINT, RESTORATION, recipe_of, silent, trainer_of, uneven_pools

KILLS = ("restoration 3/", "dense 3/", "joint 3/", "hard 5/")
STAGES = (RESTORATION, DENSE, JOINT, HARD)
HOME = str(Path(medground.__file__).parents[1])


def forked(job: Callable[[], None]) -> int:
    """What became of a child that did the job: 0, or minus the signal that ended it."""
    child = os.fork()
    if not child:
        try:
            job()
        except BaseException:  # what the parent's own handlers would do with it must not happen twice
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def deadly(start: str) -> Callable[[str], None]:
    """A taker of notes that kills its process at the one that starts so."""

    def note(line: str) -> None:
        if line.startswith(start):
            os.kill(os.getpid(), signal.SIGKILL)

    return note


def main(folder: Path) -> None:
    """Trains once without a break and once with a kill in every stage."""
    torch.set_num_threads(1)
    trainer_module.SAVE_EVERY, trainer_module.LOG_EVERY = 2, 1
    recipe, pools = recipe_of(*STAGES), uneven_pools()

    def train(name: str, note: Callable[[str], None]) -> Callable[[], None]:
        def job() -> None:
            assert trainer_of(folder / name, recipe, pools, note=note).run(resume=True)

        return job

    ends = [forked(train("whole", silent))]
    ends += [forked(train("killed", deadly(start))) for start in KILLS]
    ends += [forked(train("killed", silent))]
    (folder / "ends.json").write_text(json.dumps(ends), encoding="utf-8")


@pytest.mark.slow
def test_killed_in_each_stage_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": HOME, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__, str(tmp_path)], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    ends = json.loads((tmp_path / "ends.json").read_text(encoding="utf-8"))
    assert ends == [0, *[-signal.SIGKILL] * len(KILLS), 0], done.stderr.decode()[-3000:]
    digest = recipe_digest(recipe_of(*STAGES))
    whole, killed = (
        load_checkpoint(tmp_path / name / "checkpoint.safetensors", digest) for name in ("whole", "killed")
    )
    assert whole.progress == killed.progress
    assert whole.progress.stage == len(STAGES) - 1
    assert whole.note == killed.note
    assert len(json.loads(whole.note)) > 0  # mined samples are in it
    for one, two in ((whole.weights, killed.weights), (whole.average, killed.average), (whole.extra, killed.extra)):
        assert one.keys() == two.keys()
        assert [name for name in one if not torch.equal(one[name], two[name])] == []
    for number, moments in whole.optimizer_state.items():
        assert all(torch.equal(value, killed.optimizer_state[number][key]) for key, value in moments.items())


SHIPPED = """
import os, signal, sys
from medground.training import trainer
trainer.SAVE_EVERY, trainer.LOG_EVERY = 2, 1
from pipelines import train
quiet, save, deadly = train.say, trainer.save_checkpoint, sys.argv[2]
def say(line):
    if deadly and line.startswith(deadly):
        os.kill(os.getpid(), signal.SIGKILL)
    quiet(line)
def saved(path, progress, *more, **others):
    save(path, progress, *more, **others)
    say(f"saved {progress.stage} {progress.step}")
train.say, trainer.save_checkpoint = say, saved
folder, more = sys.argv[1], sys.argv[3:]
raise SystemExit(train.main(["--recipe", "tiny", "--data", folder + "/none", "--out", folder + "/run",
                             "--mlruns", folder + "/mlruns", "--threads", "1", *more]))
"""


@pytest.mark.slow
def test_a_killed_job_ships_the_same_bundle(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": HOME, "OMP_NUM_THREADS": "1"}

    def start(name: str, deadly: str, *more: str) -> tuple[int, str]:
        (tmp_path / name).mkdir(exist_ok=True)
        command = [sys.executable, "-c", SHIPPED, str(tmp_path / name), deadly, *more]
        done = subprocess.run(command, env=environment, cwd=HOME, capture_output=True, check=False)
        return done.returncode, done.stderr.decode()[-2000:]

    code, said = start("whole", "")
    assert code == 0, said
    for deadly in ("saved 0 6", "queries 3/"):  # between the two stages, and in the second
        code, said = start("killed", deadly, "--resume")
        assert code == -signal.SIGKILL, said
        assert not (tmp_path / "killed" / "run" / "bundle").exists()
    code, said = start("killed", "", "--resume")
    assert code == 0, said
    client, experiment = open_store(tmp_path / "killed" / "mlruns", "medground")
    runs = {run.info.run_name: run.info.status for run in client.search_runs([experiment])}
    assert runs == dict.fromkeys(("tiny", "stage dense", "stage queries"), "FINISHED")
    weights = [(tmp_path / name / "run/bundle/weights.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
