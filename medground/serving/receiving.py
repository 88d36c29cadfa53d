"""Receiving: the DICOM side of a service, with its intake, its commitments, and who was not let in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

from medground.audit.event import Action, ActorKind, AuditEvent, Outcome
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


@dataclass(frozen=True, slots=True)
class ServiceIntake:
    """The receiver's intake: the same one that HTTP has."""

    service: Service

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
            self.service.intake.accept(cast(Incoming, received.file), sender)
        except Exception:
            count.labels(origin=Origin.DICOM.value, outcome="refused").inc()
            raise
        count.labels(origin=Origin.DICOM.value, outcome="accepted").inc()
        return Accepted()


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
    receiver = DicomReceiver(config, ServiceIntake(service), commitments, on_refusal=refused, on_end=ended)
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
