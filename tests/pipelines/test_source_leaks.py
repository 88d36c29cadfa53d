"""Leaks planted in a small data set on the disk, through the door that every training comes in by."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from medground.data.splits import DEV, TRAIN, VALID
from medground.schema.errors import LeakError
from medground.tracking.store import open_store
from pipelines.recipes import RECIPES, recipe
from pipelines.recipes.compact import tiny
from pipelines.sets import training_set
from pipelines.sources import LIMB, Sources, load_sources
from pipelines.train import main
from tests.pipelines.published_limbs import TEST, fracatlas


def same_file(source: Path, target: Path) -> None:
    shutil.copy(source, target)


def saved_again(source: Path, target: Path) -> None:
    with Image.open(source) as picture:
        picture.save(target, quality=60)


def smaller(source: Path, target: Path) -> None:
    with Image.open(source) as picture:
        picture.resize((108, 144)).resize((120, 160)).save(target)


COPIES = [same_file, saved_again, smaller]


def names(sources: Sources) -> dict[str, set[str]]:
    return {part: {record.record_id for record in own} for part, own in sources.limb.items()}


def load(folder: Path) -> Sources:
    return load_sources(folder / "data", only=(LIMB,), cache=folder / "cache")


def test_a_set_without_leaks_comes_through_whole(tmp_path: Path) -> None:
    fracatlas(tmp_path / "data", {})
    found = names(load(tmp_path))
    assert found == {TRAIN: {"t0", "t1", "t2"}, DEV: {"t9"}, VALID: {"v0", "v1"}, TEST: {"x0", "x1"}}


@pytest.mark.parametrize("copy", COPIES)
def test_a_leak_between_parts_that_nobody_is_to_be_dropped_from_is_refused(
    tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    fracatlas(tmp_path / "data", {"copy": ("t0", TEST, copy)})
    with pytest.raises(LeakError) as refused:
        load(tmp_path)
    assert "t0" in str(refused.value)
    assert "copy" in str(refused.value)


@pytest.mark.parametrize("copy", COPIES)
def test_what_copies_a_measured_film_is_dropped(tmp_path: Path, copy: Callable[[Path, Path], None]) -> None:
    fracatlas(tmp_path / "data", {"of valid": ("v0", TRAIN, copy), "of dev": ("t9", TEST, copy)})
    # Parts that are measured on stay whole; without the copies the others are as they were.
    assert names(load(tmp_path)) == {TRAIN: {"t0", "t1", "t2"}, DEV: {"t9"}, VALID: {"v0", "v1"}, TEST: {"x0", "x1"}}


def test_what_is_dropped_is_counted_by_part_and_some_of_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copies = {f"c{n}": ("v0", TRAIN, same_file) for n in range(4)}
    fracatlas(tmp_path / "data", {**copies, "of v1": ("v1", TEST, saved_again), "of dev": ("t9", TEST, same_file)})
    load(tmp_path)
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert sorted(lines) == [
        "fracatlas: 1 of 3 images of test left out, since they show a film or a patient of dev: of dev",
        "fracatlas: 1 of 4 images of test left out, since they show a film or a patient of valid: of v1",
        "fracatlas: 4 of 7 images of train left out, since they show a film or a patient of valid: c0, c1, c2, ...",
    ]


def test_nothing_is_said_where_nothing_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fracatlas(tmp_path / "data", {})
    load(tmp_path)
    assert "left out" not in capsys.readouterr().err


def test_the_development_part_is_the_share_that_the_recipe_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fracatlas(tmp_path / "data", {})
    films = {"t0", "t1", "t2", "t9"}
    for share, dev in ((0.0, set()), (0.15, {"t9"}), (1.0, films)):
        found = names(load_sources(tmp_path / "data", only=(LIMB,), development_fraction=share))
        assert (found[DEV], found[TRAIN]) == (dev, films - dev)
    capsys.readouterr()
    chosen = tiny()
    mix = chosen.mix.model_copy(update={"keep_boxes": {"fracture": 1}})  # which ends the job after the split
    monkeypatch.setitem(RECIPES, "tiny", lambda: chosen.model_copy(update={"development_fraction": 1.0, "mix": mix}))
    job = ["--recipe", "tiny", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "work"), "--threads", "1"]
    assert main([*job, "--mlruns", str(tmp_path / "mlruns")]) == 2
    assert "fracatlas: 8 images (0 issues); train 0, valid 2, dev 4, test 2" in capsys.readouterr().err
    limbs = recipe("limb-tuned").model_copy(update={"development_fraction": 0.0})
    monkeypatch.setitem(RECIPES, "limb-tuned", lambda: limbs)
    assert training_set(LIMB, tmp_path / "data").dev == ()


def test_leaks_end_the_job_before_anything_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fracatlas(tmp_path / "data", {"copy": ("t0", TEST, saved_again)})
    command = ["--recipe", "limb", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "work")]
    assert main([*command, "--mlruns", str(tmp_path / "mlruns"), "--threads", "1"]) == LeakError.exit_code == 2
    said = capsys.readouterr().err
    assert "error: " in said
    assert "t0" in said
    assert {path.name for path in (tmp_path / "work").iterdir()} == {".lock", "mlflow_runs.json"}
    client, experiment = open_store(tmp_path / "mlruns", "medground")
    (run,) = client.search_runs([experiment])
    assert (run.info.status, dict(run.data.metrics), dict(run.data.params)) == ("FAILED", {}, {})
