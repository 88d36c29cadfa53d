"""GDCM behind a process boundary, started when the first frame needs it and again after a frame has killed it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from medground.dicom import gdcm_worker
from medground.dicom.gdcm_worker import receive, send, widen
from medground.schema.errors import DecodeError

_SECONDS = 20.0
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class GdcmProcess:
    """One child process; frames go through it one after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def decode(self, syntax: str, options: dict[str, Any], encoded: bytes) -> tuple[NDArray[Any], str]:
        """Decode one frame.

        Args:
            syntax: transfer syntax by which pydicom chooses.
            options: for pydicom's decoder.
            encoded: the frame.

        Returns:
            Pixels and their photometric interpretation.

        Raises:
            DecodeError: GDCM refuses the frame, ends on it, or takes longer than 20 s.
        """
        with self._lock:
            child = self._running()
            watch = threading.Timer(_SECONDS, child.kill)
            watch.start()
            try:
                send(cast(Any, child.stdin), {"syntax": syntax, "options": options}, encoded)
                answer = receive(cast(Any, child.stdout))
            except OSError:
                answer = None
            finally:
                watch.cancel()
            if answer is None:
                self.close()
                raise DecodeError("the decoder ended on this frame: it is damaged; copy the file again from its source")
        head, body = answer
        if "error" in head:
            raise DecodeError(f"the decoder refuses this frame: {' '.join(head['error'].split())[:200]}")
        return np.frombuffer(body, head["dtype"]).reshape(head["shape"]), head["photometric"]

    def close(self) -> None:
        """End the child; the next frame starts another. Without this it ends with its parent."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            path = os.pathsep.join([str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            self._child = subprocess.Popen(
                [sys.executable, "-m", "medground.dicom.gdcm_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # the C libraries print there
                env={**os.environ, "PYTHONPATH": path},
            )
            for pipe in filter(None, (self._child.stdin, self._child.stdout)):
                widen(pipe)
        return self._child


class GdcmHere:
    """GDCM in this very process, for one that may die of a frame itself: a worker for one untrusted file."""

    def decode(self, syntax: str, options: dict[str, Any], encoded: bytes) -> tuple[NDArray[Any], str]:
        """Decode one frame; as `GdcmProcess.decode`, except that a frame may end this process."""
        try:
            return gdcm_worker.decode(syntax, options, encoded)
        except Exception as cause:
            raise DecodeError(f"the decoder refuses this frame: {' '.join(str(cause).split())[:200]}") from cause


_processes: dict[int, GdcmProcess | GdcmHere] = {}


def decode_in_this_process() -> None:
    """From now on GDCM runs in this process and not in a child of it."""
    _processes[os.getpid()] = GdcmHere()


def gdcm_process() -> GdcmProcess | GdcmHere:
    """The child of this process; a fork of this process gets one of its own, since two would garble one pipe."""
    return _processes.setdefault(os.getpid(), GdcmProcess())
