"""Debian's Orthanc with its DICOMweb plugin, as an archive of its own for a test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

PROGRAM: Final = Path("/usr/sbin/Orthanc")  # Debian keeps it off the PATH of ordinary users
DICOMWEB_PLUGIN: Final = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ARCHIVE_AET: Final = "ARCHIVE"
CALLER_AET: Final = "MEDGROUND"

_START_S: Final = 180
_ATTEMPT_S: Final = 60
_STOP_S: Final = 120
_POLL_S: Final = 0.02
_PAUSE_S: Final = 0.2
_ANSWER_S: Final = 120
_PROBE_S: Final = 5  # whoever else has the port may never answer
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Orthanc:
    """An Orthanc that only this machine can use, on two free ports, with its files in `folder`.

    Orthanc binds both sockets to every interface: its DICOM server has no option for it, and its HTTP server none
    before 1.12.10 (`HttpBindAddresses`, set here for those that know it). What is not loopback is refused instead: HTTP
    by `RemoteAccessAllowed`, DICOM because the one known caller must come from 127.0.0.1 and call the right title.

    The process dies with the one that started it, so that nothing is left listening after a killed test run.

    Attributes:
        http_port: of the REST interface and DICOMweb; another after every start.
        dicom_port: of C-STORE and C-FIND; another after every start.

    Args:
        folder: for configuration, storage and log; made if absent, kept when Orthanc stops.
        **options: entries of Orthanc's configuration beside, or in place of, those of this class.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.http_port = 0
        self.dicom_port = 0
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Root of the REST interface."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        """Root of QIDO-RS, WADO-RS and STOW-RS."""
        return f"{self.url}/dicom-web"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start, and return once both servers answer.

        A port may be taken between its choice and its use, and the index of a predecessor may still be locked; Orthanc
        then exits, and is started again with other ports.

        Raises:
            RuntimeError: it runs already, or does not come up; with the end of its log.
        """
        if self._process is not None:
            raise RuntimeError("this Orthanc is running; stop it before starting it again")
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            self._launch()
            if self._answers():
                return
            self.kill()
            time.sleep(_PAUSE_S)
        log = (self._folder / "orthanc.log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"Orthanc did not come up within {_START_S} s; its log ends:\n{log[-2000:]}")

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            finally:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a power failure would; nothing happens if it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def get(self, path: str, *, timeout_s: float = _ANSWER_S) -> Any:
        """The JSON at a path of the REST interface, e.g. `/statistics`.

        Args:
            path: with its leading slash.
            timeout_s: how long to wait for it.

        Raises:
            urllib.error.URLError: it does not answer, or with an error.
        """
        with _DIRECT.open(self.url + path, timeout=timeout_s) as answer:
            return json.load(answer)

    def instances(self) -> int:
        """How many instances it holds."""
        return int(self.get("/statistics")["CountInstances"])

    def _launch(self) -> None:
        self.http_port, self.dicom_port = _free_ports()
        self._name = uuid.uuid4().hex
        storage, configuration = self._folder / "storage", self._folder / "orthanc.json"
        storage.mkdir(parents=True, exist_ok=True)
        configuration.write_text(json.dumps(self._configuration(storage)), encoding="utf-8")
        setpriv = shutil.which("setpriv")
        guard = (setpriv, "--pdeathsig", "KILL") if setpriv else ()
        with (self._folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, PROGRAM, configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        """Wait for its own name at `/system`: HTTP comes up last, and the port may by now be someone else's."""
        deadline = time.monotonic() + _ATTEMPT_S
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            try:
                if self.get("/system", timeout_s=_PROBE_S)["Name"] == self._name:
                    return True
            except (OSError, ValueError, KeyError, HTTPException):
                pass
            time.sleep(_POLL_S)
        return False

    def _configuration(self, storage: Path) -> dict[str, Any]:
        return {
            "Name": self._name,
            "StorageDirectory": str(storage),
            "IndexDirectory": str(storage),
            "TemporaryDirectory": str(storage),
            "Plugins": [str(DICOMWEB_PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
            "HttpPort": self.http_port,
            "HttpBindAddresses": ["127.0.0.1"],
            "HttpThreadsCount": 8,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "OrthancExplorerEnabled": False,
            "WebDavEnabled": False,
            "DicomPort": self.dicom_port,
            "DicomAet": ARCHIVE_AET,
            "DicomCheckCalledAet": True,
            "DicomCheckModalityHost": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomModalities": {"caller": [CALLER_AET, "127.0.0.1", 104]},  # 104: never called back
            "DefaultEncoding": "Utf8",
            "OverwriteInstances": False,
            **self._options,
        }


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("", 0))
        second.bind(("", 0))
        return first.getsockname()[1], second.getsockname()[1]
