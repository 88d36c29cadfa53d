from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from medground.data.dataset import Pool
from medground.schema.errors import CheckpointError, DataSetError, UsageError
from medground.training import trainer as trainer_module
from medground.training.checkpoint import load_checkpoint, read_origin
from medground.training.origin import Origin
from medground.training.recipe import Recipe
from medground.training.trainer import Trainer
from tests.full_disk import no_file_longer_than
from tests.training.four_stages import DENSE, HARD, RESTORATION, bare, logged, recipe_of, trainer_of

MakeTrainer = Callable[..., Trainer]


pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_frozen_part_does_not_move_and_an_open_one_does(
    make_trainer: MakeTrainer, tmp_path: Path, small_recipe: Recipe
) -> None:
    dense, queries = small_recipe.stages
    trainer = make_trainer(tmp_path, small_recipe.model_copy(update={"stages": (queries,)}))
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.run(resume=False)
    after = trainer.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(name.startswith(queries.trainable) for name in moved)
    for part in ("decoder.", "region.", "backbone.describer.", "backbone.describer_region."):
        assert any(name.startswith(part) for name in moved), part
    assert not any(name.startswith(dense.trainable) for name in moved)


def test_losses_are_logged_finite_and_fall(tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "LOG_EVERY", 8)
    trainer = trainer_of(tmp_path, recipe_of(DENSE.model_copy(update={"steps": 20})), pools[:1])
    trainer.run(resume=False)
    rows = logged(trainer)
    assert [step for step, _ in rows] == [8, 16, 20]
    assert rows[2][1]["loss/kind"] < rows[1][1]["loss/kind"] < rows[0][1]["loss/kind"]
    assert all(np.isfinite(value) for _, row in rows for value in row.values())


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_stages_one_by_one_are_the_whole_and_not_out_of_turn(tmp_path: Path, pools: list[Pool]) -> None:
    recipe = recipe_of(*(stage.model_copy(update={"steps": 2}) for stage in (RESTORATION, DENSE, HARD)))
    whole = trainer_of(tmp_path / "whole", recipe, pools)
    assert whole.run(resume=False)
    part = trainer_of(tmp_path / "part", recipe, pools)
    with pytest.raises(UsageError, match=r"--stage 3 builds on stage 2.*stands in stage 1 at step 0 of 2"):
        part.run(resume=False, stage=3)
    for wrong in (0, 4, -1):
        with pytest.raises(UsageError, match=f"--stage {wrong}.*has stages 1 to 3"):
            part.run(resume=False, stage=wrong)
    assert not (tmp_path / "part").exists()
    assert part.run(resume=False, stage=1)
    with pytest.raises(UsageError, match=r"--stage 3 builds on stage 2.*stands in stage 1 at step 2 of 2"):
        trainer_of(tmp_path / "part", recipe, pools).run(resume=True, stage=3)
    assert trainer_of(tmp_path / "part", recipe, pools).run(resume=True, stage=2)
    last = trainer_of(tmp_path / "part", recipe, pools)
    assert last.run(resume=True, stage=3)
    assert same(whole.network.state_dict(), last.network.state_dict())


def test_every_checkpoint_remembers_what_the_training_began_with(tmp_path: Path, pools: list[Pool]) -> None:
    trainer = trainer_of(tmp_path, recipe_of(DENSE), pools)
    trainer.around = replace(trainer.around, origin=Origin(fold=3))
    trainer.run(resume=False, stop_after=1)
    assert read_origin(trainer.checkpoint) == Origin(fold=3)


def test_a_checkpoint_of_another_recipe_or_cut_short_is_refused_and_left_alone(
    tmp_path: Path, pools: list[Pool]
) -> None:
    recipe = recipe_of(DENSE)
    trainer_of(tmp_path, recipe, pools).run(resume=False, stop_after=1)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    with pytest.raises(CheckpointError, match="another recipe"):
        trainer_of(tmp_path, recipe.model_copy(update={"seed": 5}), pools).run(resume=True)
    assert path.read_bytes() == whole
    for size in (0, 5, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"cannot be read.*delete it"):
            trainer_of(tmp_path, recipe, pools).run(resume=True)
        assert path.read_bytes() == whole[:size]
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_ends_the_run_and_leaves_the_checkpoint_before(
    tmp_path: Path, pools: list[Pool], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(DENSE)
    whole = trainer_of(tmp_path / "whole", recipe, pools)
    whole.run(resume=False)
    monkeypatch.setattr(trainer_module, "SAVE_EVERY", 2)
    trainer = trainer_of(tmp_path / "full", recipe, pools)
    assert not trainer.run(resume=False, stop_after=2)
    # Enough for the batches, which a worker hands over in shared memory, and too little for the weights.
    with no_file_longer_than(500_000), pytest.raises(CheckpointError, match="make room and go on with --resume"):
        trainer_of(tmp_path / "full", recipe, pools).run(resume=True)
    assert load_checkpoint(trainer.checkpoint, trainer.digest).progress.step == 2
    assert [found.name for found in (tmp_path / "full").iterdir()] == ["checkpoint.safetensors"]
    again = trainer_of(tmp_path / "full", recipe, pools)
    assert again.run(resume=True)
    assert same(whole.network.state_dict(), again.network.state_dict())


@pytest.mark.parametrize(
    "box",
    [
        (float("nan"), 1.0, 5.0, 5.0),
        (1.0, 1.0, float("inf"), 5.0),
        (float("-inf"), 1.0, 4.0, 5.0),
        (5.0, 1.0, 1.0, 5.0),
        (1.0, 5.0, 5.0, 1.0),
        (1.0, 1.0, 1.0, 5.0),
    ],
)
def test_a_box_that_is_none_is_refused_by_name_before_anything_is_written(
    tmp_path: Path, pools: list[Pool], box: tuple[float, float, float, float]
) -> None:
    items = pools[0].items
    spoilt = np.concatenate([items[2].boxes_G4, np.array([box], np.float32)])
    wrong = replace(items[2], boxes_G4=spoilt, concepts=(*items[2].concepts, "nodule"))
    films = replace(pools[0], name="films", items=(*items[:2], wrong, items[3]))
    trainer = trainer_of(tmp_path / "run", recipe_of(DENSE), [pools[1], films])
    with pytest.raises(DataSetError, match=r"pool 'films', image 2: box \[.*not finite with x1 < x2"):
        trainer.run(resume=False)
    assert not (tmp_path / "run").exists()


def test_no_image_at_all_is_refused(tmp_path: Path, pools: list[Pool]) -> None:
    stage = DENSE.model_copy(update={"pools": ("films",)})
    cases = [([], DENSE), ([replace(pools[0], items=(), weights=())], DENSE), (pools, stage)]
    for given, chosen in cases:
        with pytest.raises(UsageError, match="there is no image"):
            trainer_of(tmp_path / "run", recipe_of(chosen), given).run(resume=False)
    assert not (tmp_path / "run").exists()


def named(lines: list[str]) -> list[str]:
    """The concepts that a run said no image shows."""
    start = "no image shows "
    said = [line.removeprefix(start).split(":")[0].split(", ") for line in lines if line.startswith(start)]
    return [name for names in said for name in names]


def test_a_concept_that_no_image_shows_is_named(tmp_path: Path, pools: list[Pool]) -> None:
    shown = {key for held in pools[0].items for key in held.concepts}
    lines: list[str] = []
    recipe = recipe_of(DENSE.model_copy(update={"steps": 1}))
    trainer = trainer_of(tmp_path / "one", recipe, pools, note=lines.append)
    assert trainer.run(resume=False)  # goes on
    assert named(lines) == [concept.name for concept in trainer.concepts if concept.key not in shown]
    lines.clear()
    drawn = recipe.stages[0].model_copy(update={"pools": ("bare",)})  # the other pool is not drawn from
    trainer_of(tmp_path / "two", recipe_of(drawn), pools, note=lines.append).run(resume=False)
    assert named(lines) == [concept.name for concept in trainer.concepts]
    lines.clear()
    every = replace(
        pools[0].items[0],
        boxes_G4=np.tile(np.array([[1.0, 1, 9, 9]], np.float32), (len(recipe.concepts), 1)),
        concepts=recipe.concepts,
        appearance=((),) * len(recipe.concepts),
    )
    trainer_of(tmp_path / "three", recipe, [Pool("all", 1.0, (every,), (1.0,))], note=lines.append).run(resume=False)
    assert named(lines) == []


def test_a_training_without_a_single_label_runs_through(tmp_path: Path, pools: list[Pool]) -> None:
    unlabelled = Pool("phantom", 1.0, tuple(map(bare, pools[0].items)), (1.0,) * 4)
    trainer = trainer_of(tmp_path, recipe_of(DENSE, HARD), [unlabelled])
    assert trainer.run(resume=False)
    assert all(bool(value.isfinite().all()) for value in trainer.network.state_dict().values())
    assert all(np.isfinite(value) for _, row in logged(trainer) for value in row.values())
    assert float(trainer.network.prototypes.weight_CK.sum()) == 0
    assert len(trainer.replay) == 0  # nothing proves a mistake


def test_a_network_of_other_classes_is_refused(tmp_path: Path, pools: list[Pool]) -> None:
    trainer = trainer_of(tmp_path, recipe_of(DENSE), pools)
    fewer = trainer.recipe.model_copy(update={"concepts": trainer.recipe.concepts[:-1]})
    with pytest.raises(UsageError, match="prototypes of"):
        Trainer(fewer, trainer.network, {}, pools, trainer.around)  # type: ignore[arg-type]


def test_a_stage_that_teaches_nothing_is_refused(make_trainer, small_recipe, tmp_path):
    idle = small_recipe.stages[0].model_copy(update={"dense": False})
    with pytest.raises(UsageError, match="stage 'dense' teaches nothing"):
        make_trainer(tmp_path, small_recipe.model_copy(update={"stages": (idle,)}))
