"""A PostgreSQL of its own for a test or a job, from the Debian package postgresql."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

_USER: Final = "medground"
_START_S: Final = 60
_STOP_S: Final = 30
_POLL_S: Final = 0.05
_SETTINGS: Final = {
    "listen_addresses": "",  # a socket in the cluster's own folder, and no port
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "fsync": "off",  # what is killed here are processes; the machine stays up, and with it the cached pages
    "log_lock_waits": "on",
}


class Postgres:
    """A cluster that only this user of the machine can reach, by a unix socket in a temporary folder.

    PostgreSQL refuses to run as root; it then runs as `postgres`, or as `nobody` where that user is missing. The server
    dies with the process that started it.

    Attributes:
        url: of the database that is made with the cluster; the same after every start.
    """

    def __init__(self) -> None:
        # Short, since the path of a socket has at most 107 bytes; and open to the user that the server runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._url("medground")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def start(self) -> None:
        """Start, and return once it answers.

        Raises:
            RuntimeError: it runs already, or does not come up; with the end of its log.
        """
        if self._process is not None:
            raise RuntimeError("this PostgreSQL is running; stop it before starting it again")
        is_new = not self._data.exists()
        if is_new:
            self._initialize()
        command = [*_as_server(), _program("postgres"), "-D", str(self._data), "-k", str(self._folder)]
        command += [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
            )
        self._wait_until_it_answers()
        if is_new:
            self._create("medground")

    def stop(self) -> None:
        """Ask it to end, ending all sessions, and wait until it has."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            finally:
                self.kill()

    def kill(self) -> None:
        """End it and all its sessions at once, as a power failure would; nothing happens if it does not run."""
        if self._process is None:
            return
        sessions = self._sessions()
        if self._process.poll() is None:
            self._process.kill()
        for session in sessions:
            with suppress(ProcessLookupError):
                os.kill(session, signal.SIGKILL)
        self._process.wait()
        self._process = None
        deadline = time.monotonic() + _STOP_S
        while any(Path(f"/proc/{session}").exists() for session in sessions) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def remove(self) -> None:
        """Stop it, and remove its files."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """URL of one more database, empty; that takes 8 MB of disk."""
        name = f"test_{uuid.uuid4().hex}"
        self._create(name)
        return self._url(name)

    def new_schema(self) -> str:
        """URL of a database in which only names of one more, empty schema are seen; that costs nothing."""
        name = f"test_{uuid.uuid4().hex}"
        with self._connect("medground") as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.url}&options=-csearch_path%3D{name}"

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://{_USER}@/{database}?host={self._folder}"

    def _create(self, database: str) -> None:
        with self._connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self._folder), user=_USER, dbname=database, autocommit=True)

    def _initialize(self) -> None:
        if os.geteuid() == 0:
            user = _server_user()
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        settings = ["--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        done = subprocess.run(
            [*_as_server(), _program("initdb"), "-D", str(self._data), *settings],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr[-2000:]}")

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            with suppress(psycopg.OperationalError), self._connect("postgres") as connection:
                connection.execute("SELECT 1")
                return
            time.sleep(_POLL_S)
        self.kill()
        log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"PostgreSQL did not come up within {_START_S} s; its log ends:\n{log[-2000:]}")

    def _sessions(self) -> list[int]:
        """The processes of the server: they make sessions of their own, so that ending a group would miss them."""
        assert self._process is not None
        with suppress(OSError):
            text = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
            return [int(word) for word in text.split()]
        return []


def _program(name: str) -> str:
    """Debian keeps the server's programs off the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} of the Debian package postgresql is not installed")
    return found


def _as_server() -> list[str]:
    """What to put before a command, so that it runs as a user that PostgreSQL accepts, and dies with us."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if os.geteuid() == 0:
            raise RuntimeError("PostgreSQL does not run as root, and there is no setpriv (Debian package util-linux)")
        return []
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig", "KILL"]
    user = _server_user()
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--reset-env",
        "--pdeathsig",
        "KILL",
    ]


def _server_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")
