"""The receivers that `benchmarks.dicom_receive` measures, each a process of its own on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, BinaryIO

from medground.serving.dicom_receiver.config import Peer, ReceiverConfig, ReceiverLimits
from medground.serving.dicom_receiver.instances import Accepted, InstanceReceived
from medground.serving.dicom_receiver.part10 import read_part10_head
from medground.serving.dicom_receiver.receiver import DicomReceiver
from medground.serving.dicom_receiver.sop_classes import presentation_contexts

OURS, UNSYNCHRONISED, SHORT = "medground", "medground, unsynchronised", "medground, PDUs of 16 KiB"
PLAIN, LONG, CHUNKED = "pynetdicom", "pynetdicom, PDUs of 256 KiB", "pynetdicom, in chunks"
ORTHANC = "Orthanc"
LOOPBACK, CALLING, CALLED = "127.0.0.1", "SENDER", "RECEIVER"
_ORTHANC = Path("/usr/sbin/Orthanc")
_START_SECONDS = 40.0


def receivers_here() -> tuple[str, ...]:
    """Names of the receivers that can be measured on this machine."""
    return (OURS, UNSYNCHRONISED, SHORT, PLAIN, LONG, CHUNKED, *([ORTHANC] if _ORTHANC.exists() else []))


@dataclass(frozen=True)
class Receiver:
    """A running receiver."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    kept: Path

    def processor_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def digests(self) -> set[str]:
        """Of the data sets that it kept."""
        files = (path for path in self.kept.rglob("*") if path.is_file() and path.stat().st_size > 10_000)
        return {digest(path) for path in files if path.read_bytes()[128:132] == b"DICM"}


def digest(path: Path) -> str:
    """Of a data set, without the file meta information before it."""
    return hashlib.sha256(path.read_bytes()[read_part10_head(path).size_bytes :]).hexdigest()


class FolderIntake:
    """Keeps instances in a folder."""

    def __init__(self, folder: Path, *, synchronised: bool) -> None:
        self._folder, self._synchronised = folder, synchronised

    @contextmanager
    def incoming(self) -> Iterator[OpenFile]:
        """A file that vanishes unless it was kept."""
        path = self._folder / f"{secrets.token_hex(8)}.part"
        with path.open("xb") as stream:
            try:
                yield OpenFile(path, stream)
            finally:
                path.unlink(missing_ok=True)

    def accept(self, received: InstanceReceived, /) -> Accepted:
        """Keep it."""
        file = received.file
        if isinstance(file, OpenFile):
            file.stream.flush()
            if self._synchronised:
                os.fsync(file.stream.fileno())
            file.path.rename(file.path.with_suffix(".dcm"))
            if self._synchronised:
                folder = os.open(self._folder, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)
        return Accepted()


@dataclass(frozen=True)
class OpenFile:
    """A file that is being written."""

    path: Path
    stream: BinaryIO

    def write(self, data: bytes | memoryview, /) -> None:
        """Append."""
        self.stream.write(data)


def serve(name: str, folder: Path) -> None:
    """Be a receiver until stdin ends; the port goes to stdout."""
    port = _start_ours(name, folder) if name.startswith(OURS) else _start_pynetdicom(name, folder)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # pynetdicom's threads would be waited for


def _start_ours(name: str, folder: Path) -> int:
    network = ip_network(LOOPBACK)
    peer = Peer(calling_ae_title=CALLING, called_ae_title=CALLED, network=network, tenant="benchmark")
    limits = ReceiverLimits(max_pdu_bytes=2**14 if name == SHORT else 2**18, max_associations=1000)
    intake = FolderIntake(folder, synchronised=name != UNSYNCHRONISED)
    receiver = DicomReceiver(ReceiverConfig(port=0, peers=(peer,), limits=limits), intake)
    receiver.start()
    return receiver.port


def _start_pynetdicom(name: str, folder: Path) -> int:
    from pynetdicom import AE, _config, evt

    _config.STORE_RECV_CHUNKED_DATASET = name == CHUNKED
    _config.LOG_HANDLER_LEVEL = "none"
    tempfile.tempdir = str(folder)
    entity = AE(ae_title=CALLED)
    entity.maximum_associations = 1000
    if name != PLAIN:
        entity.maximum_pdu_size = 2**18
    entity.supported_contexts = presentation_contexts()

    def keep(event: Any) -> int:
        path = folder / f"{secrets.token_hex(8)}.dcm"
        if name == CHUNKED:
            Path(event.dataset_path).rename(path)
        else:
            path.write_bytes(event.encoded_dataset())
        return 0x0000

    server = entity.start_server((LOOPBACK, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    return int(server.server_address[1]) if server is not None else 0


@contextmanager
def receiver(name: str, folder: Path) -> Iterator[Receiver]:
    """A receiver in a process of its own."""
    folder.mkdir(parents=True)
    if name == ORTHANC:
        with socket.create_server((LOOPBACK, 0)) as probe:
            port = int(probe.getsockname()[1])
        settings = {
            "StorageDirectory": str(folder),
            "IndexDirectory": str(folder),
            "HttpServerEnabled": False,
            "DicomPort": port,
            "DicomAet": CALLED,
            "DicomAlwaysAllowStore": True,
            "OverwriteInstances": True,
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        command: list[str | Path] = [_ORTHANC, folder / "orthanc.json"]
    else:
        command = [sys.executable, "-m", "benchmarks.dicom_receivers", name, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            if name != ORTHANC and process.stdout is not None:
                port = int(process.stdout.readline())
            _wait_for(port)
            yield Receiver(name, port, process, folder)
        finally:
            process.kill()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens at port {port} after {_START_SECONDS:g} s")


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
