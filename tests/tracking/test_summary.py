from __future__ import annotations

import pytest
from mlflow.tracking import MlflowClient

from medground.schema.errors import UsageError
from medground.tracking.runs import open_run
from medground.tracking.staged_log import StagedLog
from medground.tracking.store import store_uri
from medground.tracking.summary import POINTS, RunSummary, bring_in, summarise, thinned

STEPS = 60


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    home = tmp_path_factory.mktemp("mlruns")
    with open_run(home, "medground", "limb") as run:
        run.parameters({"seed": 7, "recipe": "limb"})
        with StagedLog(run, [("align", STEPS), ("hard", 2)]) as log:
            for step in range(1, STEPS + 3):
                log.metrics({"loss": 1 / step}, step)
        with run.child("evaluation valid", kind="evaluation") as child:
            child.metrics({"ap50/fracture": 0.25, "ap50/fracture/n": 40})
    return home, summarise(home, "medground", "limb")


def test_a_run_is_summarised_with_its_children_in_order(told):
    _, summary = told
    assert (summary.name, summary.kind, summary.status) == ("limb", "training", "FINISHED")
    assert summary.parameters == {"seed": "7", "recipe": "limb"}
    assert [(c.name, c.kind) for c in summary.children] == [
        ("stage align", "stage"),
        ("stage hard", "stage"),
        ("evaluation valid", "evaluation"),
    ]
    curve = summary.children[0].metrics["loss"]
    assert len(curve) == POINTS
    assert curve[0] == (1, 1.0)
    assert curve[-1] == (STEPS, pytest.approx(1 / STEPS, rel=1e-5))
    assert summary.children[2].metrics["ap50/fracture"] == ((0, 0.25),)


def test_it_comes_back_as_it_was_and_once(told, tmp_path):
    _, summary = told
    path = tmp_path / "limb.run.json"
    path.write_text(summary.model_dump_json())
    home = tmp_path / "other"
    run_id = bring_in(path, home, "medground")
    assert summarise(home, "medground", "limb") == summary
    assert bring_in(path, home, "medground") == run_id
    client = MlflowClient(store_uri(home))
    experiment = client.get_experiment_by_name("medground").experiment_id
    assert len(client.search_runs([experiment])) == 4


def test_a_stop_in_the_middle_leaves_nothing_that_counts_as_brought_in(told, tmp_path, monkeypatch):
    _, summary = told
    path = tmp_path / "limb.run.json"
    path.write_text(summary.model_dump_json())
    home = tmp_path / "other"
    with monkeypatch.context() as patch:
        patch.setattr("medground.tracking.runs.RunLog.curves", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bring_in(path, home, "medground")
    run_id = bring_in(path, home, "medground")
    assert MlflowClient(store_uri(home)).get_run(run_id).info.status == "FINISHED"
    assert summarise(home, "medground", "limb") == summary


def test_what_is_no_summary_and_what_is_no_run_are_said(told, tmp_path):
    home, _ = told
    bad = tmp_path / "bad.run.json"
    bad.write_text('{"name": 1}')
    with pytest.raises(UsageError, match="no run summary"):
        bring_in(bad, tmp_path / "other", "medground")
    with pytest.raises(UsageError, match="no run named 'chest'"):
        summarise(home, "medground", "chest")


@pytest.mark.parametrize("length", [0, 1, POINTS, POINTS + 1, 10 * POINTS])
def test_a_thinned_curve_keeps_its_ends_and_its_order(length):
    curve = tuple((step, float(step)) for step in range(length))
    thin = thinned(curve)
    assert len(thin) == min(length, POINTS)
    assert list(thin) == sorted(set(thin))
    assert thin[:1] == curve[:1]
    assert thin[-1:] == curve[-1:]


def test_a_summary_without_numbers_is_one():
    assert RunSummary(name="a", kind="stage", status="FINISHED").children == ()
