"""Started by torchrun with a folder, this file is also each of the two processes of its own test.

Every kind of stage runs in one process and in two at an equal global batch of three, so that one process holds two
images and the other one; half of the images have no label, so that a process often has nothing to learn from.

The computation is float64. In float32 the first gradients were seen to agree to 2e-5, the third ones to 0.13 only: sums
in another order differ in the last digits, which decide ReLUs and maxima of flat image parts, and AdamW makes a whole
step of a gradient that is zero but for those digits. In float64 what is left after fourteen steps is far below anything
that a wrong count, share or order would leave, which the tests take for the tolerance.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import medground
from medground.data.sample import Sample
from medground.schema.errors import UsageError
from medground.training import step as step_module
from medground.training.batch import Batch
from medground.training.checkpoint import Checkpoint, load_checkpoint
from medground.training.finite import check_losses
from medground.training.processes import Processes
from medground.training.recipe import Recipe
from medground.training.trainer import Trainer, recipe_digest
from tests.training.four_stages import (
    DENSE,
    HARD,
    JOINT,
    QUESTIONS,
    RESTORATION,
    logged,
    recipe_of,
    trainer_of,
    uneven_pools,
)

STAGES = (RESTORATION, DENSE, JOINT, QUESTIONS, HARD)
NAMES = [stage.name for stage in STAGES]
SECONDS = 1200
pytestmark = pytest.mark.slow


def slow_recipe() -> Recipe:
    """Small and few steps: differences must not grow into other assignments."""
    steps = {RESTORATION.name: 2, DENSE.name: 2, JOINT.name: 3, QUESTIONS.name: 3, HARD.name: 4}
    shown = {QUESTIONS.name: 2}  # noised copies of each box, drawn alike whoever holds the image
    changes = (
        {"learning_rate": 1e-4, "steps": steps[stage.name], "denoising": shown.get(stage.name, 0)} for stage in STAGES
    )
    return recipe_of(*(stage.model_copy(update=change) for stage, change in zip(STAGES, changes, strict=True)))


@contextmanager
def in_float64() -> Iterator[None]:
    """New parameters and all images are float64; every matched location becomes a prototype row."""
    of = Batch.of

    def doubled(samples: Sequence[Sample]) -> Batch:
        return of([replace(one, image_CHW=one.image_CHW.double(), boxes_G4=one.boxes_G4.double()) for one in samples])

    torch.set_default_dtype(torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batch, "of", doubled)
        patch.setattr(step_module, "LEAST_QUALITY", 0.0)  # nothing is good after so few steps
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


def train(folder: Path, processes: Processes) -> None:
    """Each stage in turn; the first process leaves the checkpoint that each ends with, all leave their weights."""
    folder.mkdir(exist_ok=True)
    with in_float64():
        stages_in_turn(folder, processes)


def stages_in_turn(folder: Path, processes: Processes) -> None:
    """See `train`."""
    trainer = trainer_of(folder, slow_recipe(), uneven_pools(), processes=processes)
    trainer.network.double()
    keep(trainer, folder / f"start {processes.rank}.safetensors")
    for number, name in enumerate(NAMES, 1):
        trainer.run(resume=True, stage=number)
        processes.barrier()
        if processes.is_first:
            shutil.copy(trainer.checkpoint, folder / f"{name}.safetensors")
        keep(trainer, folder / f"{name} {processes.rank}.safetensors")
        processes.barrier()
    rows = logged(trainer)
    (folder / f"rows {processes.rank}.json").write_text(json.dumps(rows), encoding="utf-8")


def keep(trainer: Trainer, path: Path) -> None:
    """Writes the weights."""
    save_file({name: value.contiguous() for name, value in trainer.network.learned_state().items()}, path)


def one_of_several(folder: Path) -> None:
    """What each process that torchrun starts does and leaves in the folder."""
    torch.set_num_threads(1)
    processes = Processes.start(device="cpu")
    train(folder, processes)
    (folder / f"stopped {processes.rank}.txt").write_text(stopped(processes), encoding="utf-8")
    processes.end()


def stopped(processes: Processes) -> str:
    """What a process says of losses one of which is no number, but in the second process alone."""
    losses = {"score": torch.tensor(1.0), "giou": torch.tensor(math.nan if processes.rank == 1 else 1.0)}
    try:
        check_losses(losses, DENSE, 4, processes)
    except UsageError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process left, and what two left."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    launch = ["-m", "torch.distributed.run", "--standalone", "--local_addr", "127.0.0.1", "--nproc_per_node", "2"]
    home = str(Path(medground.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": home, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, *launch, __file__, str(together)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            train(alone, Processes.single())
            said, _ = process.communicate(timeout=SECONDS)
        except BaseException:
            process.terminate()  # torchrun then ends the processes that it started
            raise
    assert process.returncode == 0, said.decode()[-3000:]
    return alone, together


def checkpoints(folders: tuple[Path, Path], name: str) -> list[Checkpoint]:
    """The checkpoint that the stage ended with, of one process and of two."""
    digest = recipe_digest(slow_recipe())
    return [load_checkpoint(folder / f"{name}.safetensors", digest) for folder in folders]


def apart(one: dict[str, Tensor], two: dict[str, Tensor]) -> float:
    """Euclidean distance of all numbers that AdamW makes.

    The bias of the last score convolution is left out: a norm follows, so its gradient is zero in training. EWC asks
    for it all the same, as the norm stands still there, and AdamW makes steps of what is rounding in both.
    """
    names = [
        name for name in one if one[name].is_floating_point() and not counted(name) and name != "dense.score.2.bias"
    ]
    return math.sqrt(sum(float((one[name] - two[name]).square().sum()) for name in names))


def counted(name: str) -> bool:
    """Whether a name is of prototypes or statistics of a norm."""
    return name.startswith("prototypes.") or "running_" in name


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_end_each_stage_with_the_weights_of_one(folders: tuple[Path, Path], name: str) -> None:
    before = NAMES[NAMES.index(name) - 1] if name != NAMES[0] else "start"
    start = load_file(folders[0] / f"{before} 0.safetensors")
    one, two = checkpoints(folders, name)
    assert one.progress == two.progress
    for mine, other in ((one.weights, two.weights), (one.average, two.average)):
        assert mine.keys() == other.keys()
        moved = apart(start, mine)
        assert moved > 1e-2
        assert apart(mine, other) < 1e-6 * moved
        for key in filter(counted, mine):
            torch.testing.assert_close(other[key], mine[key], rtol=1e-5, atol=1e-6, msg=key)
    if name == DENSE.name:
        assert float(one.weights["prototypes.weight_CK"].sum()) > 0
    if name == JOINT.name:
        assert one.extra.keys() == two.extra.keys()
        for key, value in one.extra.items():  # the anchor
            torch.testing.assert_close(two.extra[key], value, rtol=1e-5, atol=1e-6, msg=key)


def test_they_mine_the_same_samples(folders: tuple[Path, Path]) -> None:
    one, two = (dict(json.loads(found.note)) for found in checkpoints(folders, HARD.name))
    assert len(one) > 1
    assert one.keys() == two.keys()
    assert two == pytest.approx(one, rel=1e-5)


def test_both_processes_hold_the_same_bits_and_log_the_numbers_of_one(folders: tuple[Path, Path]) -> None:
    for name in NAMES:
        first, second = (load_file(folders[1] / f"{name} {rank}.safetensors") for rank in range(2))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), name
    alone, *both = (
        json.loads((folder / f"rows {rank}.json").read_text(encoding="utf-8"))
        for folder, rank in ((folders[0], 0), (folders[1], 0), (folders[1], 1))
    )
    for rows in both:
        assert [step for step, _ in rows] == [step for step, _ in alone]
        for (_, row), (_, expected) in zip(rows, alone, strict=True):
            assert row == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_a_loss_that_is_no_number_in_one_process_stops_both(folders: tuple[Path, Path]) -> None:
    said = [(folders[1] / f"stopped {rank}.txt").read_text(encoding="utf-8") for rank in range(2)]
    assert said[0] == said[1]
    assert said[0].startswith("stage 'dense', step 5: losses that are not finite: giou;")


@pytest.mark.parametrize("name", [JOINT.name, QUESTIONS.name])
def test_a_process_was_left_with_nothing_to_ask(tmp_path: Path, name: str) -> None:
    """The case that would leave processes waiting for each other did come up."""
    trainer = trainer_of(tmp_path, slow_recipe(), uneven_pools())
    dataset = trainer.batches.dataset(NAMES.index(name), ())
    asked = [bool(dataset[number].exhaustive_C.any()) for number in range(len(dataset))]
    halves = [(any(asked[first : first + 2]), asked[first + 2]) for first in range(0, len(asked), 3)]
    assert any(one != two for one, two in halves)


if __name__ == "__main__":
    one_of_several(Path(sys.argv[1]))
    os._exit(0)  # all is written and parted: gloo's threads can abort an interpreter that takes itself apart under load
