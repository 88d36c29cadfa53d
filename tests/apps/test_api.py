"""`python -m apps.api` is the service of its config file."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from pipelines.ports import kept_port
from tests.serving.running import eventually


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=60, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_it_serves_what_the_file_says_until_it_is_asked_to_end(repository: Path, tmp_path: Path) -> None:
    config = tmp_path / "service.toml"
    command = [sys.executable, "-m", "apps.api", "--config", str(config), "--role", "api"]
    with kept_port() as port:
        config.write_text(f'state = "{tmp_path / "state"}"\n[http]\nport = {port}\n', encoding="utf-8")
        with subprocess.Popen(command, cwd=repository, stderr=subprocess.PIPE, text=True) as service:
            try:
                assert eventually(lambda: answers(f"http://127.0.0.1:{port}"), 300)
                service.send_signal(signal.SIGTERM)
                _, told = service.communicate(timeout=300)
            finally:
                service.kill()
    assert (service.returncode, f"listening on http://127.0.0.1:{port}; stop with Ctrl-C" in told) == (0, True)


def test_a_file_that_is_not_there(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "apps.api", "--config", str(tmp_path / "absent.toml")]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, "absent.toml cannot be read" in done.stderr) == (2, "", True)
