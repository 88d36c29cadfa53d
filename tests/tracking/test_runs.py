from __future__ import annotations

import pytest
from mlflow.tracking import MlflowClient

from medground.tracking.runs import open_run


def client(home) -> MlflowClient:
    return MlflowClient(f"sqlite:///{(home / 'mlflow.db').resolve()}")


def test_numbers_parameters_and_files_are_there_afterwards(tmp_path):
    artifact = tmp_path / "figure.txt"
    artifact.write_text("seen")
    with open_run(tmp_path / "runs", "exp", "first") as run:
        run.parameters({"steps": 5, "long": "x" * 9000})
        run.metrics({"loss/score": 2.0, "ap50/nodule": 0.25}, step=3)
        run.artifact(artifact)
    kept = client(tmp_path / "runs").get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.data.params["steps"] == "5"
    assert kept.data.metrics == {"loss/score": 2.0, "ap50/nodule": 0.25}
    assert [f.path for f in client(tmp_path / "runs").list_artifacts(run.run_id)] == ["figure.txt"]


def test_a_failure_is_recorded_and_the_run_can_be_gone_on_with(tmp_path):
    with pytest.raises(RuntimeError), open_run(tmp_path, "exp", "first") as run:
        raise RuntimeError("stop")
    assert client(tmp_path).get_run(run.run_id).info.status == "FAILED"
    with open_run(tmp_path, "exp", "first", run_id=run.run_id) as again:
        again.metrics({"x": 1.0})
    assert again.run_id == run.run_id
    assert client(tmp_path).get_run(run.run_id).info.status == "FINISHED"


def test_a_lost_database_starts_a_new_run(tmp_path):
    with open_run(tmp_path, "exp", "first", run_id="0" * 32) as run:
        run.metrics({"x": 1.0})
    assert run.run_id != "0" * 32
