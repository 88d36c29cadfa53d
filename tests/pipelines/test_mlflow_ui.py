from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from mlflow.tracking import MlflowClient

from medground.schema.errors import BundleMissingError
from medground.tracking.store import store_uri
from pipelines.mlflow_ui import EVALUATIONS, import_shipped, is_free, server_command


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    home = tmp_path_factory.mktemp("mlruns")
    return home, import_shipped(home)


def runs(home) -> dict[str, object]:
    client = MlflowClient(store_uri(home))
    experiment = client.get_experiment_by_name("medground").experiment_id
    return {run.info.run_id: run for run in client.search_runs([experiment])}


def test_the_committed_figures_are_brought_in(shipped):
    home, run_id = shipped
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


def test_a_second_import_changes_nothing_and_a_killed_one_is_done_again(shipped):
    home, run_id = shipped
    before = set(runs(home))
    assert import_shipped(home) == run_id
    assert set(runs(home)) == before
    client = MlflowClient(store_uri(home))
    client.update_run(run_id, status="RUNNING")
    tag = client.get_run(run_id).data.tags["medground.shipped"]
    for run in runs(home).values():
        if run.data.tags["medground.shipped"] == tag:
            client.update_run(run.info.run_id, status="RUNNING")
    again = import_shipped(home)
    assert again != run_id
    assert len(runs(home)) == len(before)
    assert not set(runs(home)) & before


def test_a_bundle_without_summary_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BundleMissingError, match=r"training_summary\.json is missing"):
        import_shipped(tmp_path / "home", bundle=tmp_path)
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_the_interface_answers_on_the_loopback_address_only(shipped):
    home, _ = shipped
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    assert is_free(port)
    command = server_command(home, port)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(240):
            assert server.poll() is None
            try:
                assert urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).read() == b"OK"
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.5)
        else:
            pytest.fail("MLflow did not answer within two minutes")
        assert not is_free(port)
        body = json.dumps({"filter": "name = 'medground'", "max_results": 5}).encode()
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        (experiment,) = json.load(urllib.request.urlopen(request, timeout=60))["experiments"]
        assert experiment["name"] == "medground"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
