"""What is found again of earlier runs: their evaluations, and whether a tag is that of a whole run."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from medground.schema.errors import UsageError
from medground.tracking.figures import Figure
from medground.tracking.kept import find_evaluations, finished_run
from medground.tracking.runs import open_run
from medground.tracking.store import store_uri

EXPERIMENT, TAG = "medground", "medground.test"


def test_the_evaluations_of_a_run_are_found_by_its_name_with_their_figures(home: Path) -> None:
    figure = Figure(name="ap50/nodule", value=0.5, low=0.25, high=0.75, n=12)
    with open_run(home, EXPERIMENT, "limb") as run:
        with run.child("stage align", kind="stage") as stage:
            stage.figures([figure])
        with run.child("evaluation dev", kind="evaluation") as child:
            child.parameters({"system": "limb 1", "data": "films, dev part", "images": 7})
            child.figures([figure])
            child.metrics({"loss": 1.0})
        with run.child("evaluation without figures", kind="evaluation"):
            pass
        with run.child("evaluation old", kind="evaluation") as child:
            child.figures([figure])
    first, old = find_evaluations(home, EXPERIMENT, "limb")
    assert (first.name, first.system, first.data, first.images) == ("evaluation dev", "limb 1", "films, dev part", 7)
    assert first.figures == {"ap50/nodule": figure}
    assert (old.name, old.data, old.images) == ("evaluation old", "", None)
    with pytest.raises(UsageError, match="neither a file, a folder nor a run"):
        find_evaluations(home, EXPERIMENT, "chest")


def test_a_finished_child_of_a_run_that_was_killed_is_no_finished_run(home: Path) -> None:
    with open_run(home, EXPERIMENT, "killed") as run:
        run.tags({TAG: "1"})
        with run.child("first", kind="evaluation") as child:
            child.tags({TAG: "1"})
    client = MlflowClient(store_uri(home))
    client.update_run(run.run_id, status="RUNNING")
    assert finished_run(home, EXPERIMENT, TAG, "1") is None
    assert {client.get_run(each).info.lifecycle_stage for each in (run.run_id, child.run_id)} == {"deleted"}
    with open_run(home, EXPERIMENT, "whole") as run:
        run.tags({TAG: "1"})
        with run.child("first", kind="evaluation") as child:
            child.tags({TAG: "1"})
    assert finished_run(home, EXPERIMENT, TAG, "1") == run.run_id
    assert client.get_run(child.run_id).info.lifecycle_stage == "active"
