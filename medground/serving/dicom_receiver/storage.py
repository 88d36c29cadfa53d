"""Storage: a C-STORE request becomes a file of the intake, or a refusal that says whether to send it again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from medground.schema.errors import InputError
from medground.serving.dicom_receiver.commands import Command
from medground.serving.dicom_receiver.config import Peer
from medground.serving.dicom_receiver.fragments import drop
from medground.serving.dicom_receiver.identity import HEAD_BYTES, is_announced
from medground.serving.dicom_receiver.instances import Accepted, InstanceReceived, Intake, Refused, RefusedBecause
from medground.serving.dicom_receiver.negotiation import Context
from medground.serving.dicom_receiver.part10 import part10_head
from medground.serving.dicom_receiver.sop_classes import STORAGE_CLASSES
from medground.serving.dicom_receiver.wire import EndedError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has an association with us."""

    peer: Peer
    address: str


def receive_instance(
    command: Command, context: Context, pieces: Iterator[memoryview], caller: Caller, intake: Intake, max_bytes: int
) -> Accepted | Refused:
    """Take the data set of a C-STORE request.

    Args:
        command: the request.
        context: that it came in.
        pieces: of the data set; read to the end whatever becomes of it.
        caller: who sends it.
        intake: what keeps it.
        max_bytes: of the data set.

    Raises:
        EndedError: the association ends before the data set does; nothing is left of it.
    """
    if not command.has_data_set:
        return Refused(RefusedBecause.NOT_UNDERSTOOD)
    outcome: Accepted | Refused
    if command.sop_class_uid != context.sop_class_uid or context.sop_class_uid not in STORAGE_CLASSES:
        outcome = Refused(RefusedBecause.CLASS_NOT_SUPPORTED)
    elif not command.sop_instance_uid:
        outcome = Refused(RefusedBecause.NOT_UNDERSTOOD)
    else:
        outcome = _taken(command, context, pieces, caller, intake, max_bytes)
    drop(pieces, max_bytes)
    return outcome


def _taken(
    command: Command, context: Context, pieces: Iterator[memoryview], caller: Caller, intake: Intake, max_bytes: int
) -> Accepted | Refused:
    announced = (command.sop_class_uid, command.sop_instance_uid)
    syntax = context.transfer_syntax_uid
    head, size = bytearray(), 0
    try:
        with intake.incoming() as file:
            file.write(part10_head(*announced, syntax))
            for piece in pieces:
                size += len(piece)
                if size > max_bytes:
                    return Refused(RefusedBecause.TOO_LARGE)
                head += piece[: HEAD_BYTES - len(head)]
                file.write(piece)
            if not is_announced(bytes(head), syntax, announced):
                return Refused(RefusedBecause.NOT_AS_ANNOUNCED)
            peer = caller.peer
            titles = (peer.calling_ae_title, peer.called_ae_title)
            received = InstanceReceived(file, size, *announced, syntax, peer.tenant, *titles, caller.address)
            return intake.accept(received)
    except EndedError:
        raise
    except InputError as error:
        _log.info("an instance cannot be understood (%s)", type(error).__name__)
        return Refused(RefusedBecause.NOT_UNDERSTOOD)
    except Exception as error:  # a full disk, a database that is gone, a mistake of ours: the sender keeps it for now
        _log.warning("an instance could not be kept (%s)", type(error).__name__)
        return Refused(RefusedBecause.NO_ROOM)
