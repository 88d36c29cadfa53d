"""An association that somebody else asked for and was granted: his requests are answered until he has no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Final

from medground.serving.dicom_receiver.commands import Command, CommandField, Status, encoded, read_command
from medground.serving.dicom_receiver.commitment_dialogue import CommitmentDialogue
from medground.serving.dicom_receiver.config import ReceiverLimits
from medground.serving.dicom_receiver.fragments import Fragments, drop, send_message
from medground.serving.dicom_receiver.instances import STATUS_OF, Accepted, Intake
from medground.serving.dicom_receiver.negotiation import Context
from medground.serving.dicom_receiver.storage import Caller, receive_instance
from medground.serving.dicom_receiver.wire import AbortReason, EndedError, Ending, Wire

_MOST_DROPPED: Final = 2**26


class Association:
    """An established association.

    Attributes:
        accepted, refused: instances that came in.

    Args:
        wire: that it lives on.
        contexts: that were negotiated, by their ids.
        caller: who asked for it.
        max_pdu_bytes: that he takes, 0 for any.
        intake: what keeps instances.
        dialogue: on storage commitment; None where it is not offered.
        limits: upper bounds.
    """

    def __init__(
        self,
        wire: Wire,
        contexts: Mapping[int, Context],
        caller: Caller,
        *,
        max_pdu_bytes: int,
        intake: Intake,
        dialogue: CommitmentDialogue | None,
        limits: ReceiverLimits,
    ) -> None:
        self.accepted, self.refused = 0, 0
        self._wire, self._contexts, self._caller, self._max_pdu_bytes = wire, contexts, caller, max_pdu_bytes
        self._intake, self._dialogue, self._limits = intake, dialogue, limits
        self._fragments = Fragments(wire, limits.idle_seconds)
        self._lock = threading.Lock()
        self._is_waiting, self._is_stopping = False, False

    def run(self) -> Ending:
        """Answer requests; how it ended.

        Raises:
            EndedError: the other side broke the protocol.
        """
        try:
            while True:
                self._serve(*self._next())
        except EndedError as ended:
            if ended.ending is Ending.BROKEN:
                raise
            is_ours = self._is_stopping and ended.ending is Ending.CLOSED
            return Ending.STOPPED if is_ours else ended.ending

    def stop(self) -> None:
        """End it: at once if it waits for the next request, else when the present one has been answered."""
        with self._lock:
            self._is_stopping = True
            if self._is_waiting:
                self._wire.interrupt()

    def _next(self) -> tuple[Context, Command]:
        with self._lock:
            if self._is_stopping:
                raise EndedError(Ending.STOPPED)
            self._is_waiting = True
        context_id, command = read_command(self._fragments)
        with self._lock:
            self._is_waiting = False
        context = self._contexts.get(context_id)
        if context is None:
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        return context, command

    def _serve(self, context: Context, command: Command) -> None:
        pieces = self._fragments.data_set(context.context_id) if command.has_data_set else iter(())
        if command.field == CommandField.C_STORE_RQ:
            self._store(context, command, pieces)
        elif command.field == CommandField.N_ACTION_RQ and self._dialogue is not None:
            self._answer(context, self._dialogue.request(command, context, pieces))
            self._dialogue.report(self._wire, context, self._max_pdu_bytes)
        elif command.field == CommandField.N_EVENT_REPORT_RSP and self._dialogue is not None:
            drop(pieces, _MOST_DROPPED)
            if not self._dialogue.answered(command):
                raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
            self._dialogue.report(self._wire, context, self._max_pdu_bytes)
        elif command.is_response:
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        elif command.field != CommandField.C_CANCEL_RQ:  # which has nothing to cancel here, and no answer
            drop(pieces, _MOST_DROPPED)
            is_echo = command.field == CommandField.C_ECHO_RQ
            self._answer(context, command.response(Status.SUCCESS if is_echo else Status.UNRECOGNIZED_OPERATION))

    def _store(self, context: Context, command: Command, pieces: Iterator[memoryview]) -> None:
        outcome = receive_instance(
            command, context, pieces, self._caller, self._intake, self._limits.max_instance_bytes
        )
        if isinstance(outcome, Accepted):
            self.accepted += 1
            answer = command.response(Status.SUCCESS)
        else:
            self.refused += 1
            answer = command.response(STATUS_OF[outcome.because], outcome.because)
        self._answer(context, answer)

    def _answer(self, context: Context, answer: Command) -> None:
        send_message(self._wire, context.context_id, encoded(answer), None, self._max_pdu_bytes)
