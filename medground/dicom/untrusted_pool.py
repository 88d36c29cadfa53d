"""The parent's side of the processes that read untrusted files: started, asked, ended, counted."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medground.dicom.limits import Limits
from medground.dicom.untrusted_messages import receive, send
from medground.dicom.untrusted_worker import END, PID, SPAWN, STATUS, WorkerSettings
from medground.schema.errors import InputNotFoundError, LimitError, UnreadableFileError, WorkerError

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV")  # and nothing else: no secret of ours
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # a fork copies one only
_START_SECONDS, _FORK_SECONDS = 120.0, 30.0


@dataclass(slots=True)
class Counters:
    """What became of the questions.

    Attributes:
        questions: asked of workers.
        workers: started, one for each file, and one more for each that died.
        deaths: workers that ended by themselves while they were asked, or sent no answer but garbage.
        timeouts: workers that were ended because they took too long.
        replaced: workers started in place of one of the two kinds above.
        foreign: questions at which an exception came up in a worker that is none of ours.
    """

    questions: int = 0
    workers: int = 0
    deaths: int = 0
    timeouts: int = 0
    replaced: int = 0
    foreign: int = 0


class Nursery:
    """The process that forks workers; started at once, and again should it ever die.

    Args:
        settings: of the workers.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Have it import what workers need, before the first one is asked for."""
        with self._lock:
            self._running()

    def spawn(self, file: int) -> WorkerHandle:
        """A new worker for an open file.

        Args:
            file: descriptor; the caller closes it.

        Raises:
            WorkerError: no worker can be started.
        """
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            for _ in range(2):  # the nursery may have died since; a new one is tried once
                with suppress(OSError, EOFError):
                    socket.send_fds(self._running(), [SPAWN], [theirs.fileno(), file])
                    return WorkerHandle(ours, PID.unpack(self._reply(PID.size))[0])
                self._stop()
        ours.close()
        raise WorkerError("no process to read the file in can be started: look at memory and process limits")

    def end(self, worker: WorkerHandle) -> int | None:
        """End a worker; its exit status, negative for a signal, None where the nursery took it along."""
        worker.channel.close()
        with self._lock:
            try:
                if self._control is not None:
                    self._control.sendall(END + PID.pack(worker.pid))
                    return int(STATUS.unpack(self._reply(STATUS.size))[0])
            except (OSError, EOFError):
                self._stop()
        return None

    def close(self) -> None:
        """End the nursery and all workers with it."""
        with self._lock:
            self._stop()

    def _running(self) -> socket.socket:
        if self._control is None or self._process is None or self._process.poll() is not None:
            self._stop()
            self._control, theirs = socket.socketpair()
            self._control.settimeout(_START_SECONDS)
            environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _ONE_THREAD
            paths = [str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "medground.dicom.untrusted_worker", self._settings.model_dump_json()],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # the C libraries print there
                    env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
                    start_new_session=True,  # an interruption at the terminal is ours to handle
                )
        assert self._control is not None  # for the type checker
        return self._control

    def _reply(self, size: int) -> bytes:
        assert self._control is not None  # for the type checker
        data = self._control.recv(size, socket.MSG_WAITALL)
        self._control.settimeout(_FORK_SECONDS)
        if len(data) < size:
            raise EOFError
        return data

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@dataclass(slots=True, eq=False)
class WorkerHandle:
    """A worker, by its channel and process id."""

    channel: socket.socket
    pid: int

    def ask(self, question: dict[str, Any], at_most: int, seconds: float) -> tuple[dict[str, Any], bytearray]:
        """Put one question, and wait for the answer.

        Raises:
            Late: no answer in time.
            Broken: the worker died, or sent what is no answer.
        """
        deadline = time.monotonic() + seconds
        self.channel.settimeout(seconds)
        send(self.channel, question)
        return receive(self.channel, at_most, deadline=deadline)


@contextmanager
def opened(source: Path | bytes, limits: Limits) -> Iterator[int]:
    """The file, open for reading; content goes into a file without a name, in memory.

    Raises:
        InputNotFoundError: nothing is at the path.
        UnreadableFileError: no file, or one that may not be read.
        LimitError: larger than `limits.max_file_bytes`.
    """
    if isinstance(source, bytes):
        if len(source) > limits.max_file_bytes:
            raise LimitError(
                f"the file has {len(source)} bytes, more than {limits.max_file_bytes} (limit max_file_bytes)"
            )
        file = os.memfd_create("untrusted")
    else:
        try:
            file = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for its writer
        except FileNotFoundError as cause:
            raise InputNotFoundError(f"nothing is at {source}: check the path") from cause
        except (OSError, ValueError) as cause:
            raise UnreadableFileError(f"{source} cannot be read ({type(cause).__name__})") from cause
    try:
        if isinstance(source, bytes):
            with open(file, "wb", closefd=False) as stream:  # by its descriptor
                stream.write(source)
        elif not stat.S_ISREG(os.fstat(file).st_mode):
            raise UnreadableFileError(f"{source} is no file: give a file, or discover the folder")
        yield file
    finally:
        os.close(file)
