"""Runs in MLflow: a SQLite store under `mlruns/`, artifacts beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import: nothing about a run leaves the machine
import mlflow
from mlflow.tracking import MlflowClient

BATCH = 500  # MLflow takes at most 500 parameters or 1,000 metrics in one call


class Run:
    """One MLflow run that is open for writing."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def parameters(self, values: Mapping[str, object]) -> None:
        """Records parameters; a value longer than MLflow stores is cut."""
        items = [mlflow.entities.Param(key, str(value)[:5000]) for key, value in values.items()]
        for start in range(0, len(items), 100):
            self._client.log_batch(self.run_id, params=items[start : start + 100])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Records named numbers at a step."""
        now = int(mlflow.utils.time.get_current_time_millis())
        items = [mlflow.entities.Metric(key, float(value), now, step) for key, value in values.items()]
        for start in range(0, len(items), BATCH):
            self._client.log_batch(self.run_id, metrics=items[start : start + BATCH])

    def artifact(self, path: Path) -> None:
        """Copies a file or folder into the run."""
        if path.is_dir():
            self._client.log_artifacts(self.run_id, str(path), path.name)
        else:
            self._client.log_artifact(self.run_id, str(path))


@contextmanager
def open_run(home: Path, experiment: str, name: str, *, run_id: str | None = None) -> Iterator[Run]:
    """Opens a run, new or resumed, and closes it as finished or failed.

    Args:
        home: the `mlruns` folder.
        experiment: name of the experiment, made if absent.
        name: name of a new run.
        run_id: goes on with that run if it is still in the store.
    """
    home.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(f"sqlite:///{(home / 'mlflow.db').resolve()}")
    found = client.get_experiment_by_name(experiment)
    if found:
        experiment_id = found.experiment_id
    else:
        experiment_id = client.create_experiment(experiment, str((home / "artifacts").resolve()))
    if run_id is None or not _exists(client, run_id):
        run_id = client.create_run(experiment_id, run_name=name).info.run_id
    try:
        yield Run(client, run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def _exists(client: MlflowClient, run_id: str) -> bool:
    try:
        client.get_run(run_id)
    except mlflow.exceptions.MlflowException:
        return False
    return True
