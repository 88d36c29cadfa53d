"""Associations that we ask for: to send instances, and to report on storage commitment."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from medground.schema.errors import PeerError
from medground.serving.dicom_receiver.commands import Command, encoded, read_command
from medground.serving.dicom_receiver.config import Remote
from medground.serving.dicom_receiver.fragments import Fragments, send_message
from medground.serving.dicom_receiver.negotiation import (
    Context,
    abort,
    association_request,
    read_acceptance,
    read_rejection,
    release_request,
)
from medground.serving.dicom_receiver.peers import Rejection
from medground.serving.dicom_receiver.tls import client_context
from medground.serving.dicom_receiver.wire import AbortReason, EndedError, Ending, PduType, Wire

_MAX_PDU_BYTES: Final = 2**16  # only answers come in
_REASONS = {
    (1, 3): "it does not know our AE title",
    (1, 7): "that is not its AE title",
    (3, 1): "it is busy",
    (3, 2): "it has too many associations",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for another system, seconds.

    Attributes:
        connect: for the connection, TLS included.
        answer: for the answer to a request.
        send: until what is sent has been taken.
    """

    connect: float = 10.0
    answer: float = 120.0
    send: float = 60.0


class RequestedAssociation:
    """An association that was accepted; made by `association`.

    Attributes:
        max_pdu_bytes: that the other side takes, 0 for any.
    """

    def __init__(self, wire: Wire, contexts: dict[int, Context], max_pdu_bytes: int, answer_seconds: float) -> None:
        self.max_pdu_bytes = max_pdu_bytes
        self.wire = wire
        self._contexts = contexts
        self._fragments = Fragments(wire, answer_seconds)

    def context_for(self, sop_class_uid: str, transfer_syntax_uid: str | None = None) -> Context | None:
        """The accepted context of a SOP class (with a transfer syntax, if given); None if there is none."""
        return next(
            (
                context
                for context in self._contexts.values()
                if context.sop_class_uid == sop_class_uid and transfer_syntax_uid in (None, context.transfer_syntax_uid)
            ),
            None,
        )

    def ask(self, context: Context, command: Command, data_set: bytes | None = None) -> Command:
        """Send a request and wait for its answer.

        Raises:
            EndedError: the association ends.
        """
        send_message(self.wire, context.context_id, encoded(command), data_set, self.max_pdu_bytes)
        return self.answer_to(command)

    def answer_to(self, command: Command) -> Command:
        """Wait for the answer to a request that was sent.

        Raises:
            EndedError: the association ends, or something else comes.
        """
        _, answer = read_command(self._fragments)
        if not answer.is_response or answer.responded_id != command.message_id or answer.has_data_set:
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        return answer


@contextmanager
def association(
    remote: Remote,
    calling: str,
    proposed: Sequence[tuple[str, Sequence[str]]],
    *,
    timeouts: Timeouts,
    clock: Callable[[], float],
    provided: Sequence[str] = (),
) -> Iterator[RequestedAssociation]:
    """An association with another system, released at the end of the block.

    Args:
        remote: the other system.
        calling: our AE title.
        proposed: SOP class and transfer syntaxes of each context.
        timeouts: how long to wait.
        clock: seconds that never go back.
        provided: SOP classes that we are the provider of.

    Raises:
        PeerError: it is not reached, does not want to, or the association ends early, in the block too.
        UsageError: our TLS files cannot be used.
    """
    connection = _connected(remote, timeouts.connect)
    wire = Wire(
        connection,
        max_pdu_bytes=_MAX_PDU_BYTES,
        pdu_seconds=timeouts.answer,
        send_seconds=timeouts.send,
        clock=clock,
    )
    is_over = False
    try:
        wire.send(association_request(calling, remote.ae_title, proposed, _MAX_PDU_BYTES, provided))
        kind, body = wire.read(timeouts.answer)
        if kind == PduType.ASSOCIATE_RJ:
            is_over = True
            raise _rejected(remote, read_rejection(body))
        if kind != PduType.ASSOCIATE_AC:
            raise EndedError(Ending.ABORTED if kind == PduType.ABORT else Ending.BROKEN, AbortReason.UNEXPECTED_PDU)
        contexts, max_pdu_bytes = read_acceptance(body, proposed)
        yield RequestedAssociation(wire, contexts, max_pdu_bytes, timeouts.answer)
        is_over = True
        _release(wire, timeouts.answer)
    except EndedError as ended:
        is_over = ended.ending in (Ending.ABORTED, Ending.CLOSED, Ending.RELEASED)
        raise PeerError(f"the association with {remote.ae_title} ended: {ended}", is_transient=True) from ended
    finally:
        if not is_over:
            with suppress(EndedError):
                wire.send(abort(None))
        wire.close(linger=not is_over)


def _connected(remote: Remote, seconds: float) -> socket.socket:
    where = f"{remote.ae_title} at port {remote.port} of {remote.host}"
    context = client_context(remote.tls) if remote.tls is not None else None
    try:
        connection = socket.create_connection((remote.host, remote.port), seconds)
    except (OSError, ValueError) as cause:
        raise PeerError(
            f"{where} is not reached ({type(cause).__name__}); try again later", is_transient=True
        ) from cause
    if context is None:
        return connection
    try:
        return context.wrap_socket(connection, server_hostname=remote.host)
    except ssl.SSLCertVerificationError as cause:
        connection.close()
        raise PeerError(f"{where} shows a certificate that does not count ({cause.verify_message})") from cause
    except (OSError, ValueError) as cause:
        connection.close()
        raise PeerError(f"{where} speaks no TLS that we do ({type(cause).__name__})", is_transient=True) from cause


def _rejected(remote: Remote, fields: Rejection) -> PeerError:
    why = _REASONS.get((fields.source, fields.reason), f"source {fields.source}, reason {fields.reason}")
    is_transient = fields.result == 2
    how = "for now" if is_transient else "for good; check the titles, and whether it knows this system"
    return PeerError(f"{remote.ae_title} refuses the association ({why}) {how}", is_transient=is_transient)


def _release(wire: Wire, seconds: float) -> None:
    """Part in good order; that it does not work out changes nothing that was answered before."""
    with suppress(EndedError):
        wire.send(release_request())
        while wire.read(seconds)[0] not in (PduType.RELEASE_RP, PduType.ABORT):
            pass
