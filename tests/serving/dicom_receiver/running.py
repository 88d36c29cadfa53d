"""A receiver on loopback with everything it tells, and files to send to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from medground.serving.dicom_receiver.config import Peer, ReceiverConfig, ReceiverLimits
from medground.serving.dicom_receiver.connection import AssociationSummary
from medground.serving.dicom_receiver.instances import InstanceReceived
from medground.serving.dicom_receiver.peers import Refusal
from medground.serving.dicom_receiver.receiver import DicomReceiver
from tests.dicom.conftest import dicom_file
from tests.serving.dicom_receiver.folder_intake import FolderCommitments, FolderIntake

CALLER, MEDGROUND = "CALLER", "MEDGROUND"
LOOPBACK = "127.0.0.1"


@dataclass
class Running:
    """A receiver, the other sides of its protocols, and what it told."""

    receiver: DicomReceiver
    intake: FolderIntake
    commitments: FolderCommitments
    refusals: list[Refusal] = field(default_factory=list)
    summaries: list[AssociationSummary] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.receiver.port


def peer(**changes: Any) -> Peer:
    return Peer(
        **{
            "calling_ae_title": CALLER,
            "called_ae_title": MEDGROUND,
            "network": LOOPBACK,
            "tenant": "hospital",
            **changes,
        }
    )


@contextmanager
def running(
    folder: Path,
    limits: dict[str, Any] | None = None,
    *,
    received: Sequence[tuple[InstanceReceived, Path]] = (),
    **changes: Any,
) -> Iterator[Running]:
    """A receiver that lets `CALLER` in from this machine, unless `changes` of the configuration say otherwise.

    It has what was `received` before it starts.
    """
    intake = FolderIntake(folder / "intake")
    intake.received += received
    commitments = FolderCommitments(folder / "commitments", intake)
    config = ReceiverConfig(**{"port": 0, "peers": (peer(),), "limits": ReceiverLimits(**(limits or {})), **changes})
    refusals: list[Refusal] = []
    summaries: list[AssociationSummary] = []
    receiver = DicomReceiver(config, intake, commitments, on_refusal=refusals.append, on_end=summaries.append)
    with receiver:
        yield Running(receiver, intake, commitments, refusals, summaries)


def write_image(
    path: Path, number: int = 1, *, rows: int = 64, syntax: str = ExplicitVRLittleEndian, **elements: Any
) -> Path:
    """A CT slice with noise in it, whose UIDs end with `number`."""
    pixels = np.random.default_rng(number).integers(0, 4096, (rows, 64)).astype(np.uint16)
    own = {"SOPClassUID": CTImageStorage, "Modality": "CT", "SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.{number}"}
    path.write_bytes(dicom_file(pixels, syntax=syntax, **{**own, **elements}))
    return path


def eventually(holds: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()
