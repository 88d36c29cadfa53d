"""Fragments: a message comes as pieces of its command and its data set, several to a PDU or a PDU to each."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from medground.serving.dicom_receiver.wire import AbortReason, EndedError, Ending, PduType, Wire

_ITEM: Final = struct.Struct(">LBB")
_COMMAND, _LAST = 1, 2
_EMPTY = memoryview(b"")
_PDU_HEAD: Final = struct.Struct(">BxLLBB")  # of a PDU with one fragment
_LONGEST: Final = 2**18


@dataclass(frozen=True, slots=True)
class Fragment:
    """A presentation data value (PS3.8 9.3.5.1 and annex E).

    Attributes:
        context_id: of the presentation context.
        is_command: of the command, else of the data set.
        is_last: of its command or data set.
        data: valid until the next fragment is asked for.
    """

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


class Fragments:
    """The fragments that come over a wire.

    Args:
        wire: of an established association.
        idle_seconds: how long to wait for each PDU.
    """

    def __init__(self, wire: Wire, idle_seconds: float) -> None:
        self._wire, self._idle_seconds = wire, idle_seconds
        self._rest = _EMPTY

    def next(self) -> Fragment:
        """The next one.

        Raises:
            EndedError: the other side releases or aborts the association, is silent, or sends what is no fragment.
        """
        while not self._rest:
            kind, body = self._wire.read(self._idle_seconds)
            if kind == PduType.RELEASE_RQ:
                raise EndedError(Ending.RELEASED)
            if kind == PduType.ABORT:
                raise EndedError(Ending.ABORTED)
            if kind != PduType.DATA:
                raise EndedError(Ending.BROKEN, AbortReason.UNEXPECTED_PDU)
            self._rest = body
        if len(self._rest) < _ITEM.size:
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        length, context_id, control = _ITEM.unpack_from(self._rest)
        end = 4 + length
        if not _ITEM.size <= end <= len(self._rest):
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        data, self._rest = self._rest[_ITEM.size : end], self._rest[end:]
        return Fragment(context_id, bool(control & _COMMAND), bool(control & _LAST), data)

    def data_set(self, context_id: int) -> Iterator[memoryview]:
        """The pieces of the data set that belongs to the command that was just read.

        Raises:
            EndedError: as `next`, or something else comes in between.
        """
        is_last = False
        while not is_last:
            fragment = self.next()
            if fragment.is_command or fragment.context_id != context_id:
                raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
            is_last = fragment.is_last
            yield fragment.data


def drop(pieces: Iterator[memoryview], at_most: int) -> None:
    """Read the rest of a data set that nobody wants, so that its refusal can be answered.

    Args:
        pieces: see `Fragments.data_set`.
        at_most: bytes; whoever sends more is cut off.

    Raises:
        EndedError: as `Fragments.data_set`, or more than that came.
    """
    dropped = 0
    for piece in pieces:
        dropped += len(piece)
        if dropped > at_most:
            raise EndedError(Ending.BROKEN)


def send_message(wire: Wire, context_id: int, command: bytes, data_set: bytes | None, max_pdu_bytes: int) -> None:
    """Send a command and its data set, in fragments as long as the other side takes.

    Args:
        wire: of an established association.
        context_id: of the presentation context.
        command: encoded.
        data_set: encoded, None where the command has none.
        max_pdu_bytes: see `piece_bytes`.

    Raises:
        EndedError: it cannot be sent.
    """
    piece = piece_bytes(max_pdu_bytes)
    for content, kind in ((command, _COMMAND), (data_set, 0)):
        for start in range(0, len(content or b""), piece):
            data = (content or b"")[start : start + piece]
            control = kind | (_LAST if start + piece >= len(content or b"") else 0)
            wire.send(pdu_head(len(data), context_id, control) + data)


def piece_bytes(max_pdu_bytes: int) -> int:
    """How much of a data set goes into a PDU; an even number (PS3.8 annex E).

    Args:
        max_pdu_bytes: as the other side announced it, 0 for any.
    """
    bound = min(max_pdu_bytes, _LONGEST) if max_pdu_bytes else _LONGEST
    return max(bound - _ITEM.size, 2) // 2 * 2


def pdu_head(data_bytes: int, context_id: int, control: int) -> bytes:
    """What stands before the data of a PDU with one fragment.

    Args:
        data_bytes: length of the data.
        context_id: of the presentation context.
        control: 1 for a command, plus 2 for the last fragment.
    """
    return _PDU_HEAD.pack(PduType.DATA, data_bytes + _ITEM.size, data_bytes + 2, context_id, control)
