"""Command sets of DIMSE messages (PS3.7 section 9.3, 10.3 and annex E): implicit VR, little endian, group 0000."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from medground.serving.dicom_receiver.fragments import Fragments
from medground.serving.dicom_receiver.wire import AbortReason, EndedError, Ending

_MOST_BYTES: Final = 2**16
_HEAD: Final = struct.Struct("<HHL")
_SHORT: Final = struct.Struct("<H")
_NO_DATA_SET, _SOME_DATA_SET = 0x0101, 0x0001
_RESPONSE = 0x8000
_UID = re.compile(r"[0-9A-Za-z.-]{1,64}")  # as harmless as in `medground.dicom.parse`, which says why no stricter

_AFFECTED_CLASS, _REQUESTED_CLASS, _FIELD = 0x0002, 0x0003, 0x0100
_MESSAGE_ID, _RESPONDED_ID, _PRIORITY, _DATA_SET_TYPE = 0x0110, 0x0120, 0x0700, 0x0800
_STATUS, _COMMENT = 0x0900, 0x0902
_AFFECTED_INSTANCE, _REQUESTED_INSTANCE, _EVENT_TYPE, _ACTION_TYPE = 0x1000, 0x1001, 0x1002, 0x1008


class CommandField(IntEnum):
    """The commands that are known here (PS3.7 table E.1-1)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    C_CANCEL_RQ = 0x0FFF
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130


class Status(IntEnum):
    """What a request is answered with (PS3.4 table B.2-1, PS3.7 annex C)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    INVALID_ARGUMENT = 0x0115
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command set; what it has not is 0, empty or None.

    Attributes:
        field: see `CommandField`; may be another number.
        message_id: of a request.
        responded_id: of the request that a response answers.
        sop_class_uid, sop_instance_uid: affected or requested; empty if they are no UIDs either.
        has_data_set: whether a data set follows.
        status: of a response.
        comment: of a response; at most 64 ASCII characters.
        event_type, action_type: of N-EVENT-REPORT and N-ACTION.
    """

    field: int
    message_id: int = 0
    responded_id: int = 0
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    has_data_set: bool = False
    status: int | None = None
    comment: str = ""
    event_type: int | None = None
    action_type: int | None = None

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.field & _RESPONSE)

    def response(self, status: int, comment: str = "") -> Command:
        """The answer to it, without a data set."""
        return Command(
            field=self.field | _RESPONSE,
            responded_id=self.message_id,
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            status=status,
            comment=comment,
            event_type=self.event_type,
            action_type=self.action_type,
        )


def read_command(fragments: Fragments) -> tuple[int, Command]:
    """The next command, and the presentation context it came in.

    Raises:
        EndedError: the association ends, or something comes that is no command.
    """
    content, context_id = bytearray(), None
    while True:
        fragment = fragments.next()
        if not fragment.is_command or context_id not in (None, fragment.context_id):
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        context_id = fragment.context_id
        content += fragment.data
        if len(content) > _MOST_BYTES:
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        if fragment.is_last:
            return context_id, decoded(bytes(content))


def decoded(content: bytes) -> Command:
    """A command set from its bytes.

    Raises:
        EndedError: they are none.
    """
    values: dict[int, bytes] = {}
    position = 0
    while position < len(content):
        if position + _HEAD.size > len(content):
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        group, element, length = _HEAD.unpack_from(content, position)
        position += _HEAD.size
        if group != 0 or position + length > len(content):
            raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
        values[element] = content[position : position + length]
        position += length
    field = _whole(values, _FIELD)
    if field is None:
        raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
    return Command(
        field=field,
        message_id=_whole(values, _MESSAGE_ID) or 0,
        responded_id=_whole(values, _RESPONDED_ID) or 0,
        sop_class_uid=_uid(values, _AFFECTED_CLASS) or _uid(values, _REQUESTED_CLASS),
        sop_instance_uid=_uid(values, _AFFECTED_INSTANCE) or _uid(values, _REQUESTED_INSTANCE),
        has_data_set=_whole(values, _DATA_SET_TYPE) != _NO_DATA_SET,
        status=_whole(values, _STATUS),
        event_type=_whole(values, _EVENT_TYPE),
        action_type=_whole(values, _ACTION_TYPE),
    )


def encoded(command: Command) -> bytes:
    """The bytes of a command set."""
    requests_instance = command.field == CommandField.N_ACTION_RQ
    elements: list[tuple[int, int | str | None]] = [
        (_REQUESTED_CLASS if requests_instance else _AFFECTED_CLASS, command.sop_class_uid or None),
        (_FIELD, command.field),
        (_MESSAGE_ID, None if command.is_response else command.message_id),
        (_RESPONDED_ID, command.responded_id if command.is_response else None),
        (_PRIORITY, 0 if command.field == CommandField.C_STORE_RQ else None),
        (_DATA_SET_TYPE, _SOME_DATA_SET if command.has_data_set else _NO_DATA_SET),
        (_STATUS, command.status),
        (_COMMENT, command.comment or None),
        (_REQUESTED_INSTANCE if requests_instance else _AFFECTED_INSTANCE, command.sop_instance_uid or None),
        (_EVENT_TYPE, command.event_type),
        (_ACTION_TYPE, command.action_type),
    ]
    content = b"".join(_encoded(element, value) for element, value in elements if value is not None)
    return _HEAD.pack(0, 0, 4) + struct.pack("<L", len(content)) + content


def is_uid(text: str) -> bool:
    """Whether a text can be a UID: letters are let pass, which tools for de-identification write."""
    return _UID.fullmatch(text) is not None


def _encoded(element: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return _HEAD.pack(0, element, 2) + _SHORT.pack(value)
    padding = " " if element == _COMMENT else "\0"
    text = (value + padding * (len(value) % 2)).encode("ascii")
    return _HEAD.pack(0, element, len(text)) + text


def _whole(values: dict[int, bytes], element: int) -> int | None:
    value = values.get(element, b"")
    return int(_SHORT.unpack(value)[0]) if len(value) == _SHORT.size else None


def _uid(values: dict[int, bytes], element: int) -> str:
    text = values.get(element, b"").decode("ascii", "replace").rstrip("\0 ")
    return text if is_uid(text) else ""
