"""A service of the viewer's own: it starts, answers with its token, and ends with the block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from medground.client.client import Client
from medground.client.errors import ServiceUnreachableError
from medground.schema.errors import UsageError
from medground.viewer.own_service import _answers, own_service
from tests.serving.running import eventually

_HOLDS_A_SERVICE = """
import sys, time
from pathlib import Path
from medground.viewer.own_service import own_service
with own_service(Path(sys.argv[1])) as own:
    print(own.url, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_service_of_ones_own(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with own_service(state) as own, Client(own.url, own.token, timeout_s=120) as client:
        assert own.url.startswith("http://127.0.0.1:")
        me = client.me()
        assert (me.name, me.tenant, me.scopes) == ("viewer", "local", ("ground", "read", "review", "sign"))
        assert client.studies().studies == ()
        assert client.model().info.name
        assert httpx.get(f"{own.url}/v1/studies", timeout=120, trust_env=False).status_code == 401
        with Client(own.url, own.token, timeout_s=5) as left:
            pass
    assert (state / "medground.db").is_file()
    assert own.token not in (state / "service.log").read_text(encoding="utf-8")
    with pytest.raises(ServiceUnreachableError), Client(own.url, own.token, timeout_s=5) as left:
        left.me()


@pytest.mark.slow
def test_a_viewer_that_is_killed_leaves_no_service(tmp_path: Path) -> None:
    """Real processes: this one starts a process, which starts a service and is killed with SIGKILL."""
    command = [sys.executable, "-c", _HOLDS_A_SERVICE, str(tmp_path / "state")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            url = holder.stdout.readline().strip()
            assert httpx.get(f"{url}/healthz", timeout=120, trust_env=False).status_code == 200
        finally:
            holder.kill()
    assert holder.wait(120) == -signal.SIGKILL
    assert eventually(lambda: not _answers(url))
    log = tmp_path / "state" / "service.log"
    assert eventually(lambda: '"ended"' in log.read_text(encoding="utf-8"))


def test_a_database_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "medground.db").mkdir()
    with (
        pytest.raises(UsageError, match="no token could be made for the viewer's own service: "),
        own_service(tmp_path),
    ):
        pytest.fail("it cannot have started")


def test_a_service_that_does_not_start(tmp_path: Path) -> None:
    """Its folder of objects cannot be made, where a file has that name."""
    before = dict(os.environ)
    (tmp_path / "objects").write_bytes(b"")
    words = rf"the viewer's own service did not start; what it said stands in {tmp_path}/service\.log"
    with pytest.raises(UsageError, match=words), own_service(tmp_path):
        pytest.fail("it cannot have started")
    assert (tmp_path / "service.log").stat().st_size > 0
    assert dict(os.environ) == before
