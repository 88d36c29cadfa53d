"""The whole job at its smallest: no real data, a few steps of each stage, a bundle that answers."""

from __future__ import annotations

import json

import pytest

from medground.model.bundle import read_bundle
from medground.schema.errors import UsageError
from medground.tracking.store import open_store
from medground.training.checkpoint import read_origin
from pipelines.start import CHECKPOINT
from pipelines.train import alone, main, write_outcome
from tests.full_disk import no_file_longer_than
from tests.model.shapes import trained_bundle


@pytest.mark.slow
def test_a_training_stopped_between_stages_goes_on_to_its_bundle_and_its_runs(tmp_path):
    common = ["--recipe", "tiny", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "work")]
    common += ["--mlruns", str(tmp_path / "mlruns"), "--threads", "1"]
    assert main([*common, "--stage", "1"]) == 0
    assert not (tmp_path / "work" / "bundle").exists()
    assert main(common) == 2  # there is a checkpoint: --resume is to be said
    assert main([*common, "--resume"]) == 0
    bundle = read_bundle(tmp_path / "work" / "bundle")
    assert bundle.info.name == "medground-tiny"
    assert bundle.network.prototypes.images_C.sum() > 0
    summary = json.loads((tmp_path / "work" / "training_summary.json").read_text())
    assert set(summary["pools"]) >= {"phantom", "slices", "other"}
    assert summary["started_from"] == ""
    assert summary["learned_before"] == []
    assert bundle.info.trained_on == ("phantom",)
    assert main([*common, "--resume", "--fold", "1"]) == 2  # it was begun without one
    sizes = {part: dict(own) for part, own in summary["development_parts"].items()}
    assert sizes["choose"] == {"chest CT, phantom": 2, "chest radiograph, phantom": 5, "other, phantom": 1}
    assert sizes["calibrate"] == {"chest CT, phantom": 2, "chest radiograph, phantom": 3, "other, phantom": 1}
    client, experiment = open_store(tmp_path / "mlruns", "medground")
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert {"tiny", "stage dense", "stage queries"} <= runs.keys()
    drawn = {name.split("/")[2] for name in runs["tiny"].data.params if name.startswith("data/")}
    assert drawn == {"phantom", "slices", "other", "close phantom"}  # no real set is there
    assert client.get_model_version_by_alias("medground-tiny", "newest").tags["manifest_sha256"] == bundle.info.sha256
    again = ["--out", str(tmp_path / "again"), "--start", str(tmp_path / "work" / "bundle")]
    assert main([*common, *again, "--stage", "1", "--resume"]) == 0  # nothing to resume yet: it starts from the bundle
    assert main([*common, "--out", str(tmp_path / "again"), "--resume"]) == 0  # what it began with is not said again
    known = json.loads((tmp_path / "again" / "training_summary.json").read_text())["started_from"]
    assert known == f"medground-tiny 0.0.0 ({bundle.info.sha256[:12]})"
    assert read_origin(tmp_path / "again" / CHECKPOINT).start.sha256 == bundle.info.sha256
    assert read_bundle(tmp_path / "again" / "bundle").summary["learned_before"] == ["phantom"]


def test_a_stage_that_does_not_exist_is_refused(tmp_path, capsys):
    common = ["--recipe", "tiny", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "work")]
    assert main([*common, "--mlruns", str(tmp_path / "mlruns"), "--stage", "9"]) == 2
    assert "has stages 1 to 2" in capsys.readouterr().err


def test_two_trainings_do_not_share_a_folder(tmp_path, capsys):
    common = ["--recipe", "tiny", "--data", str(tmp_path / "none"), "--out", str(tmp_path), "--stage", "9"]
    with alone(tmp_path):
        assert main([*common, "--mlruns", str(tmp_path / "mlruns")]) == 2
    assert "another training works in" in capsys.readouterr().err
    main([*common, "--mlruns", str(tmp_path / "mlruns")])
    assert "another training" not in capsys.readouterr().err


def test_the_bundle_comes_last_and_never_without_the_summary(tmp_path):
    """Whoever finds a bundle takes the training for done."""
    bundle, out = trained_bundle(10), tmp_path / "out"
    out.mkdir()
    with no_file_longer_than(10), pytest.raises(UsageError, match=r"training_summary.json cannot be written"):
        write_outcome(bundle, out, out / "bundle")
    assert list(out.iterdir()) == []
    write_outcome(bundle, out, out / "bundle")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert json.loads(before[out / "training_summary.json"]) == bundle.summary
    assert read_bundle(out / "bundle").summary == bundle.summary
    with no_file_longer_than(10), pytest.raises(UsageError, match="make room"):
        write_outcome(bundle, out, out / "bundle")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_work_folder_that_cannot_be_made_is_told(tmp_path, capsys):
    (tmp_path / "work").write_bytes(b"")
    assert main(["--recipe", "tiny", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "work")]) == 2
    assert "work cannot be written (File exists)" in capsys.readouterr().err
