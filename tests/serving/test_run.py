"""Whole processes: what they say when they start, and what they leave when they are asked to end."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from medground.audit.event import Action
from medground.audit.log import AuditLog
from medground.serving.access.scope import Scope
from medground.serving.access.tokens import Tokens
from medground.serving.config import ServiceConfig
from medground.serving.database import connect, deliveries, jobs
from medground.serving.times import now_us, utc_now
from tests.serving.http.answers import ASYNC, job_of, post, result_of
from tests.serving.running import NODULE, eventually, film, rows


@dataclass
class Process:
    """A service in a process of its own."""

    folder: Path
    popen: subprocess.Popen[str]
    url: str

    def client(self) -> httpx.Client:
        engine = connect(ServiceConfig(state=self.folder / "state").database_url)
        token = Tokens(engine, now_us, secrets.token_bytes).create("t", "clinic", tuple(Scope)).plain
        engine.dispose()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=180, trust_env=False)

    def end(self) -> tuple[int, str]:
        """Ask it to end: its exit code, and what it logged."""
        self.popen.send_signal(signal.SIGTERM)
        self.popen.communicate(timeout=300)
        return self.popen.returncode, log_in(self.folder).read_text(encoding="utf-8")


def log_in(folder: Path) -> Path:
    """Where a service logs: to no pipe, which holds a few hundred lines and then the service, unless it is read."""
    return folder / "service.log"


def command(folder: Path, seconds: float = 0.0, role: str = "all", more: str = "") -> list[str]:
    path = folder / "service.toml"
    path.write_text(f'state = "{folder / "state"}"\n{more}\n[http]\nport = 0\nmax_wait_s = 120\n', encoding="utf-8")
    return [sys.executable, "-m", "tests.serving.blob_server", str(path), str(seconds), role]


@contextmanager
def process(folder: Path, seconds: float = 0.0, more: str = "") -> Iterator[Process]:
    with (
        log_in(folder).open("w", encoding="utf-8") as log,
        subprocess.Popen(command(folder, seconds, more=more), stdout=subprocess.PIPE, stderr=log, text=True) as popen,
    ):
        try:
            assert popen.stdout is not None
            said = popen.stdout.readline()
            assert said.startswith("listening on http://127.0.0.1:"), said
            yield Process(folder, popen, said.split()[2].rstrip(";"))
        finally:
            popen.kill()


def actions(folder: Path) -> list[Action]:
    engine = connect(ServiceConfig(state=folder / "state").database_url)
    found = [one.event.action for one in AuditLog(engine, utc_now).read()]
    engine.dispose()
    return found


def test_a_service_from_its_start_to_its_end(tmp_path: Path) -> None:
    with process(tmp_path) as it, it.client() as client:
        ready = client.get("/readyz").json()
        assert ready == {"ready": True, "parts": dict.fromkeys(("database", "files", "model", "dispatcher"), "ok")}
        answer = post(client, film(tmp_path, 1, NODULE))
        assert len(result_of(answer).studies[0].answers[0].findings) == 1
        again = post(client, film(tmp_path, 1, NODULE))
        assert again.content == answer.content
        study = client.get("/v1/studies").json()["studies"][0]["study"]
        for deleted in (f"/v1/studies/{study}", answer.headers["location"]):
            assert client.delete(deleted).status_code == 204
            answer = post(client, film(tmp_path, 1, NODULE), headers={"Prefer": "wait=120"})
            assert answer.status_code == 200, answer.text  # its workflow had ended, and another one begins
        code, logged = it.end()
    assert code == 0
    lines = [json.loads(line) for line in logged.splitlines()]
    events = [line["event"] for line in lines]
    assert {"model_loaded", "listening", "request", "job_done"} <= set(events)
    assert events[-1] == "ended"
    assert actions(tmp_path)[:2] == [Action.STARTED, Action.MODEL_LOADED]
    assert actions(tmp_path)[-1] is Action.STOPPED
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_job_that_is_worked_on_outlives_the_end(tmp_path: Path) -> None:
    """A rolling restart fails no job, however long it takes: it goes on in the next process."""
    paths = [film(tmp_path, 1, NODULE, instance=number) for number in range(1, 41)]
    with process(tmp_path, seconds=1) as it, it.client() as client:
        job = job_of(post(client, *paths, headers=ASYNC))
        assert eventually(lambda: client.get(f"/v1/jobs/{job}").json()["images_done"] >= 1)
        waiting = post(client, film(tmp_path, 2), headers=ASYNC)
        code, logged = it.end()
    assert code == 0, logged[-2000:]
    engine = connect(ServiceConfig(state=tmp_path / "state").database_url)
    states = {row.job_id: row.state for row in rows(engine, jobs)}
    assert states[job] == "running", logged[-2000:]
    assert states[job_of(waiting)] in ("queued", "running", "done")
    engine.dispose()
    with process(tmp_path) as it, it.client() as client:
        assert eventually(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "done")
        assert eventually(lambda: client.get(waiting.headers["location"]).json()["state"] == "done")
        it.end()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = command(tmp_path, role="api")
        port = taken.getsockname()[1]
        path = tmp_path / "service.toml"
        path.write_text(path.read_text().replace("port = 0", f"port = {port}"))
        run = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert (run.returncode, run.stdout) == (
        2,
        f"error: 127.0.0.1:{port} cannot be listened at (Address already in use): set http.port, or --port\n",
    )


@pytest.mark.slow
def test_what_is_to_be_delivered_is_tried_and_noted(tmp_path: Path) -> None:
    """An archive that is not there: the result is there all the same, and the delivery is tried again."""
    more = '[destinations.pacs]\ndicomweb = { url = "http://127.0.0.1:1/" }\n'
    with process(tmp_path, more=more) as it, it.client() as client:
        answer = post(client, film(tmp_path, 1, NODULE), deliver_to="pacs")
        url = answer.headers["location"]
        assert eventually(lambda: client.get(url).json()["deliveries"][0]["attempts"] >= 2)
        (delivery,) = client.get(url).json()["deliveries"]
        assert (delivery["state"], delivery["problem"]["kind"]) == ("pending", "DeliveryError")
        it.end()
    engine = connect(ServiceConfig(state=tmp_path / "state").database_url)
    assert [row.destination for row in rows(engine, deliveries)] == ["pacs"]
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_side_alone(tmp_path: Path, role: str) -> None:
    with subprocess.Popen(
        command(tmp_path, role=role), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as popen:
        assert popen.stdout is not None
        said = popen.stdout.readline()
        popen.send_signal(signal.SIGINT)
        _, logged = popen.communicate(timeout=300)
    assert popen.returncode == 0
    assert said.startswith("listening" if role == "api" else "working")
    assert ("model_loaded" in logged) is (role == "worker")
    assert (Action.MODEL_LOADED in actions(tmp_path)) is (role == "worker")


def test_the_side_without_a_model_brings_nothing_of_one() -> None:
    """Seconds and half a gigabyte, in a process that only answers HTTP and DICOM."""
    code = "import sys, medground.cli.serve; print(*{'torch', 'monai', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == ""


def test_a_model_without_its_card_does_not_start_unless_it_may(tmp_path: Path) -> None:
    more = f'[model]\ncard = "{tmp_path / "no-card"}"'
    run = subprocess.run(
        command(tmp_path, role="api", more=more), capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 2
    assert f"is not served: there is no card at {tmp_path / 'no-card'}. Name its card" in run.stdout
    with process(tmp_path, more=f"{more}\nrequire_card = false") as it, it.client() as client:
        assert client.get("/v1/model").json()["card"]["state"] == "absent"
        code, logged = it.end()
    assert code == 0
    warned = [line for line in map(json.loads, logged.splitlines()) if line["event"] == "model_without_card"]
    assert [(line["level"], line["reason"]) for line in warned] == [("warning", "absent")]
