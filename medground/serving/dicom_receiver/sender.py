"""The sender: instances go to another system by C-STORE, as the bytes that they are; retries are the caller's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from medground.schema.errors import InputError, PeerError
from medground.serving.dicom_receiver.commands import Command, CommandField, encoded
from medground.serving.dicom_receiver.config import Remote
from medground.serving.dicom_receiver.delivery import Delivery, Outcome, outcome_of
from medground.serving.dicom_receiver.fragments import pdu_head, piece_bytes, send_message
from medground.serving.dicom_receiver.negotiation import MOST_CONTEXTS, Context
from medground.serving.dicom_receiver.part10 import Part10Head, read_part10_head
from medground.serving.dicom_receiver.requester import RequestedAssociation, Timeouts, association
from medground.serving.dicom_receiver.sop_classes import name_of

_DATA, _DATA_LAST = 0, 2


def send(
    instances: Sequence[Path],
    remote: Remote,
    calling: str,
    *,
    timeouts: Timeouts | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Outcome, ...]:
    """Send instances to another system, over one association if they have at most 128 kinds.

    Nothing is decoded or converted: an instance is offered in its own transfer syntax alone, and where the other system
    does not take that, it fails for good.

    Args:
        instances: files in the format of PS3.10.
        remote: where to.
        calling: our AE title.
        timeouts: how long to wait; the defaults of `Timeouts` if None.
        clock: seconds that never go back.

    Returns:
        What became of each, in their order.

    Raises:
        UsageError: our TLS files cannot be used.
    """
    outcomes: dict[int, Outcome] = {}
    heads: dict[int, Part10Head] = {}
    for number, path in enumerate(instances):
        try:
            heads[number] = read_part10_head(path)
        except InputError as error:
            outcomes[number] = Outcome(Delivery.PERMANENT, None, str(error))
    kinds = list(dict.fromkeys((head.sop_class_uid, head.transfer_syntax_uid) for head in heads.values()))
    for start in range(0, len(kinds), MOST_CONTEXTS):
        some = kinds[start : start + MOST_CONTEXTS]
        chosen = {
            number: (instances[number], head)
            for number, head in heads.items()
            if (head.sop_class_uid, head.transfer_syntax_uid) in some
        }
        proposed = [(sop_class, (syntax,)) for sop_class, syntax in some]
        try:
            with association(remote, calling, proposed, timeouts=timeouts or Timeouts(), clock=clock) as asked:
                for number, (path, head) in chosen.items():
                    outcomes[number] = _send_one(asked, path, head, number % 0xFFFF + 1)
        except PeerError as error:
            delivery = Delivery.TRANSIENT if error.is_transient else Delivery.PERMANENT
            outcomes |= {number: Outcome(delivery, None, str(error)) for number in chosen if number not in outcomes}
    return tuple(outcomes[number] for number in range(len(instances)))


def _send_one(asked: RequestedAssociation, path: Path, head: Part10Head, message_id: int) -> Outcome:
    context = asked.context_for(head.sop_class_uid, head.transfer_syntax_uid)
    if context is None:
        kind = f"{name_of(head.sop_class_uid)} in {name_of(head.transfer_syntax_uid)}"
        return Outcome(Delivery.PERMANENT, None, f"the other system does not take {kind}")
    command = Command(
        field=CommandField.C_STORE_RQ,
        message_id=message_id,
        sop_class_uid=head.sop_class_uid,
        sop_instance_uid=head.sop_instance_uid,
        has_data_set=True,
    )
    try:
        file = path.open("rb")
    except OSError as cause:
        return Outcome(Delivery.TRANSIENT, None, f"the file cannot be read ({type(cause).__name__})")
    with file:
        size = file.seek(0, 2) - head.size_bytes
        if size <= 0:
            return Outcome(Delivery.PERMANENT, None, "the file has no data set: export it again")
        file.seek(head.size_bytes)
        _send_message(asked, context, command, file.read, size)
    status = asked.answer_to(command).status
    return outcome_of(status) if status is not None else Outcome(Delivery.TRANSIENT, None, "the answer has no status")


def _send_message(
    asked: RequestedAssociation, context: Context, command: Command, read: Callable[[int], bytes], size: int
) -> None:
    """Send a command and its data set, which is never in memory as a whole.

    Raises:
        PeerError: the data set cannot be read to its end, so the association cannot go on.
    """
    send_message(asked.wire, context.context_id, encoded(command), None, asked.max_pdu_bytes)
    piece, left = piece_bytes(asked.max_pdu_bytes), size
    while left:
        try:
            data = read(min(piece, left))
        except OSError as cause:
            raise PeerError(f"a file cannot be read ({type(cause).__name__})", is_transient=True) from cause
        if not data:
            raise PeerError("a file became shorter while it was sent", is_transient=True)
        left -= len(data)
        asked.wire.send(pdu_head(len(data), context.context_id, _DATA if left else _DATA_LAST) + data)
