"""The three ways of looking, measured on a few films with the shipped bundle."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from medground.evaluation.scene import ENDING, load_scene
from medground.inference.request import Looking
from medground.model.bundle import Bundle
from medground.model.bundle_write import save_bundle
from medground.model.grounder import Grounder
from medground.schema.errors import UsageError
from pipelines.closer import SMALL, _folds_of, main, phantoms
from pipelines.fit import LIMB_NAME
from tests.full_disk import no_file_longer_than
from tests.model.shapes import trained_bundle


def test_phantoms_are_files_with_their_truth_while_their_turn_lasts(tmp_path: Path) -> None:
    seen = []
    for path, record in phantoms(4, 256, tmp_path):
        assert path.is_file()
        assert (record.columns, record.rows) == (256, 256)
        assert record.exhaustive_for == set(SMALL)
        assert {region.concept for region in record.regions} <= set(SMALL)
        seen.append((path, len(record.regions)))
    assert not any(path.exists() for path, _ in seen)
    assert len({count for _, count in seen}) > 1


@pytest.mark.parametrize("size", [1024])
def test_every_way_reads_the_same_films(tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sizes", str(size), "--count", "3", "--out", str(tmp_path), "--threads", "1"]) == 0
    text = capsys.readouterr().out
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert {"once", "closer", "all"} <= set(rows)
    assert rows["all"].split("|")[2].strip() == "1.0"
    assert rows["all"].split("|")[4].strip() == "100.0%"
    assert rows["once"].split("|")[4].strip() == "0.0%"
    scenes = [load_scene(path) for path in sorted(tmp_path.glob(f"*{ENDING}"))]
    assert len(scenes) == len(Looking)
    assert len({tuple((i.image_id, i.truths) for i in scene.images) for scene in scenes}) == 1
    assert (tmp_path / "phantom.md").read_text(encoding="utf-8") == text.rstrip("\n") + "\n"


def test_what_cannot_be_written_is_told_and_nothing_is_half_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    job = ["--sizes", "256", "--count", "1", "--threads", "1", "--out", str(tmp_path / "out")]
    with no_file_longer_than(100_000):
        assert main(job) == 2
    assert re.search(r"error: .*scratch.* cannot be written \(File too large\)", capsys.readouterr().err)
    assert list((tmp_path / "out").iterdir()) == list(scratch.iterdir()) == []
    (tmp_path / "out" / "phantom.md").mkdir()
    assert main(job) == 2
    said = capsys.readouterr()
    assert re.search(r"error: .*phantom.md cannot be written \(Is a directory\)", said.err)
    assert said.out == ""
    assert len([load_scene(path) for path in (tmp_path / "out").glob("*") if path.name != "phantom.md"]) == len(Looking)
    (tmp_path / "file").write_bytes(b"")
    assert main([*job[:-1], str(tmp_path / "file")]) == 2
    assert "file cannot be written (File exists)" in capsys.readouterr().err


def test_without_large_films_there_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untrained = tmp_path / "bundle"
    save_bundle(trained_bundle(), untrained)
    job = ["--set", "fracatlas", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--threads", "1"]
    assert main([*job, "--bundle", str(untrained)]) == 2
    assert "no large limb film" in capsys.readouterr().err
    assert main(job) == 2  # the shipped bundle learned from such films
    assert "--large-fold" in capsys.readouterr().err


def test_each_limb_film_is_read_by_the_model_that_never_saw_it(tmp_path: Path) -> None:
    bundle = trained_bundle()
    parts = {name: getattr(bundle, name) for name in Bundle.__slots__}
    saw = bundle.info.model_copy(update={"trained_on": (LIMB_NAME,)})
    folds = [
        Grounder(Bundle(**{**parts, "info": saw, "summary": {"held_out": {"large_fold": fold}}})) for fold in (2, 0, 1)
    ]
    assert [_folds_of(grounder) for grounder in folds] == [[2], [0], [1]]
    assert _folds_of(Grounder(bundle)) == [0, 1, 2]
    with pytest.raises(UsageError, match="learned from all of these films"):
        _folds_of(Grounder(Bundle(**{**parts, "info": saw, "summary": {"held_out": {"large_fold": None}}})))
