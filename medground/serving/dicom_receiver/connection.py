"""A connection that somebody else made: who he is, whether he is let in, and the association that he gets."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from pynetdicom.presentation import PresentationContext

from medground.serving.dicom_receiver.association import Association
from medground.serving.dicom_receiver.commitment_dialogue import CommitmentDialogue
from medground.serving.dicom_receiver.commitment_reports import CommitmentReports
from medground.serving.dicom_receiver.config import Peer, ReceiverLimits
from medground.serving.dicom_receiver.instances import Intake
from medground.serving.dicom_receiver.negotiation import (
    APPLICATION_CONTEXT,
    AssociationRequest,
    Titles,
    abort,
    acceptance,
    read_request,
    read_titles,
    rejection,
    release_response,
)
from medground.serving.dicom_receiver.peers import REJECTIONS, Address, Peers, Refusal, RefusalReason, printable_title
from medground.serving.dicom_receiver.storage import Caller
from medground.serving.dicom_receiver.wire import AbortReason, EndedError, Ending, PduType, Wire

_log = logging.getLogger(__name__)
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class AssociationSummary:
    """An association that is over, for the audit log.

    Attributes:
        tenant, calling_ae_title, called_ae_title: of the peer.
        address: of the caller.
        accepted, refused: instances that came in.
        ending: how it ended.
    """

    tenant: str
    calling_ae_title: str
    called_ae_title: str
    address: str
    accepted: int
    refused: int
    ending: Ending


@dataclass(frozen=True, slots=True)
class Receiving:
    """What all connections of a receiver share.

    Attributes:
        peers: who may call.
        limits: upper bounds.
        contexts: SOP classes and transfer syntaxes that are accepted.
        places: one for each association at once.
        intake: what keeps instances.
        reports: of storage commitment; None where it is not offered.
        tls: None in plain text.
        on_refusal: told who was not let in.
        on_end: told of each association that is over.
        clock: seconds that never go back.
    """

    peers: Peers
    limits: ReceiverLimits
    contexts: Sequence[PresentationContext]
    places: threading.Semaphore
    intake: Intake
    reports: CommitmentReports | None
    tls: ssl.SSLContext | None
    on_refusal: Callable[[Refusal], None]
    on_end: Callable[[AssociationSummary], None]
    clock: Callable[[], float]

    def refuse(self, refusal: Refusal) -> None:
        """Tell of somebody who was not let in; that this fails lets nobody in."""
        try:
            self.on_refusal(refusal)
        except Exception as error:
            _log.error("a refusal could not be noted (%s)", type(error).__name__)


class Connection:
    """One connection, in a thread of its own.

    Args:
        receiving: shared with all others.
        wire: to the caller.
        address: of the caller.
    """

    def __init__(self, receiving: Receiving, wire: Wire, address: Address) -> None:
        self._receiving, self._wire, self._address = receiving, wire, address
        self._lock = threading.Lock()
        self._association: Association | None = None
        self._is_stopping = False

    @property
    def is_association(self) -> bool:
        """Whether it is one by now."""
        return self._association is not None

    def run(self) -> None:
        """From the first byte to the last; raises nothing."""
        last_words, linger = b"", True
        try:
            last_words = self._last_words()
        except EndedError as ended:
            linger = ended.ending not in (Ending.CLOSED, Ending.ABORTED)
            last_words = abort(ended.abort_reason) if ended.ending is Ending.BROKEN else b""
        except Exception as error:
            _log.error("an association failed (%s)", type(error).__name__)
            last_words = abort(AbortReason.NOT_SPECIFIED)
        finally:
            with suppress(EndedError):
                if last_words:
                    self._wire.send(last_words)
            self._wire.close(linger=linger)

    def stop(self) -> None:
        """End it: at once if nothing is being answered, else after the answer."""
        with self._lock:
            self._is_stopping = True
            if self._association is not None:
                self._association.stop()
            else:
                self._wire.cut()

    def cut(self) -> None:
        """End it in the middle of whatever it does."""
        self._wire.cut()

    def _last_words(self) -> bytes:
        """Everything but what is said last, which is returned."""
        body = self._request()
        if body is None:
            return b""
        titles = self._read(read_titles, body)
        peer = self._known(titles)
        if isinstance(peer, RefusalReason):
            return self._reject(peer, titles)
        request = self._read(read_request, body)
        reason = self._unwanted(request)
        if reason is not None:
            return self._reject(reason, titles)
        ending = self._serve(request, peer)
        if ending is Ending.RELEASED:
            return release_response()
        if ending in (Ending.SILENT, Ending.STOPPED):
            return abort(None)
        raise EndedError(ending)

    def _request(self) -> memoryview | None:
        """What is asked for, as it came; None if it did not come to that."""
        deadline = self._receiving.clock() + self._receiving.limits.associate_seconds
        try:
            if self._receiving.tls is not None:
                self._wire.handshake(self._receiving.tls, deadline)
        except EndedError:
            self._refuse(RefusalReason.TLS)
            return None
        try:
            left = deadline - self._receiving.clock()
            kind, body = self._wire.read(left, whole_seconds=left)
            if kind != PduType.ASSOCIATE_RQ:
                raise EndedError(Ending.BROKEN, AbortReason.UNEXPECTED_PDU)
            return body
        except EndedError:
            self._refuse(RefusalReason.NO_REQUEST)
            raise

    def _read(self, read: Callable[[memoryview], Part], body: memoryview) -> Part:
        try:
            return read(body)
        except EndedError:
            self._refuse(RefusalReason.NO_REQUEST)
            raise

    def _known(self, titles: Titles) -> Peer | RefusalReason:
        """Who asks, or why he is refused."""
        if not titles.is_version_1:
            return RefusalReason.PROTOCOL_VERSION
        return self._receiving.peers.find(titles.calling, titles.called, self._address)

    def _unwanted(self, request: AssociationRequest) -> RefusalReason | None:
        """Why somebody who is known is refused; if he is not, he has a place now."""
        if request.application_context != APPLICATION_CONTEXT:
            return RefusalReason.APPLICATION_CONTEXT
        return None if self._receiving.places.acquire(blocking=False) else RefusalReason.ASSOCIATIONS

    def _reject(self, reason: RefusalReason, titles: Titles) -> bytes:
        self._refuse(reason, titles)
        return rejection(REJECTIONS[reason])

    def _refuse(self, reason: RefusalReason, titles: Titles | None = None) -> None:
        calling, called = map(printable_title, (titles.calling, titles.called) if titles is not None else ("", ""))
        self._receiving.refuse(Refusal(reason, str(self._address), calling, called))

    def _serve(self, request: AssociationRequest, peer: Peer) -> Ending:
        """The association; its place is free again when this returns, since whoever hears the end may come back."""
        shared, ending = self._receiving, Ending.FAILED
        dialogue = None
        if shared.reports is not None:
            dialogue = CommitmentDialogue(shared.reports, peer, shared.limits.max_commitment_bytes)
        association = None
        try:
            answer, contexts = acceptance(request, shared.contexts, shared.limits.max_pdu_bytes)
            association = Association(
                self._wire,
                contexts,
                Caller(peer, str(self._address)),
                max_pdu_bytes=request.max_pdu_bytes,
                intake=shared.intake,
                dialogue=dialogue,
                limits=shared.limits,
            )
            with self._lock:
                self._association = association
                if self._is_stopping:
                    association.stop()
            self._wire.send(answer)
            ending = association.run()
        except EndedError as ended:
            ending = ended.ending
            raise
        finally:
            if dialogue is not None:
                dialogue.close()
            shared.places.release()
            self._note_end(peer, association, ending)
        return ending

    def _note_end(self, peer: Peer, association: Association | None, ending: Ending) -> None:
        counts = (association.accepted, association.refused) if association is not None else (0, 0)
        titles = (peer.calling_ae_title, peer.called_ae_title)
        try:
            self._receiving.on_end(AssociationSummary(peer.tenant, *titles, str(self._address), *counts, ending))
        except Exception as error:
            _log.error("the end of an association could not be noted (%s)", type(error).__name__)
