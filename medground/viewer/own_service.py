"""A service of the viewer's own, for who has none: on loopback, with its own token; it never outlives the viewer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from medground.schema.errors import UsageError

_SCOPES = "ground,read,review,sign"
_LISTENING = re.compile(rb"listening on (http://127\.0\.0\.1:\d+);")
_START_S, _END_S = 120.0, 20.0


@dataclass(frozen=True, slots=True)
class OwnService:
    """A running service.

    Attributes:
        url: its root.
        token: with which everything but administration is allowed.
    """

    url: str
    token: str


@contextmanager
def own_service(state: Path) -> Iterator[OwnService]:
    """Start a service; it ends with the block.

    Args:
        state: folder of its files and database.

    Raises:
        UsageError: it did not start.
    """
    state.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MEDGROUND_DATABASE": f"sqlite:///{(state / 'medground.db').resolve()}"}
    token = _new_token(environment)
    command = [sys.executable, "-m", "medground.cli", "serve", "--state", str(state), "--port", "0"]
    command.append("--ends-with-input")  # of which nothing is ever written: it ends with this process, even if killed
    log = state / "service.log"
    with log.open("ab") as file:
        begins_at = file.tell()
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment)
    try:
        yield OwnService(_ready(process, log, begins_at), token)
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if process.stdin is not None:
                process.stdin.close()


def _new_token(environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "medground.cli", "token", "create", "--name", "viewer", "--tenant", "local"]
    done = subprocess.run(
        [*command, "--scopes", _SCOPES, "--days", "1"], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UsageError(f"no token could be made for the viewer's own service: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()


def _ready(process: subprocess.Popen[bytes], log: Path, begins_at: int) -> str:
    """Where the service listens, which it says in its log, once it can be given work."""
    until, url = time.monotonic() + _START_S, ""
    while time.monotonic() < until and process.poll() is None:
        if not url:
            with log.open("rb") as file:
                file.seek(begins_at)
                found = _LISTENING.search(file.read())
            url = found[1].decode() if found else ""
        elif _answers(f"{url}/readyz"):
            return url
        time.sleep(0.1)
    raise UsageError(f"the viewer's own service did not start; what it said stands in {log}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
