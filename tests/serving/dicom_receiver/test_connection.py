"""Who is let in: every refusal, by what is sent back and by what the audit log is told."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from medground.serving.dicom_receiver.config import ReceiverConfig
from medground.serving.dicom_receiver.peers import Refusal, RefusalReason
from medground.serving.dicom_receiver.receiver import DicomReceiver
from medground.serving.dicom_receiver.wire import Ending
from tests.serving.dicom_receiver.folder_intake import FolderIntake
from tests.serving.dicom_receiver.raw_peer import ABORT, ACCEPTED, PATIENCE_S, REJECTED, RawPeer, pdu, request_bytes
from tests.serving.dicom_receiver.running import CALLER, LOOPBACK, MEDGROUND, eventually, peer, running


def own_address() -> str:
    """An address of this machine other than loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the routing table
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(
    ("changes", "fields", "refusal"),
    [
        ({"calling": "STRANGER"}, (1, 1, 3), Refusal(RefusalReason.CALLING_AE_TITLE, LOOPBACK, "STRANGER", MEDGROUND)),
        ({"called": "ANOTHER"}, (1, 1, 7), Refusal(RefusalReason.CALLED_AE_TITLE, LOOPBACK, CALLER, "ANOTHER")),
        ({"calling": "FAR"}, (1, 1, 3), Refusal(RefusalReason.ADDRESS, LOOPBACK, "FAR", MEDGROUND)),
        (
            {"application_context": "1.2.840.10008.3.1.1.2"},
            (1, 1, 2),
            Refusal(RefusalReason.APPLICATION_CONTEXT, LOOPBACK, CALLER, MEDGROUND),
        ),
    ],
)
def test_who_is_not_configured_is_rejected(
    tmp_path: Path, changes: dict[str, Any], fields: tuple[int, int, int], refusal: Refusal
) -> None:
    peers = (peer(), peer(calling_ae_title="FAR", network="192.0.2.0/24"))
    with running(tmp_path, peers=peers) as here, RawPeer(here.port) as caller:
        caller.send(request_bytes(**changes))
        assert caller.read() == (REJECTED, bytes([0, *fields]))
        assert caller.read() is None
        assert here.refusals == [refusal]
    assert here.summaries == []


@pytest.mark.parametrize("network", ["127.0.0.1/32", "192.0.2.0/24"])
def test_what_a_stranger_asks_for_is_not_even_read(tmp_path: Path, network: str) -> None:
    """To decode a request that is made for it takes seconds."""
    garbled = request_bytes(calling="STRANGER")[:-4] + b"\xff\xff\xff\xff"
    with running(tmp_path, peers=(peer(network=network),)) as here, RawPeer(here.port) as caller:
        caller.send(garbled)
        assert caller.read() == (REJECTED, bytes([0, 1, 1, 3]))
        assert [one.calling_ae_title for one in here.refusals] == ["STRANGER"]


def test_nobody_is_let_in_by_default(tmp_path: Path) -> None:
    with running(tmp_path, peers=()) as here, RawPeer(here.port) as caller:
        caller.send(request_bytes())
        assert caller.read() == (REJECTED, bytes([0, 1, 1, 3]))
        assert here.refusals == [Refusal(RefusalReason.ADDRESS, LOOPBACK, CALLER, MEDGROUND)]


def test_pynetdicom_understands_the_rejections(tmp_path: Path) -> None:
    with running(tmp_path) as here:
        for calling, called, reason in (
            ("STRANGER", MEDGROUND, "Calling AE title not recognised"),
            (CALLER, "ANOTHER", "Called AE title not recognised"),
        ):
            entity = AE(ae_title=calling)
            entity.add_requested_context(CTImageStorage)
            told: list[Any] = []
            handlers = [(evt.EVT_PDU_RECV, lambda event, told=told: told.append(event.pdu))]
            association = entity.associate(LOOPBACK, here.port, ae_title=called, evt_handlers=handlers)
            # Not `is_rejected`: an answer may come before pynetdicom looks whether it is connected, and count as none.
            assert not association.is_established
            (rejection,) = told
            assert (rejection.result_str, rejection.source_str) == ("Rejected (Permanent)", "DUL service-user")
            assert rejection.reason_str == reason


def test_the_right_titles_from_another_address_are_rejected(tmp_path: Path) -> None:
    address = own_address()
    with running(tmp_path, host="0.0.0.0", allow_plain_text=True) as here:
        with socket.create_connection((address, here.port), PATIENCE_S) as foreign:
            foreign.sendall(request_bytes())
            assert foreign.recv(100) == pdu(REJECTED, bytes([0, 1, 1, 3]))
        assert here.refusals == [Refusal(RefusalReason.ADDRESS, address, CALLER, MEDGROUND)]
        with RawPeer(here.port) as caller:
            assert caller.associate() == ACCEPTED


def test_each_peer_has_its_tenant_by_title_and_network(tmp_path: Path) -> None:
    peers = (
        peer(tenant="one"),
        peer(called_ae_title="OTHER", tenant="two"),
        peer(network="192.0.2.0/24", tenant="three"),
    )
    with running(tmp_path, peers=peers) as here:
        for called in (MEDGROUND, "OTHER"):
            with RawPeer(here.port) as caller:
                assert caller.associate(called=called) == ACCEPTED
                caller.send(pdu(5, bytes(4)))
                assert caller.read() == (6, bytes(4))
        assert [(one.tenant, one.called_ae_title) for one in here.summaries] == [("one", MEDGROUND), ("two", "OTHER")]


def test_another_version_of_the_protocol_is_rejected(tmp_path: Path) -> None:
    content = bytearray(request_bytes())
    struct.pack_into(">H", content, 6, 2)
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        caller.send(bytes(content))
        assert caller.read() == (REJECTED, bytes([0, 1, 2, 2]))
        assert here.refusals == [Refusal(RefusalReason.PROTOCOL_VERSION, LOOPBACK, CALLER, MEDGROUND)]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        (pdu(1, b"\0\1" + bytes(30)), 6),
        (request_bytes()[:-4] + b"\xff\xff\xff\xff", 6),
        (pdu(4, bytes(10)), 2),
        (pdu(5, bytes(4)), 2),
        (struct.pack(">BxL", 1, 2**31), 6),
        (struct.pack(">BxL", 4, 2**20), 6),
    ],
    ids=["http", "short request", "garbled request", "data first", "release first", "endless request", "long data"],
)
def test_what_is_no_request_is_aborted(tmp_path: Path, sent: bytes, reason: int) -> None:
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        caller.send(sent)
        assert caller.read() == (ABORT, bytes([0, 0, 2, reason]))
        assert caller.read() is None
        assert here.refusals == [Refusal(RefusalReason.NO_REQUEST, LOOPBACK)]


def test_who_asks_for_nothing_is_sent_away(tmp_path: Path) -> None:
    content = request_bytes()
    with running(tmp_path, {"associate_seconds": 0.3, "pdu_seconds": 600}) as here:
        started = time.monotonic()  # before either is connected: from then on its time runs
        with RawPeer(here.port) as mute, RawPeer(here.port) as slow:
            slow.send(content[:100])
            assert (mute.read(), slow.read()) == (None, None)
        assert time.monotonic() - started > 0.25
        assert [one.reason for one in here.refusals] == [RefusalReason.NO_REQUEST] * 2


def test_a_request_that_drips_in_is_sent_away(tmp_path: Path) -> None:
    with running(tmp_path, {"associate_seconds": 600, "pdu_seconds": 0.5}) as here, RawPeer(here.port) as slow:
        slow.drip(request_bytes()[:50], pause_s=0.02)
        assert slow.read() is None
        assert [one.reason for one in here.refusals] == [RefusalReason.NO_REQUEST]


def test_what_is_not_printable_in_a_title_does_not_reach_the_log(tmp_path: Path) -> None:
    content = bytearray(request_bytes())
    content[26:42] = b"EVIL\x1b[31m\n\0\x07    "
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        caller.send(bytes(content))
        answer = caller.read()
        assert answer is not None
        assert answer[0] in (REJECTED, ABORT)
        assert all((one.calling_ae_title + one.called_ae_title).isprintable() for one in here.refusals)
        assert len(here.refusals) == 1


def test_strangers_cannot_keep_those_who_may_call_waiting(tmp_path: Path) -> None:
    address = own_address()
    limits = {"max_waiting": 8, "associate_seconds": 600}
    with running(tmp_path, limits, host="0.0.0.0", allow_plain_text=True) as here:
        strangers = [socket.create_connection((address, here.port), PATIENCE_S) for _ in range(8)]
        assert eventually(lambda: len(here.refusals) == 6)  # two of eight may wait
        assert {one.reason for one in here.refusals} == {RefusalReason.CONNECTIONS}
        with RawPeer(here.port) as caller:
            assert caller.associate() == ACCEPTED
        for stranger in strangers:
            stranger.close()


def test_an_audit_log_that_fails_lets_nobody_in(tmp_path: Path) -> None:
    told: list[object] = []

    def fails(what: object) -> None:
        told.append(what)
        raise OSError("the audit log cannot be written")

    config = ReceiverConfig(port=0, peers=(peer(),))
    with DicomReceiver(config, FolderIntake(tmp_path), on_refusal=fails, on_end=fails) as receiver:
        with RawPeer(receiver.port) as stranger:
            stranger.send(request_bytes(calling="STRANGER"))
            assert stranger.read() == (REJECTED, bytes([0, 1, 1, 3]))
        with RawPeer(receiver.port) as caller:
            assert caller.associate() == ACCEPTED
            caller.send(pdu(5, bytes(4)))
            assert caller.read() == (6, bytes(4))
    assert len(told) == 2


def test_contexts_are_negotiated_one_by_one(tmp_path: Path) -> None:
    proposed = (
        (CTImageStorage, (ExplicitVRLittleEndian,)),
        (CTImageStorage, ("1.2.840.10008.1.2.4.102",)),  # MPEG-4
        ("1.2.840.10008.5.1.4.1.1.481.5", (ExplicitVRLittleEndian,)),  # RT plan
    )
    with running(tmp_path) as here:
        entity = AE(ae_title=CALLER)
        for sop_class, syntaxes in proposed:
            entity.add_requested_context(sop_class, list(syntaxes))
        association = entity.associate(LOOPBACK, here.port, ae_title=MEDGROUND)
        assert association.is_established
        refused = {(one.abstract_syntax, one.result) for one in association.rejected_contexts}
        assert refused == {(CTImageStorage, 4), ("1.2.840.10008.5.1.4.1.1.481.5", 3)}
        assert [one.abstract_syntax for one in association.accepted_contexts] == [CTImageStorage]
        association.release()
        with RawPeer(here.port) as caller:
            assert caller.associate(proposed=proposed[1:]) == ACCEPTED  # with nothing accepted in it
        assert eventually(lambda: len(here.summaries) == 2)
    assert [one.ending for one in here.summaries] == [Ending.RELEASED, Ending.CLOSED]
