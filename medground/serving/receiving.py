"""Receiving: the DICOM side of a service, with its intake, its commitments, and who was not let in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind, Outcome
from medground.serving.commitments import Commitments
from medground.serving.dicom_receiver.config import ReceiverConfig
from medground.serving.dicom_receiver.connection import AssociationSummary
from medground.serving.dicom_receiver.instances import Accepted, IncomingFile, InstanceReceived, Refused
from medground.serving.dicom_receiver.peers import Refusal
from medground.serving.dicom_receiver.receiver import DicomReceiver
from medground.serving.intake import Origin, Sender
from medground.serving.objects import Incoming
from medground.serving.service import Service
from medground.serving.times import now_us

TOLD_AGAIN_S, MOST_TOLD = 600.0, 4096


class Told:
    """Which studies of which peers the audit log was told of lately, so that each has one entry and not each image.

    Args:
        monotonic_s: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._since_s: dict[tuple[str, str, str], float] = {}

    def is_due(self, key: tuple[str, str, str]) -> bool:
        """Whether it is to be told again: never yet, or long ago."""
        with self._lock:
            since = self._since_s.get(key)
        return since is None or self._monotonic_s() - since >= TOLD_AGAIN_S

    def done(self, key: tuple[str, str, str]) -> None:
        """It was told."""
        with self._lock:
            now = self._since_s[key] = self._monotonic_s()
            if len(self._since_s) > MOST_TOLD:
                self._since_s = {one: at for one, at in self._since_s.items() if now - at < TOLD_AGAIN_S}
            if len(self._since_s) > MOST_TOLD:
                self._since_s.clear()  # then some are told twice


@dataclass(frozen=True, slots=True)
class ServiceIntake:
    """The intake that HTTP has too. A study of a peer is in the audit log before its first image is answered."""

    service: Service
    told: Told

    def incoming(self) -> AbstractContextManager[IncomingFile]:
        """A new file in the store."""
        return self.service.store.incoming()

    def accept(self, received: InstanceReceived, /) -> Accepted | Refused:
        """Keep an instance.

        Raises:
            InputError: it is no image that can be read.
        """
        count = self.service.metrics.instances
        sender = Sender(received.tenant, Origin.DICOM, received.calling_ae_title)
        try:
            kept = self.service.intake.accept(cast(Incoming, received.file), sender)
            self._tell(received, kept.study_key)
        except Exception:
            count.labels(origin=Origin.DICOM.value, outcome="refused").inc()
            raise
        count.labels(origin=Origin.DICOM.value, outcome="accepted").inc()
        return Accepted()

    def _tell(self, received: InstanceReceived, study_key: str) -> None:
        key = (received.tenant, study_key, received.calling_ae_title)
        if self.told.is_due(key):
            event = AuditEvent(
                action=Action.STUDY_STORED,
                actor_kind=ActorKind.DICOM,
                actor=received.calling_ae_title.strip(),
                tenant=received.tenant,
                source=received.address,
                object_kind=ObjectKind.STUDY,
                object_id=study_key,
            )
            self.service.audit.append(event)
            self.told.done(key)


@contextmanager
def receiving(service: Service, config: ReceiverConfig, say: Callable[[str], None]) -> Iterator[None]:
    """Receive DICOM while the block lasts.

    Args:
        service: whose images they become.
        config: who may send.
        say: told in words for people where it listens.

    Raises:
        UsageError: it cannot listen there.
    """

    def refused(refusal: Refusal) -> None:
        reason = refusal.reason.name.lower()
        service.metrics.refusals.labels(reason=reason).inc()
        service.log.warning("association_refused", reason=reason)
        repeated = service.refusals.admit(refusal.address, reason)
        if repeated is not None:
            title = refusal.calling_ae_title
            _record(service, Action.REFUSED, refusal.address, title, "", reason=reason, repeated=repeated)

    def ended(summary: AssociationSummary) -> None:
        service.log.info("association", count=summary.accepted, outcome=summary.ending.name.lower())
        if summary.accepted or summary.refused:
            counts = {"accepted": summary.accepted, "rejected": summary.refused}
            _record(service, Action.STUDY_STORED, summary.address, summary.calling_ae_title, summary.tenant, **counts)

    commitments = Commitments(service.engine, service.store, now_us)
    receiver = DicomReceiver(
        config, ServiceIntake(service, Told(time.monotonic)), commitments, on_refusal=refused, on_end=ended
    )
    with receiver:
        service.log.info("receiving", host=str(config.host), port=receiver.port)
        say(f"receiving DICOM on {config.host}:{receiver.port} from {len(config.peers)} peer(s)")
        yield


def _record(service: Service, action: Action, address: str, calling_ae: str, tenant: str, **details: str | int) -> None:
    """Append to the audit log; a log that cannot be written ends no association."""
    title = calling_ae.strip()
    event = AuditEvent(
        action=action,
        outcome=Outcome.SUCCESS if action is not Action.REFUSED else Outcome.MINOR_FAILURE,
        actor_kind=ActorKind.DICOM if title else ActorKind.UNKNOWN,
        actor=title,
        tenant=tenant,
        source=address,
        details=details,
    )
    try:
        service.audit.append(event)
    except Exception as error:
        service.log.error("audit_failed", kind=type(error).__name__)
