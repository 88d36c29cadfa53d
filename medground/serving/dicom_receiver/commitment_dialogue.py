"""Storage commitment within one association: requests are answered, and reported on while it lasts."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from typing import Final

from medground.dicom.limits import Limits
from medground.schema.errors import InputError
from medground.serving.dicom_receiver.commands import Command, Status, encoded
from medground.serving.dicom_receiver.commitment import (
    REQUEST_ACTION,
    CommitmentRequest,
    RequestKey,
    read_action,
    report,
)
from medground.serving.dicom_receiver.commitment_reports import CommitmentReports, has_arrived
from medground.serving.dicom_receiver.config import Peer
from medground.serving.dicom_receiver.fragments import drop, send_message
from medground.serving.dicom_receiver.negotiation import Context
from medground.serving.dicom_receiver.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from medground.serving.dicom_receiver.wire import Wire

_log = logging.getLogger(__name__)
_MOST_DROPPED: Final = 2**26
_MOST_MESSAGE_ID: Final = 0xFFFF


class CommitmentDialogue:
    """The commitments of one association.

    Args:
        reports: of all associations.
        peer: who asks.
        max_bytes: of a request.
    """

    def __init__(self, reports: CommitmentReports, peer: Peer, max_bytes: int) -> None:
        self._reports, self._peer, self._max_bytes = reports, peer, max_bytes
        self._waiting: deque[CommitmentRequest] = deque()
        self._sent: CommitmentRequest | None = None
        self._tried: set[RequestKey] = set()
        self._message_id = 0

    def request(self, command: Command, context: Context, pieces: Iterator[memoryview]) -> Command:
        """Take an N-ACTION request; the answer to it, after which `report` is to be called.

        Args:
            command: the request.
            context: that it came in.
            pieces: of its data set; read to the end.

        Raises:
            EndedError: the association ends.
        """
        content = bytearray()
        for piece in pieces if command.has_data_set else ():
            content += piece
            if len(content) > self._max_bytes:
                drop(pieces, _MOST_DROPPED)
                return command.response(Status.RESOURCE_LIMITATION, "the list is longer than what is taken here")
        if (command.sop_class_uid, context.sop_class_uid) != (STORAGE_COMMITMENT, STORAGE_COMMITMENT):
            return command.response(Status.SOP_CLASS_NOT_SUPPORTED)
        if command.sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
            return command.response(Status.NO_SUCH_INSTANCE)
        if command.action_type != REQUEST_ACTION:
            return command.response(Status.NO_SUCH_ACTION)
        titles = (self._peer.calling_ae_title, self._peer.called_ae_title)
        limits = Limits(max_header_bytes=self._max_bytes)
        try:
            asked = read_action(bytes(content), context.transfer_syntax_uid, self._peer.tenant, *titles, limits)
            self._reports.requested(asked)
        except InputError:
            return command.response(Status.INVALID_ARGUMENT, "no transaction UID, or no references with UIDs")
        except Exception as error:  # of the store: the caller is to ask again
            _log.warning("a request for storage commitment could not be kept (%s)", type(error).__name__)
            return command.response(Status.PROCESSING_FAILURE, "it cannot be kept now; ask again later")
        self._waiting.append(asked)
        return command.response(Status.SUCCESS)

    def report(self, wire: Wire, context: Context, max_pdu_bytes: int) -> None:
        """Send the next report, unless one has not been answered yet: first on new requests, then on older ones.

        What was answered with a failure that may pass is not sent again over the same association.

        Args:
            wire: of the association.
            context: that the last message came in; nothing is sent unless it is one of storage commitment.
            max_pdu_bytes: that the other side takes, 0 for any.

        Raises:
            EndedError: the association ends.
        """
        while self._sent is None and context.sop_class_uid == STORAGE_COMMITMENT:
            try:
                asked = self._waiting.popleft() if self._waiting else self._reports.take(self._peer, self._tried)
            except Exception as error:
                _log.warning("requests for storage commitment cannot be read (%s)", type(error).__name__)
                return
            if asked is None:
                return
            try:
                verdicts = self._reports.judge(asked)
            except Exception as error:
                _log.warning("a request for storage commitment cannot be judged (%s)", type(error).__name__)
                self._done(asked, arrived=False)
                return
            self._sent = asked
            self._tried.add(asked.key)
            self._message_id = self._message_id % _MOST_MESSAGE_ID + 1
            command, content = report(asked, verdicts, self._message_id, context.transfer_syntax_uid)
            send_message(wire, context.context_id, encoded(command), content, max_pdu_bytes)

    def answered(self, answer: Command) -> bool:
        """Take the answer to a report; False if none was sent that it could answer."""
        asked = self._sent
        if asked is None or answer.responded_id != self._message_id:
            return False
        self._sent = None
        self._done(asked, arrived=has_arrived(answer.status))
        return True

    def close(self) -> None:
        """The association is over; what was not reported on will be by other ways."""
        left = [*([self._sent] if self._sent is not None else []), *self._waiting]
        self._sent = None
        self._waiting.clear()
        for asked in left:
            self._done(asked, arrived=False)

    def _done(self, asked: CommitmentRequest, *, arrived: bool) -> None:
        try:
            self._reports.done(asked, arrived=arrived)
        except Exception as error:  # of the store; the report will be sent again
            _log.warning("a report of storage commitment could not be crossed off (%s)", type(error).__name__)
