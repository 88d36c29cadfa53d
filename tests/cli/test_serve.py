"""`medground serve`: a config file, changed by flags; and one whole service with the shipped model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from medground.cli.main import create_app
from medground.cli.serve import Options, config_of, run_serve
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.schema.errors import UsageError
from medground.schema.result import GroundingResult
from medground.serving.config import ServiceConfig

WHOLE = """
state = "somewhere"
organization = "Example Hospital"
[http]
port = 8443
max_wait_s = 5
[dicom]
port = 11113
peers = [{ calling_ae_title = "CT1", called_ae_title = "MEDGROUND", network = "10.0.0.0/8", tenant = "main" }]
[[rules]]
modality = "DX"
questions = ["is there a nodule?"]
deliver_to = ["pacs"]
[destinations.pacs]
dicomweb = { url = "https://pacs.example/dicom-web" }
token_file = "/run/secrets/pacs"
[oidc]
issuer = "https://login.example/realms/hospital"
audience = "medground"
tenant = "example"
scopes_of = { radiologist = ["ground", "read"] }
[quota]
requests_per_minute = 7
[retention]
studies_days = 90
[model]
device = "cpu"
threads = 2
"""


def options(**given: Any) -> Options:
    usual = dict.fromkeys(("config", "state", "port", "dicom_port", "database"))
    return Options(**{**usual, "role": "all", **given})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "service.toml"
    path.write_text(WHOLE, encoding="utf-8")
    return path


def test_without_anything_it_is_the_default() -> None:
    assert config_of(options()) == ServiceConfig()


def test_a_file_comes_through_whole(file: Path) -> None:
    config = config_of(options(config=file))
    assert (config.state, config.http.port, config.quota.requests_per_minute) == (Path("somewhere"), 8443, 7)
    assert config.dicom is not None
    assert config.dicom.peers[0].calling_ae_title == "CT1"
    assert config.oidc is not None
    assert config.oidc.scopes_of["radiologist"] == {"ground", "read"}
    assert config.destinations["pacs"].token_file == Path("/run/secrets/pacs")
    assert config.rules[0].deliver_to == ("pacs",)
    assert (config.model.threads, config.retention.studies_days) == (2, 90)


def test_flags_change_what_they_name_and_nothing_else(file: Path) -> None:
    before = config_of(options(config=file))
    after = config_of(
        options(config=file, state=Path("elsewhere"), port=0, dicom_port=104, database="postgresql://db/medground")
    )
    assert (after.state, after.http.port, after.database) == (Path("elsewhere"), 0, "postgresql://db/medground")
    assert before.dicom is not None
    assert after.dicom == before.dicom.model_copy(update={"port": 104})
    assert after.http == before.http.model_copy(update={"port": 0})
    changed = {"state", "http", "database", "dicom"}
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)
    free = config_of(options(config=file, without_card=True))
    assert (before.model.require_card, free.model.require_card) == (True, False)
    assert free.model == before.model.model_copy(update={"require_card": False})
    alone = config_of(options(dicom_port=104))
    assert alone.dicom is not None
    assert (alone.dicom.port, alone.dicom.peers) == (104, ())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 70000}, r"http\.port: "),
        ({"dicom_port": -1}, r"dicom\.port: "),
        ({"config": Path("absent.toml")}, "absent.toml cannot be read"),
    ],
)
def test_what_makes_no_config(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        config_of(options(**given))


def test_a_role_that_is_none() -> None:
    with pytest.raises(UsageError, match="--role 'master' is none of all, api, worker"):
        run_serve(options(role="master"))
    done = CliRunner().invoke(create_app(), ["serve", "--role", "master"], env={"MEDGROUND_DATABASE": ""})
    assert (done.exit_code, "--role 'master' is none of" in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_service_answers_as_the_command_line_does(tmp_path: Path) -> None:
    """The shipped model, real processes, one small film: ready, asked, asked to end."""
    film = chest_radiograph(9_100_001, size_px=256, findings=["nodule"])
    (path,) = write_radiograph_study(film, tmp_path)
    question = "is there a nodule?"
    out = tmp_path / "out"
    ground = [sys.executable, "-m", "medground.cli", "ground", str(path), "--query", question, "--out", str(out)]
    subprocess.run(ground, check=True, capture_output=True, timeout=600)
    (written,) = out.rglob("results.json")
    expected = GroundingResult.model_validate_json(written.read_bytes())
    state = tmp_path / "state"
    database = f"sqlite:///{state / 'medground.db'}"
    state.mkdir()
    create = ["token", "create", "--name", "t", "--tenant", "clinic", "--scopes", "ground,read", "--database", database]
    token = subprocess.run(
        [sys.executable, "-m", "medground.cli", *create], check=True, capture_output=True, text=True, timeout=300
    ).stdout.strip()
    command = [sys.executable, "-m", "medground.cli", "serve", "--state", str(state), "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "MEDGROUND_DATABASE"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as service:
        try:
            url = _url(service)
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
                ready = client.get("/readyz").json()
                assert ready["ready"], ready
                answer = client.post("/v1/ground", files={"file": path.read_bytes()}, data={"query": question})
            assert answer.status_code == 200, answer.text
            assert _same(GroundingResult.model_validate_json(answer.content)) == _same(expected)
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) == 0
        finally:
            service.kill()


def _url(service: subprocess.Popen[str]) -> str:
    assert service.stderr is not None
    for line in service.stderr:
        if line.startswith("listening on "):
            return line.split()[2].rstrip(";")
        assert json.loads(line)["event"] in ("model_without_card", "model_loaded", "listening"), line
    raise AssertionError("it ended before it listened")


def _same(result: GroundingResult) -> dict[str, Any]:
    """All of a result but times, and the names of its files, which only the command line knows."""
    return _without(result.model_dump(mode="json"), {"timing_ms", "source", "sources"})


def _without(part: Any, names: set[str]) -> Any:
    if isinstance(part, dict):
        return {name: _without(value, names) for name, value in part.items() if name not in names}
    return [_without(one, names) for one in part] if isinstance(part, list) else part
