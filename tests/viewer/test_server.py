"""The viewer as a process: the address it takes, what it says, and how Streamlit is set."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from streamlit import config as streamlit_config

from medground.schema.errors import UsageError
from medground.serving.access.scope import Scope
from medground.viewer.config import ViewerConfig
from medground.viewer.running import running
from medground.viewer.server import SCRIPT, serve_viewer, viewer_app
from medground.viewer.sessions import Sessions
from medground.viewer.sign_in import SignIn
from tests.serving.running import Running
from tests.viewer.people import Clock

SERVE = """
import json, sys
from medground.viewer.config import ViewerConfig
from medground.viewer.server import serve_viewer
given, token = json.loads(sys.argv[1])
serve_viewer(ViewerConfig.model_validate(given), say=lambda words: print(words, flush=True), token=token)
"""


def config_of(service: str = "http://127.0.0.1:1", **more: Any) -> ViewerConfig:
    return ViewerConfig.model_validate({"service": service, "port": 0, **more})


@contextmanager
def process(given: dict[str, Any], token: str | None) -> Iterator[str]:
    """A viewer of its own process; gives what it says."""
    command = [sys.executable, "-c", SERVE, json.dumps([{"port": 0, **given}, token])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running_one:
        assert running_one.stdout is not None
        try:
            yield running_one.stdout.readline().strip()
        finally:
            running_one.terminate()
            rest = running_one.stdout.read()
            assert running_one.wait(120) in (0, -15)
            assert "Traceback" not in rest


def test_a_process_lets_in_who_started_it_and_nobody_else(house: Running) -> None:
    token = house.token(Scope.READ)
    with process({"service": house.url}, token) as said:
        found = re.fullmatch(
            r"the viewer is at (http://127\.0\.0\.1:\d+)(/sign-in\?key=\S+)  \(this link lets in once\)", said
        )
        assert found, said
        assert token not in said
        with httpx.Client(base_url=found[1], trust_env=False, timeout=120) as browser:
            assert browser.get("/healthz").text == "ok"
            assert browser.get("/").status_code == 401
            assert browser.get(found[2]).status_code == 200
            page = browser.get("/")
            assert (page.status_code, "<title>Streamlit</title>" in page.text) == (200, True)
            assert "server" not in page.headers
            browser.cookies.clear()
            assert browser.get(found[2]).status_code == 403


def test_without_credentials_there_is_no_link(house: Running) -> None:
    with process({"service": house.url, "address": "https://viewer.example"}, None) as said:
        assert said == "the viewer is at https://viewer.example"


def test_an_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1 port {port} cannot be taken \(.*\); try --port 0"):
            serve_viewer(config_of(port=port), say=lambda _: None)


def test_a_viewer_without_a_service() -> None:
    with pytest.raises(UsageError, match="needs the address of a service"):
        serve_viewer(ViewerConfig(port=0), say=lambda _: None)


def test_a_secret_that_cannot_be_read_keeps_it_from_starting(tmp_path: Path) -> None:
    oidc = {"issuer": "https://login.example", "client_id": "viewer", "client_secret_file": tmp_path / "absent"}
    with pytest.raises(UsageError, match=r"oidc\.client_secret_file .* cannot be read"):
        serve_viewer(config_of(oidc=oidc), say=lambda _: None)


def test_streamlit_is_closed() -> None:
    sessions = Sessions(Clock(), idle_s=60, longest_s=60)
    config = config_of(address="https://viewer.example:8443")
    viewer_app(config, sessions, SignIn(sessions, lambda _: pytest.fail("nobody signs in"), True))
    assert SCRIPT.is_file()
    settings = {
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.corsAllowedOrigins": ["https://viewer.example:8443"],
        "browser.serverAddress": "viewer.example",  # else Streamlit asks a server of others for its own address
        "server.enableStaticServing": False,
        "global.developmentMode": False,
    }
    assert {name: streamlit_config.get_option(name) for name in settings} == settings


def test_a_page_that_streamlit_runs_without_a_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medground.viewer.running._running", [])
    with pytest.raises(RuntimeError, match="start the viewer with `medground viewer`"):
        running()
