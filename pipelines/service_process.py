"""A service of its own for a job or a benchmark: a process, a folder, free ports and a token."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from medground.schema.errors import UsageError
from medground.serving.access.scope import Scope
from medground.serving.access.tokens import Tokens
from medground.serving.database import connect
from medground.serving.dicom_receiver.config import Remote
from pipelines.ports import keeper

CALLED, CALLING, TENANT = "MEDGROUND", "SENDER", "clinic"
_START_S, _STOP_S = 180, 60
_CONFIG = """
state = "{state}"
quiet_s = 2
[http]
port = {http}
[dicom]
port = {dicom}
peers = [{{ calling_ae_title = "{calling}", called_ae_title = "{called}", network = "127.0.0.1", tenant = "{tenant}" }}]
[quota]
requests_per_minute = 10000000
bytes_per_minute = 1000000000000
{more}
"""


class ServiceProcess:
    """`medground serve` on loopback.

    Attributes:
        state: its folder.
        database: URL of it.
        log: file that it logs to.
        token: with every scope.
        remote: its DICOM side, which takes what `CALLING` sends.

    Args:
        folder: for all of it; empty.
        more: further tables of its config, TOML.
    """

    def __init__(self, folder: Path, more: str = "") -> None:
        self._keepers = keeper(), keeper()  # of its ports, until it is stopped
        http, dicom = (int(one.getsockname()[1]) for one in self._keepers)
        self.state, self.log = folder / "state", folder / "service.log"
        self.database = f"sqlite:///{self.state / 'medground.db'}"
        self.url = f"http://127.0.0.1:{http}"
        self.remote = Remote(host="127.0.0.1", port=dicom, ae_title=CALLED)
        self._config = folder / "service.toml"
        told = {"state": self.state, "http": http, "dicom": dicom, "more": more}
        self._config.write_text(_CONFIG.format(**told, calling=CALLING, called=CALLED, tenant=TENANT), encoding="utf-8")
        engine = connect(self.database)
        tokens = Tokens(engine, lambda: time.time_ns() // 1000, secrets.token_bytes)
        tokens.create_table()
        self.token = tokens.create("driver", TENANT, tuple(Scope)).plain
        engine.dispose()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return once it is ready.

        Raises:
            UsageError: it did not get ready in three minutes, or ended.
        """
        command = [sys.executable, "-m", "medground.cli", "serve", "--config", str(self._config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + _START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise UsageError(f"the service did not start; its log is {self.log}")

    def stop(self) -> None:
        """Ask it to end, and see to it."""
        for one in self._keepers:
            one.close()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def client(self) -> httpx.Client:
        """A client with the token; to be closed."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=300, trust_env=False)

    def resident_bytes(self) -> int:
        """Memory of the process itself, without the processes that decode for it."""
        if self._process is None:
            raise UsageError("the service is not running")
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running_service(folder: Path, more: str = "") -> Iterator[ServiceProcess]:
    """A service that runs while the block lasts; see `ServiceProcess`."""
    made = ServiceProcess(folder, more)
    try:
        made.start()
        yield made
    finally:
        made.stop()
