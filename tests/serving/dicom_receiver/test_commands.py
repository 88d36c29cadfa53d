"""Command sets: ours are read by pynetdicom, and its are read by ours."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dsutils import decode

from medground.serving.dicom_receiver.commands import Command, CommandField, Status, decoded, encoded, is_uid
from medground.serving.dicom_receiver.wire import EndedError, Ending
from tests.serving.dicom_receiver.raw_peer import command_bytes, store_command

CLASS, INSTANCE = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"


def test_a_request_of_theirs() -> None:
    assert decoded(store_command(INSTANCE)) == Command(
        field=CommandField.C_STORE_RQ,
        message_id=7,
        sop_class_uid=CLASS,
        sop_instance_uid=INSTANCE,
        has_data_set=True,
    )
    action = decoded(
        command_bytes(
            RequestedSOPClassUID=CLASS,
            CommandField=0x0130,
            MessageID=3,
            CommandDataSetType=1,
            RequestedSOPInstanceUID=INSTANCE,
            ActionTypeID=1,
        )
    )
    assert (action.sop_class_uid, action.sop_instance_uid, action.action_type) == (CLASS, INSTANCE, 1)


def test_a_response_of_ours() -> None:
    request = decoded(store_command(INSTANCE))
    told = decode(io.BytesIO(encoded(request.response(Status.OUT_OF_RESOURCES, "no room"))), True, True)
    assert (told.CommandField, told.MessageIDBeingRespondedTo, told.CommandDataSetType) == (0x8001, 7, 0x0101)
    assert (told.Status, told.ErrorComment) == (0xA700, "no room")
    assert (told.AffectedSOPClassUID, told.AffectedSOPInstanceUID) == (CLASS, INSTANCE)
    assert "MessageID" not in told
    assert "Priority" not in told


@pytest.mark.parametrize("field", list(CommandField))
@pytest.mark.parametrize("has_data_set", [True, False])
def test_what_is_written_is_read(field: CommandField, has_data_set: bool) -> None:
    is_response = bool(field & 0x8000)
    command = Command(
        field=field,
        message_id=0 if is_response else 65535,
        responded_id=65535 if is_response else 0,
        sop_class_uid=CLASS,
        sop_instance_uid=INSTANCE + ".5",
        has_data_set=has_data_set,
        status=0xC000 if is_response else None,
        event_type=2 if "EVENT" in field.name else None,
        action_type=1 if "ACTION" in field.name else None,
    )
    content = encoded(command)
    assert decoded(content) == command
    told = decode(io.BytesIO(content), True, True)
    assert told.CommandGroupLength == len(content) - 12
    assert [element.tag for element in told] == sorted(element.tag for element in told)


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(content: bytes) -> None:
    try:
        command = decoded(content)
    except EndedError:
        return
    assert 0 <= command.field <= 0xFFFF
    assert command.sop_class_uid == "" or is_uid(command.sop_class_uid)


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\0\0\0\1\2\0\0\0\1", b"\0\0\0\1\4\0\0\0\1\0\0\0"])
def test_what_has_no_field_breaks_the_protocol(content: bytes) -> None:
    with pytest.raises(EndedError) as raised:
        decoded(content)
    assert raised.value.ending is Ending.BROKEN


def test_what_is_no_uid_is_none() -> None:
    for name in ("../../etc/passwd", "1.2.3\0.4", "1" * 65, "1.2 3", "Müller"):
        assert not is_uid(name)
        assert decoded(store_command(name[:64].encode("ascii", "replace").decode())).sop_instance_uid in ("", "1" * 64)
    assert is_uid("1.2.3")
    assert is_uid("2.25.ab-cd")
