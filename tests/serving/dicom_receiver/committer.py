"""A system that asks for storage commitment, by pynetdicom, and takes reports over its association and from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from tests.serving.dicom_receiver.running import CALLER, LOOPBACK, MEDGROUND


@dataclass
class Report:
    """What an N-EVENT-REPORT told."""

    event_type: int
    transaction_uid: str
    committed: list[tuple[str, str]]
    failed: list[tuple[str, str, int]]


@dataclass
class Committer:
    """What reports came, and what they are answered with.

    Attributes:
        reports: in the order they came.
        callers: (calling, called) AE titles of the associations that reports came over from outside.
        status: of the answers.
    """

    reports: list[Report] = field(default_factory=list)
    callers: list[tuple[str, str]] = field(default_factory=list)
    status: int = 0x0000
    came: threading.Event = field(default_factory=threading.Event)

    def on_report(self, event: Any) -> tuple[int, None]:
        told = event.event_information
        failed = [
            (str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID), int(one.FailureReason))
            for one in told.get("FailedSOPSequence", [])
        ]
        committed = [
            (str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID))
            for one in told.get("ReferencedSOPSequence", [])
        ]
        self.reports.append(Report(event.event_type, str(told.TransactionUID), committed, failed))
        if event.assoc.is_acceptor:
            self.callers.append((event.assoc.requestor.ae_title, event.assoc.acceptor.primitive.called_ae_title))
        self.came.set()
        return self.status, None

    @contextmanager
    def association(self, port: int, *sop_classes: str, calling: str = CALLER) -> Iterator[Association]:
        """An association with the receiver, over which reports are taken too."""
        entity = AE(ae_title=calling)
        for sop_class in (StorageCommitmentPushModel, *sop_classes):
            entity.add_requested_context(sop_class)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.on_report)]
        association = entity.associate(LOOPBACK, port, ae_title=MEDGROUND, evt_handlers=handlers)
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    @contextmanager
    def listening(self, port: int = 0, *, takes_role: bool = True) -> Iterator[int]:
        """Take reports over associations from outside; the port."""
        entity = AE(ae_title=CALLER)
        roles = {"scu_role": False, "scp_role": True} if takes_role else {}
        entity.add_supported_context(StorageCommitmentPushModel, **roles)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.on_report)]
        server = entity.start_server((LOOPBACK, port), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def request(association: Association, transaction: str, references: Sequence[tuple[str, str]], **changes: Any) -> int:
    """Status that an N-ACTION is answered with."""
    dataset = Dataset()
    dataset.TransactionUID = transaction
    dataset.ReferencedSOPSequence = []
    for sop_class, sop_instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        dataset.ReferencedSOPSequence.append(item)
    arguments = {
        "action_type": 1,
        "class_uid": StorageCommitmentPushModel,
        "instance_uid": StorageCommitmentPushModelInstance,
        **changes,
    }
    status, _ = association.send_n_action(dataset, **arguments)
    return int(status.Status)


def reference(path: Path) -> tuple[str, str]:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)
