"""Runs as small JSON files: what a clone can bring back into a store of its own.

A summary holds parameters, numbers and children of a run, no artifacts, no paths and no pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import mlflow
from pydantic import Field, ValidationError

from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.tracking.kept import finished_run
from medground.tracking.runs import KIND_TAG, PARENT_TAG, RunLog, Say, open_run
from medground.tracking.store import open_store

ENDING = ".run.json"
POINTS = 24  # of a curve; more are thinned evenly, first and last kept
DIGITS = 6  # significant, of a number
SUMMARY_TAG = "medground.summary"

Curve = tuple[tuple[int, float], ...]
"""Steps and values, by step."""


class RunSummary(StrictConfig):
    """A run, or one of its children.

    Attributes:
        name: of the run.
        kind: `training`, `stage` or `evaluation`.
        status: as MLflow has it, such as `FINISHED`.
        parameters: as recorded.
        metrics: curves by name; a figure that was measured once has one point.
        children: in the order they were begun.
    """

    name: str
    kind: str
    status: str
    parameters: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, Curve] = Field(default_factory=dict)
    children: tuple[RunSummary, ...] = ()


def summarise(home: Path, experiment: str, name: str) -> RunSummary:
    """The summary of the newest run of a name.

    Args:
        home: the `mlruns` folder.
        experiment: name of the experiment.
        name: of a parent run.

    Raises:
        UsageError: if there is no such run.
    """
    client, experiment_id = open_store(home, experiment)
    order = ["attributes.start_time DESC"]
    quoted = name.replace("'", "")
    found = client.search_runs([experiment_id], f"attributes.run_name = '{quoted}'", order_by=order, max_results=1)
    if not found:
        raise UsageError(f"{home} has no run named {name!r}; see make mlflow for the runs")
    return _summary(client, experiment_id, found[0])


def _summary(client: mlflow.MlflowClient, experiment_id: str, run: mlflow.entities.Run) -> RunSummary:
    run_id = run.info.run_id
    under = f"tags.`{PARENT_TAG}` = '{run_id}'"
    below = client.search_runs([experiment_id], under, order_by=["attributes.start_time ASC"])
    return RunSummary(
        name=run.info.run_name,
        kind=run.data.tags.get(KIND_TAG, ""),
        status=run.info.status,
        parameters=dict(sorted(run.data.params.items())),
        metrics={key: _curve(client, run_id, key) for key in sorted(run.data.metrics)},
        children=tuple(_summary(client, experiment_id, child) for child in below),
    )


def _curve(client: mlflow.MlflowClient, run_id: str, key: str) -> Curve:
    by_step = {point.step: float(f"{point.value:.{DIGITS}g}") for point in client.get_metric_history(run_id, key)}
    return thinned(tuple(sorted(by_step.items())))


def thinned(curve: Curve) -> Curve:
    """At most `POINTS` points of a curve, evenly chosen, with the first and the last."""
    if len(curve) <= POINTS:
        return curve
    last = len(curve) - 1
    return tuple(curve[round(point * last / (POINTS - 1))] for point in range(POINTS))


def read_summary(path: Path) -> RunSummary:
    """A summary from its file.

    Raises:
        UsageError: if the file is none.
    """
    try:
        return RunSummary.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path} is no run summary; make it anew by python -m pipelines export-runs") from error


def bring_in(path: Path, home: Path, experiment: str, *, say: Say = print, note: Say | None = None) -> str:
    """Makes a run of a summary in a store, unless it is there.

    Args:
        path: of the summary.
        home: the `mlruns` folder.
        experiment: name of the experiment.
        say: told of a lost store.
        note: told that a run is brought in; not of one that is there.

    Returns:
        The id of the run.

    Raises:
        UsageError: if the file is no summary or the store cannot be opened.
    """
    summary = read_summary(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = finished_run(home, experiment, SUMMARY_TAG, digest)
    if known:
        return known
    if note is not None:
        note(f"bringing in the run {summary.name}")
    with open_run(home, experiment, summary.name, say=say) as run:
        _write(run, summary, {SUMMARY_TAG: digest})
        return run.run_id


def _write(run: RunLog, summary: RunSummary, tags: Mapping[str, str]) -> None:
    run.tags({"medground.first_status": summary.status})
    run.parameters(summary.parameters)
    run.curves(summary.metrics)
    for child in summary.children:
        with run.child(child.name, kind=child.kind) as below:
            _write(below, child, {})
    run.tags(tags)  # last: a run with this tag is whole
