from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medground.data.dataset import Pool
from medground.schema.errors import UsageError
from medground.training import trainer as trainer_module
from medground.training.batches import StageBatches, on_cpu
from medground.training.miner import Hard, MinerConfig, Mistake, ReplayPool
from medground.training.processes import Processes
from tests.training.four_stages import HARD, logged, recipe_of, trainer_of

pytestmark = pytest.mark.usefixtures("one_thread")


def replay_of(count: int) -> ReplayPool:
    replay = ReplayPool(64)
    replay.update([], [Hard(number, Mistake.CONFIDENT, 0, 0.5) for number in range(count)])
    return replay


@pytest.mark.parametrize(
    ("wanted", "held", "images"), [(32, 7, None), (32, 8, 8), (32, 20, 20), (32, 40, 32), (5, 4, None), (5, 9, 5)]
)
def test_a_mined_step_has_what_the_pool_holds_from_eight_to_what_is_asked_for(
    pools: list[Pool], wanted: int, held: int, images: int | None
) -> None:
    recipe = recipe_of(HARD.model_copy(update={"miner": MinerConfig(every=2, batch=wanted)}))
    batches = StageBatches(recipe, pools, Processes.single())
    (_, _, fresh), (batch, numbers, place) = batches.of_stage(0, 0, 2, replay_of(held))
    assert (fresh.mined, fresh.images) == (False, recipe.batch)
    assert place.mined == (images is not None)
    assert len(batch.boxes) == len(numbers) == len(set(numbers)) == place.images == (images or recipe.batch)
    assert len(batch.opposite_B23) == place.images
    drawn = replay_of(held).draw(wanted, np.random.default_rng((recipe.seed, 0, 1, 1)))
    assert numbers == (drawn if place.mined else [3, 4, 5])


def test_the_mined_steps_of_a_stage_are_counted(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step was mined if it was one's turn and the pool, as logged after the step before, held enough."""
    stage = HARD.model_copy(update={"steps": 8})
    monkeypatch.setattr(trainer_module, "LOG_EVERY", 1)
    each = trainer_of(tmp_path / "each", recipe_of(stage), pools)
    each.run(resume=False)
    rows = [row for _, row in logged(each)]
    before = [0.0, *(row["mined/pool"] for row in rows)]
    mined = [float((step + 1) % 2 == 0 and before[step] >= 3) for step in range(8)]
    assert [row["mined/steps"] for row in rows] == mined
    assert 0 < sum(mined) < 8
    monkeypatch.setattr(trainer_module, "LOG_EVERY", 6)
    some = trainer_of(tmp_path / "some", recipe_of(stage), pools)
    some.run(resume=False)
    assert [(step, row["mined/steps"]) for step, row in logged(some)] == [(6, sum(mined[:6])), (8, sum(mined[6:]))]


@pytest.mark.parametrize("processes", [8, 9])
def test_as_many_processes_as_are_let_in_can_share_every_mined_batch(pools: list[Pool], processes: int) -> None:
    """Nine cannot, which is why the opening refuses them."""
    stage = HARD.model_copy(update={"miner": MinerConfig(every=2)})
    recipe = recipe_of(stage).model_copy(update={"batch": 16})
    last = Processes(processes - 1, processes, Processes.single().device, "no")
    steps = StageBatches(recipe, pools, last).of_stage(0, 0, 2, replay_of(8))
    next(steps)
    if processes > 8:
        with pytest.raises(UsageError, match="a batch of 8 cannot be shared by 9 processes"):
            next(steps)
    else:
        _, numbers, place = next(steps)
        assert (len(numbers), place.positions) == (1, range(7, 8))


def test_batches_lie_on_the_cpu_while_new_tensors_lie_elsewhere(pools: list[Pool]) -> None:
    """As in a training on a GPU, whose default device is the GPU; `meta` is a device that every machine has."""
    recipe = recipe_of(HARD.model_copy(update={"miner": MinerConfig(every=2, batch=5)}))
    usual = list(StageBatches(recipe, pools, Processes.single()).of_stage(0, 0, 2, replay_of(9)))
    with torch.device("meta"):
        drawn = []
        for item in StageBatches(recipe, pools, Processes.single()).of_stage(0, 0, 2, replay_of(9)):
            assert torch.ones(1).device.type == "meta"
            drawn.append(item)
        samples = list(on_cpu(StageBatches(recipe, pools, Processes.single()).dataset(0, ())[n] for n in range(3)))
        assert torch.ones(1).device.type == "meta"
    assert [place.mined for *_, place in drawn] == [False, True]
    for (batch, numbers, _), (same, wanted, _) in zip(drawn, usual, strict=True):
        assert numbers == wanted
        assert torch.equal(batch.images_BCHW, same.images_BCHW)
        assert all(map(torch.equal, batch.boxes, same.boxes))
        assert torch.equal(batch.exhaustive_BC, same.exhaustive_BC)
    assert all(sample.boxes_G4.device.type == sample.image_CHW.device.type == "cpu" for sample in samples)
