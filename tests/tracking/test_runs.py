from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from medground.schema.errors import UsageError
from medground.tracking.figures import Figure
from medground.tracking.runs import DatasetVersion, open_run
from medground.tracking.staged_log import StagedLog
from medground.tracking.store import open_store, store_uri
from tests.full_disk import no_file_longer_than

HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute(f"BEGIN {sys.argv[2]}")
print("held", flush=True)
sys.stdin.read()
"""


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


def test_a_store_that_fails_is_said_once_for_a_run_and_its_children_together(home):
    said: list[str] = []
    with open_run(home, "exp", "first", say=said.append) as run:
        with run.child("stage align", kind="stage") as child:
            assert child.is_whole
            with no_file_longer_than(0):
                child.metrics({"x": 1.0})
            assert not child.is_whole
            child.metrics({"x": 2.0})  # there is room again
        with no_file_longer_than(0):
            run.metrics({"x": 3.0})
    assert said == ["MLflow cannot be written to (disk I/O error); going on without it"]
    (kept,) = children(home, run.run_id).values()
    assert (kept.data.metrics, kept.info.status) == ({"x": 2.0}, "FINISHED")


def test_what_a_child_is_given_that_could_not_be_opened_is_not_taken_for_its_parents(home):
    said: list[str] = []
    with open_run(home, "exp", "first", say=said.append) as run, ExitStack() as held:
        with no_file_longer_than(0):
            child = held.enter_context(run.child("evaluation chest", kind="evaluation"))
        child.metrics({"x": 1.0})
        held.close()
        assert (child.run_id, child.is_whole) == ("", False)
        assert client(home).get_run(run.run_id).info.status == "RUNNING"
    assert client(home).get_run(run.run_id).data.metrics == {}
    assert children(home, run.run_id) == {}
    assert len(said) == 1


def trained(home, notes, said) -> str:
    """A training that writes all it has to write; the id of its run."""
    with open_run(home, "exp", "first", notes=notes, say=said.append) as run:
        with StagedLog(run, [("align", 2), ("open", 2)]) as log:
            for step in (1, 2, 3, 4):
                log.metrics({"x": float(step)}, step)
        run.parameters({"a": 1})
        run.tags({"b": "c"})
    return run.run_id


def test_a_store_that_is_full_when_a_run_is_opened_is_said_once_and_stops_nothing(home, tmp_path):
    notes, said = tmp_path / "notes.json", list[str]()
    _, experiment = open_store(home, "exp")
    with no_file_longer_than(0):
        assert trained(home, notes, said) == ""
    assert said == ["MLflow cannot be written to (disk I/O error); going on without it"]
    assert not notes.exists()
    assert client(home).search_runs([experiment]) == []
    run_id = trained(home, notes, said)  # once there is room
    assert set(children(home, run_id)) == {"stage align", "stage open"}
    assert len(said) == 1


def test_a_known_run_is_gone_on_with_once_there_is_room(home, tmp_path):
    notes, said = tmp_path / "notes.json", list[str]()
    known = trained(home, notes, said)
    before = notes.read_bytes()
    with no_file_longer_than(0):
        trained(home, notes, said)
    assert len(said) == 1
    assert notes.read_bytes() == before
    assert trained(home, notes, said) == known


@contextmanager
def held_by_another(home, how):
    """The store locked by another process: IMMEDIATE against writers, EXCLUSIVE against readers too."""
    command = [sys.executable, "-c", HOLD, str(home / "mlflow.db"), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.stdin.close()


@pytest.mark.slow  # MLflow waits 20 s for a lock
@pytest.mark.parametrize(("how", "known"), [("IMMEDIATE", False), ("EXCLUSIVE", True)])
def test_a_store_that_another_holds_when_a_run_is_opened_is_said_once_and_stops_nothing(home, tmp_path, how, known):
    notes, said = tmp_path / "notes.json", list[str]()
    open_store(home, "exp")
    run_id = trained(home, notes, said) if known else ""
    with held_by_another(home, how):
        assert trained(home, notes, said) == ""
    assert said == ["MLflow cannot be written to (database is locked); going on without it"]
    again = trained(home, notes, said)
    assert not known or again == run_id  # it is not taken for lost
    assert client(home).get_run(again).info.status == "FINISHED"
    assert len(said) == 1


def test_notes_that_do_not_fit_on_the_disk_are_said_once_and_mlflow_goes_on(home, tmp_path):
    notes, said = tmp_path / "notes.json", list[str]()
    notes.write_text(json.dumps({"evaluation chest": "0" * 32}))
    before = notes.read_bytes()
    (tmp_path / "notes.json.part").symlink_to("/dev/full")
    with open_run(home, "exp", "first", notes=notes, say=said.append) as run:
        assert notes.read_bytes() == before
        (line,) = said
        assert "notes.json cannot be kept (No space left on device)" in line
        with run.child("stage align", kind="stage") as child:  # there is room again
            pass
    assert len(said) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"notes.json", "mlruns"}
    assert json.loads(notes.read_text()) == {
        "evaluation chest": "0" * 32,
        "run": run.run_id,
        "stage align": child.run_id,
    }


def test_a_place_where_no_notes_can_be_is_said_once_and_mlflow_goes_on(home, tmp_path):
    said: list[str] = []
    (tmp_path / "notes.json").mkdir()
    run_id = trained(home, tmp_path / "notes.json", said)
    (line,) = said
    assert "notes.json cannot be kept (Is a directory)" in line
    assert client(home).get_run(run_id).data.params == {"a": "1"}
    assert {run.info.status for run in children(home, run_id).values()} == {"FINISHED"}
    assert {path.name for path in tmp_path.iterdir()} == {"notes.json", "mlruns"}


def test_a_wrong_name_is_an_error_of_the_program(home):
    with open_run(home, "exp", "first") as run, pytest.raises(MlflowException):
        run.metrics({"what?": 1.0})


def test_a_run_that_may_not_be_made_is_an_error_of_the_program(home):
    store, experiment = open_store(home, "exp")
    with open_run(home, "exp", "first") as run:
        store.delete_experiment(experiment)
        with pytest.raises(MlflowException, match="must be in the 'active' state"), run.child("a", kind="stage"):
            pass
        store.restore_experiment(experiment)
    store.delete_experiment(experiment)
    with pytest.raises(MlflowException, match="must be in the 'active' state"), open_run(home, "exp", "second"):
        pass


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
