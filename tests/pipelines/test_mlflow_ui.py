from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from mlflow.tracking import MlflowClient

from medground.evaluation.scene import ENDING, load_scene, save_scene
from medground.model.bundle_facts import shipped_bundle_path
from medground.schema.errors import BundleMissingError
from medground.tracking.runs import find_artifacts
from medground.tracking.store import store_uri
from pipelines.mlflow_ui import EVALUATIONS, import_shipped, is_free, server_command
from pipelines.ports import kept_port


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    home = tmp_path_factory.mktemp("mlruns")
    return home, import_shipped(home)


@pytest.fixture(scope="module")
def cardless(tmp_path_factory):
    """The shipped bundle without its card beside it."""
    folder = tmp_path_factory.mktemp("cardless")
    bundle = folder / "compact"
    shutil.copytree(shipped_bundle_path(), bundle)
    return folder / "mlruns", bundle, import_shipped(folder / "mlruns", bundle=bundle)


def runs(home) -> dict[str, object]:
    client = MlflowClient(store_uri(home))
    experiment = client.get_experiment_by_name("medground").experiment_id
    return {run.info.run_id: run for run in client.search_runs([experiment])}


def test_every_figure_of_the_shipped_model_has_its_interval_its_scene_and_its_curves(shipped):
    home, run_id = shipped
    by_name = {run.info.run_name: run for run in runs(home).values()}
    kept = {path.name: path for path in find_artifacts(home, "medground", run_id, ENDING)}
    for part in ("phantom", "chest", "limb"):
        metrics = by_name[f"evaluation {part}"].data.metrics
        names = {name.removesuffix("/n") for name in metrics if name.endswith("/n")}
        assert {"ap50/mean", "ap50/small", "froc/fracture", "ece/all", "auroc/all", "absent_error"} <= names
        assert [name for name in sorted(names) if f"{name}/low" not in metrics or f"{name}/high" not in metrics] == []
        assert load_scene(kept[f"{part}{ENDING}"]).data == by_name[f"evaluation {part}"].data.params["data"]
    for plot in ("precision_recall.png", "froc.png"):
        assert len(find_artifacts(home, "medground", run_id, plot)) == len(kept) == 3


def test_scenes_of_another_system_are_left_out(cardless, tmp_path):
    _, bundle, _ = cardless
    card = tmp_path / "compact_card" / "evidence" / "scenes"
    card.mkdir(parents=True)
    shutil.copytree(bundle, tmp_path / "compact")
    limb = load_scene(shipped_bundle_path().with_name("compact_card") / "evidence" / "scenes" / f"limb{ENDING}")
    save_scene(limb.model_copy(update={"system": "another"}), card / f"limb{ENDING}")
    evaluations = tmp_path / "evaluations"
    evaluations.mkdir()
    shutil.copy(EVALUATIONS / "limb.json", evaluations)
    run_id = import_shipped(tmp_path / "mlruns", bundle=tmp_path / "compact", evaluations=evaluations)
    assert find_artifacts(tmp_path / "mlruns", "medground", run_id, ENDING) == []


@pytest.mark.parametrize("with_card", [True, False])
def test_the_committed_figures_are_brought_in(shipped, cardless, with_card):
    home, run_id = shipped if with_card else (cardless[0], cardless[2])
    found = runs(home)
    reports = {path.stem: json.loads(path.read_text()) for path in EVALUATIONS.glob("*.json")}
    assert len(found) == 1 + len(reports)
    by_name = {run.info.run_name: run for run in found.values()}
    for name, report in reports.items():
        data = by_name[f"evaluation {name}"].data
        assert data.tags["mlflow.parentRunId"] == run_id
        for row in report["concepts"]:
            assert data.metrics.get(f"ap50/{row['concept']}") == (row["ap50"] and row["ap50"]["value"])
            assert data.metrics.get(f"ap50/{row['concept']}/low") == (row["ap50"] and row["ap50"]["low"])
        absent = report["verdicts"]["absent"]
        answered = sum(absent[verdict] for verdict in ("found", "uncertain", "not_found"))
        assert data.metrics["absent_error"] == pytest.approx(absent["found"] / answered)
    registry = MlflowClient(store_uri(home), registry_uri=store_uri(home))
    assert registry.get_model_version_by_alias("medground-compact", "shipped").run_id == run_id


def test_a_second_import_changes_nothing_and_a_killed_one_is_done_again(cardless):
    home, bundle, run_id = cardless
    before = set(runs(home))
    assert import_shipped(home, bundle=bundle) == run_id
    assert set(runs(home)) == before
    client = MlflowClient(store_uri(home))
    client.update_run(run_id, status="RUNNING")  # as a kill after its children leaves it
    again = import_shipped(home, bundle=bundle)
    assert again != run_id
    assert len(runs(home)) == len(before)
    assert not set(runs(home)) & before


def test_a_bundle_without_summary_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BundleMissingError, match=r"training_summary\.json is missing"):
        import_shipped(tmp_path / "home", bundle=tmp_path)
    assert not (tmp_path / "home").exists()


@pytest.fixture
def port():
    with kept_port() as port:
        yield port


@pytest.mark.slow
def test_the_interface_answers_on_the_loopback_address_only(shipped, port):
    home, _ = shipped
    assert is_free(port)
    command = server_command(home, port)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            assert server.poll() is None
            try:
                assert urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60).read() == b"OK"
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        else:
            pytest.fail("MLflow did not answer within five minutes")
        assert not is_free(port)
        body = json.dumps({"filter": "name = 'medground'", "max_results": 5}).encode()
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        (experiment,) = json.load(urllib.request.urlopen(request, timeout=120))["experiments"]
        assert experiment["name"] == "medground"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
