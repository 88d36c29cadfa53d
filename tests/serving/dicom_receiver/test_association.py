"""An established association: what is answered, what ends it, and how long it may be silent."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from medground.serving.dicom_receiver.wire import Ending
from tests.serving.dicom_receiver.raw_peer import (
    ABORT,
    ACCEPTED,
    ECHO,
    EVENT_RESPONSE,
    PATIENCE_S,
    RawPeer,
    command_bytes,
    fragment,
    item,
    pdu,
    request_bytes,
    store_command,
)
from tests.serving.dicom_receiver.running import Running, eventually, running

VERIFICATION = "1.2.840.10008.1.1"
PROPOSED = ((CTImageStorage, (ExplicitVRLittleEndian,)), (VERIFICATION, (ExplicitVRLittleEndian,)))
ECHO_COMMAND = {"AffectedSOPClassUID": VERIFICATION, "MessageID": 9, "CommandDataSetType": 0x0101}


def echo(context: int = 3) -> bytes:
    return fragment(command_bytes(CommandField=ECHO, **ECHO_COMMAND), command=True, last=True, context=context)


def assert_alive(caller: RawPeer) -> None:
    caller.send(echo())
    assert caller.read_command().Status == 0x0000


def ended(here: Running) -> Ending:
    assert eventually(lambda: len(here.summaries) == 1)
    return here.summaries[0].ending


def test_what_is_unknown_is_answered_so(tmp_path: Path) -> None:
    """C-FIND, C-MOVE and C-GET with data sets, N-GET without one: none ends the association."""
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        for field, has_data_set in ((0x0020, True), (0x0021, True), (0x0010, True), (0x0110, False)):
            elements = {"CommandField": field, "MessageID": 5, "CommandDataSetType": 1 if has_data_set else 0x0101}
            caller.send(fragment(command_bytes(**elements), command=True, last=True))
            if has_data_set:
                caller.send(fragment(b"\x08\0\x52\0CS\6\0STUDY ", command=False, last=True))
            answer = caller.read_command()
            assert (answer.CommandField, answer.MessageIDBeingRespondedTo) == (field | 0x8000, 5)
            assert (answer.Status, answer.CommandDataSetType) == (0x0211, 0x0101)
        caller.send(
            fragment(
                command_bytes(CommandField=0x0FFF, MessageIDBeingRespondedTo=5, CommandDataSetType=0x0101),
                command=True,
                last=True,
            )
        )
        assert_alive(caller)


def test_fragments_may_lie_in_any_number_of_pdus(tmp_path: Path) -> None:
    command = command_bytes(CommandField=ECHO, **ECHO_COMMAND)
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        whole = item(command, command=True, last=True, context=3)
        caller.send(pdu(4, whole + whole))
        assert [caller.read_command().Status for _ in range(2)] == [0, 0]
        for one in command[:-1]:
            caller.send(fragment(bytes([one]), command=True, last=False, context=3))
        caller.send(pdu(4, b""), fragment(command[-1:], command=True, last=True, context=3))
        assert caller.read_command().Status == 0x0000
        for one in echo():
            caller.send(bytes([one]))
        assert caller.read_command().Status == 0x0000


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (fragment(b"", command=False, last=True), 6),
        (echo(context=99), 6),
        (pdu(4, struct.pack(">LBB", 1, 1, 3)), 6),
        (pdu(4, struct.pack(">LBB", 500, 1, 3)), 6),
        (pdu(4, b"\0\0\0"), 6),
        (fragment(b"\0\0\0\0\4\0\0\0", command=True, last=True), 6),
        (fragment(b"\x08\0\x16\0\2\0\0\0ab", command=True, last=True), 6),
        (fragment(bytes(40000), command=True, last=False) * 2, 6),
        (fragment(store_command(), command=True, last=True) + echo(), 6),
        (fragment(command_bytes(CommandField=EVENT_RESPONSE, **ECHO_COMMAND), command=True, last=True), 6),
        (pdu(0x20, b""), 1),
        (request_bytes(), 2),
        (struct.pack(">BxL", 4, 2**32 - 1), 6),
        (struct.pack(">BxL", 4, 2**18 + 1), 6),
    ],
    ids=[
        "a data set without a command",
        "a context that was not negotiated",
        "a fragment too short",
        "a fragment longer than its PDU",
        "half a fragment",
        "an element cut short",
        "a command in another group",
        "an endless command",
        "a command in the middle of a data set",
        "an answer to nothing",
        "an unknown PDU",
        "another request for an association",
        "a PDU of 4 GiB",
        "a PDU one byte too long",
    ],
)
def test_what_breaks_the_protocol_ends_the_association(tmp_path: Path, sent: bytes, reason: int) -> None:
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        caller.send(sent)
        assert caller.read() == (ABORT, bytes([0, 0, 2, reason]))
        assert caller.read() is None
        assert ended(here) is Ending.BROKEN
        assert here.intake.files == []


def test_a_pdu_as_long_as_announced_is_taken(tmp_path: Path) -> None:
    with running(tmp_path, {"max_pdu_bytes": 4096}) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        caller.send(fragment(store_command(), command=True, last=True))
        caller.send(fragment(bytes(4096 - 6), command=False, last=True))
        assert caller.read_command().Status == 0xC000  # zeros are no data set
        assert_alive(caller)


def test_silence_is_aborted(tmp_path: Path) -> None:
    with running(tmp_path, {"idle_seconds": 3}) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        begun = time.monotonic()
        while time.monotonic() < begun + 4:  # whoever says something may stay
            time.sleep(0.1)  # far from the limit: on a busy machine it takes longer
            assert_alive(caller)
        started = time.monotonic()
        assert caller.read() == (ABORT, bytes(4))
        assert 0.3 < time.monotonic() - started < 60
        assert ended(here) is Ending.SILENT


def test_silence_in_the_middle_of_a_data_set_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path, {"idle_seconds": 0.5}) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        caller.send(fragment(store_command(), command=True, last=True), fragment(bytes(9), command=False, last=False))
        assert caller.read() == (ABORT, bytes(4))
        assert ended(here) is Ending.SILENT
        assert here.intake.begun == 1
        assert here.intake.files == []


def test_a_pdu_that_drips_in_is_aborted(tmp_path: Path) -> None:
    with running(tmp_path, {"pdu_seconds": 0.5}) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        caller.drip(echo()[:30], pause_s=0.03)
        assert caller.read() == (ABORT, bytes(4))
        assert ended(here) is Ending.SILENT


def test_whoever_takes_no_answers_is_not_waited_for(tmp_path: Path) -> None:
    with running(tmp_path, {"send_seconds": 0.5}) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        caller.socket.setblocking(False)
        many, left = echo() * 100, b""
        deadline = time.monotonic() + PATIENCE_S
        while not here.summaries and time.monotonic() < deadline:
            left = left or many
            try:
                left = left[caller.socket.send(left) :]  # what was not taken goes first: the protocol is kept
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:
                break
        assert ended(here) is Ending.SILENT


def test_an_abort_ends_it(tmp_path: Path) -> None:
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=PROPOSED) == ACCEPTED
        caller.send(fragment(store_command(), command=True, last=True), pdu(ABORT, bytes(4)))
        assert caller.read() is None
        assert ended(here) is Ending.ABORTED
        assert here.intake.files == []
