from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from medground.schema.errors import UsageError
from medground.tracking.figures import Figure
from medground.tracking.runs import DatasetVersion, open_run
from medground.tracking.staged_log import StagedLog
from medground.tracking.store import open_store, store_uri


def client(home) -> MlflowClient:
    return MlflowClient(store_uri(home))


def children(home, run_id) -> dict[str, object]:
    experiment = client(home).get_run(run_id).info.experiment_id
    found = client(home).search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return {run.info.run_name: run for run in found}


def test_numbers_parameters_data_sets_and_files_are_there_afterwards(home, tmp_path):
    artifact = tmp_path / "figure.txt"
    artifact.write_text("seen")
    version = DatasetVersion("fracatlas/train", "ab" * 32, {"images": 919, "boxes": 613})
    with open_run(home, "exp", "first") as run:
        run.parameters({"steps": 5, "long": "x" * 9000, **{f"p{n}": n for n in range(130)}})
        run.metrics({f"loss/{n}": n for n in range(1200)}, step=3)
        run.figures([Figure(name="ap50/nodule", value=0.5, low=0.25, high=0.75, n=12)])
        run.datasets([version], "training")
        run.artifact(artifact, "plots")
    kept = client(home).get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params["steps"] == "5"
    assert len(kept.data.params["long"]) == 5000
    assert kept.data.params["p129"] == "129"
    assert kept.data.params["data/fracatlas/train/sha256"] == "ab" * 32
    assert kept.data.params["data/fracatlas/train/images"] == "919"
    assert [kept.data.metrics[f"loss/{n}"] for n in range(1200)] == list(range(1200))
    assert {k: v for k, v in kept.data.metrics.items() if k.startswith("ap50")} == {
        "ap50/nodule": 0.5,
        "ap50/nodule/low": 0.25,
        "ap50/nodule/high": 0.75,
        "ap50/nodule/n": 12.0,
    }
    (used,) = kept.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == (version.name, version.sha256[:36])
    assert json.loads(used.dataset.profile) == version.counts
    assert [f.path for f in client(home).list_artifacts(run.run_id, "plots")] == ["plots/figure.txt"]


def stop_in_a_stage(run) -> None:
    run.parameters({"threads": 2, "seed": 1})
    with StagedLog(run, [("align", 5)]) as log:
        log.metrics({"x": 1.0}, 1)
        raise RuntimeError("stop")


def test_a_failed_training_is_gone_on_with_in_the_same_runs(home, tmp_path):
    notes = tmp_path / "runs.json"
    with pytest.raises(RuntimeError, match="stop"), open_run(home, "exp", "first", notes=notes) as run:
        stop_in_a_stage(run)
    (child,) = children(home, run.run_id).values()
    assert [client(home).get_run(each).info.status for each in (run.run_id, child.info.run_id)] == ["FAILED"] * 2
    with open_run(home, "exp", "first", notes=notes) as again, StagedLog(again, [("align", 5)]) as log:
        assert client(home).get_run(run.run_id).info.status == "RUNNING"
        again.parameters({"threads": 1, "seed": 1})
        log.metrics({"x": 2.0}, 2)
    assert again.run_id == run.run_id
    (same,) = children(home, run.run_id).values()
    assert (same.info.run_id, same.info.status) == (child.info.run_id, "FINISHED")
    assert [m.value for m in client(home).get_metric_history(same.info.run_id, "x")] == [1.0, 2.0]
    kept = client(home).get_run(run.run_id).data
    assert kept.params == {"threads": "2", "seed": "1"}
    assert kept.tags["changed.threads"] == "1"
    assert "changed.seed" not in kept.tags


def test_a_lost_store_starts_a_new_run_that_says_so(home, tmp_path):
    said: list[str] = []
    notes = tmp_path / "runs.json"
    notes.write_text(json.dumps({"run": "0" * 32, "stage align": "1" * 32}))
    with (
        open_run(home, "exp", "first", notes=notes, say=said.append) as run,
        StagedLog(run, [("align", 5)]) as log,
    ):
        log.metrics({"x": 1.0}, 1)
    assert run.run_id != "0" * 32
    assert client(home).get_run(run.run_id).data.tags["medground.goes_on_from_lost_run"] == "0" * 32
    (line,) = said
    assert re.search("does not hold run 0{32}; going on in a new run", line)
    (child,) = children(home, run.run_id).values()
    assert json.loads(notes.read_text()) == {"run": run.run_id, "stage align": child.info.run_id}


def test_notes_cut_short_start_a_new_run(home, tmp_path):
    notes = tmp_path / "runs.json"
    notes.write_text('{"run": "')
    with open_run(home, "exp", "first", notes=notes) as run:
        pass
    assert json.loads(notes.read_text()) == {"run": run.run_id}


def test_a_store_lost_while_training_is_said_once_and_stops_nothing(home):
    said: list[str] = []
    with open_run(home, "exp", "first", say=said.append) as run:
        run.metrics({"x": 1.0})
        (home / "mlflow.db").unlink()
        run.metrics({"x": 2.0})
        run.parameters({"a": 1})
        with run.child("evaluation chest", kind="evaluation") as child:
            child.metrics({"x": 3.0})
    (line,) = said
    assert line.startswith("MLflow cannot be written to (")


def test_a_wrong_name_is_an_error_of_the_program(home):
    with open_run(home, "exp", "first") as run, pytest.raises(MlflowException):
        run.metrics({"what?": 1.0})


def test_a_damaged_store_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database " * 100)
    with pytest.raises(UsageError, match=r"file is not a database.*move it away"):
        open_store(tmp_path, "exp")


def test_a_bundle_is_registered_once_and_its_alias_moves(home, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    registry = MlflowClient(store_uri(home), registry_uri=store_uri(home))
    (bundle / "manifest.json").write_text("one")
    with open_run(home, "exp", "first") as run:
        run.register(bundle, "medground-compact", "newest")
        run.register(bundle, "medground-compact", "shipped")
        (bundle / "manifest.json").write_text("two")
        run.register(bundle, "medground-compact", "newest")
    versions = registry.search_model_versions("name = 'medground-compact'")
    assert sorted(int(v.version) for v in versions) == [1, 2]
    by_alias = {a: registry.get_model_version_by_alias("medground-compact", a) for a in ("newest", "shipped")}
    assert {alias: int(version.version) for alias, version in by_alias.items()} == {"newest": 2, "shipped": 1}
    assert by_alias["newest"].run_id == run.run_id
    texts = {a: (Path(version.source) / "manifest.json").read_text() for a, version in by_alias.items()}
    assert texts == {"newest": "two", "shipped": "one"}
