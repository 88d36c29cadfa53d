"""The receiver as a whole: images by DCMTK and pynetdicom, limits on how many call, TLS, start and stop."""

from __future__ import annotations

import itertools
import logging
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification

from medground.schema.errors import UsageError
from medground.serving.dicom_receiver.config import ReceiverConfig
from medground.serving.dicom_receiver.instances import Accepted, InstanceReceived
from medground.serving.dicom_receiver.peers import RefusalReason
from medground.serving.dicom_receiver.receiver import DicomReceiver
from medground.serving.dicom_receiver.wire import Ending
from tests.serving.dicom_receiver.folder_intake import FolderIntake
from tests.serving.dicom_receiver.raw_peer import (
    ABORT,
    ACCEPTED,
    PATIENCE_S,
    REJECTED,
    RELEASE_RESPONSE,
    RawPeer,
    fragment,
    request_bytes,
    store_command,
)
from tests.serving.dicom_receiver.running import (
    CALLER,
    LOOPBACK,
    MEDGROUND,
    Running,
    eventually,
    peer,
    running,
    write_image,
)
from tests.serving.dicom_receiver.senders import data_set_bytes, pynetdicom_stores, storescu

LOCAL_LIMIT = bytes([0, 2, 3, 2])  # transient, by the provider (presentation), local limit exceeded
PROPOSAL = {
    ExplicitVRLittleEndian: "--propose-little",
    ImplicitVRLittleEndian: "--propose-implicit",
    ExplicitVRBigEndian: "--propose-big",
    DeflatedExplicitVRLittleEndian: "--propose-deflated",
    JPEGLSLossless: "--propose-jls-lossless",
    JPEG2000Lossless: "--propose-j2k-lossless",
    RLELossless: "--propose-rle",
}


def assert_kept_as_sent(running_: Running, path: Path) -> InstanceReceived:
    """The one instance that came in has the bytes of the file that was sent, and everything told of it is true."""
    ((received, kept),) = running_.intake.received
    assert data_set_bytes(kept) == data_set_bytes(path)
    sent, meta = pydicom.dcmread(path), pydicom.filereader.read_file_meta_info(kept)
    assert meta.MediaStorageSOPClassUID == received.sop_class_uid == sent.SOPClassUID
    assert meta.MediaStorageSOPInstanceUID == received.sop_instance_uid == sent.SOPInstanceUID
    assert meta.TransferSyntaxUID == received.transfer_syntax_uid == sent.file_meta.TransferSyntaxUID
    assert received.size_bytes == len(data_set_bytes(path))
    assert (received.tenant, received.address) == ("hospital", LOOPBACK)
    assert (received.calling_ae_title, received.called_ae_title) == (CALLER, MEDGROUND)
    assert running_.intake.files == [kept]
    return received


@pytest.mark.judge("dcmtk")
@pytest.mark.parametrize("syntax", list(PROPOSAL))
def test_what_storescu_sends_is_kept(tmp_path: Path, syntax: str) -> None:
    path = write_image(tmp_path / "image.dcm", syntax=syntax)
    with running(tmp_path) as here:
        done = storescu(here.port, path, PROPOSAL[syntax])
        assert done.returncode == 0, done.stderr
        assert eventually(lambda: len(here.summaries) == 1)
        ((received, kept),) = here.intake.received
        assert pydicom.dcmread(kept) == pydicom.dcmread(path)
        assert received.transfer_syntax_uid == syntax
    (summary,) = here.summaries
    assert (summary.accepted, summary.refused, summary.ending) == (1, 0, Ending.RELEASED)
    assert here.refusals == []


@pytest.mark.parametrize("syntax", list(PROPOSAL))
def test_what_pynetdicom_sends_is_kept(tmp_path: Path, syntax: str) -> None:
    path = write_image(tmp_path / "image.dcm", syntax=syntax)
    with running(tmp_path) as here:
        assert pynetdicom_stores(here.port, path) == 0x0000
        ((received, kept),) = here.intake.received
        assert pydicom.dcmread(kept) == pydicom.dcmread(path)
        assert received.transfer_syntax_uid == syntax


def test_the_bytes_are_those_that_were_sent(tmp_path: Path) -> None:
    """Sent by hand, in odd pieces, with a private element that nobody knows and one of undefined length."""
    path = write_image(tmp_path / "image.dcm")
    content = data_set_bytes(path)
    uid = str(pydicom.dcmread(path).SOPInstanceUID)
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate() == ACCEPTED
        cuts = [0, 2, 10, 11, 1000, 9000, len(content)]
        pieces = [content[start:end] for start, end in itertools.pairwise(cuts)]
        caller.send(
            fragment(store_command(uid), command=True, last=True),
            *[fragment(one, command=False, last=number == len(pieces)) for number, one in enumerate(pieces, 1)],
        )
        answer = caller.read_command()
        assert (answer.CommandField, answer.MessageIDBeingRespondedTo, answer.Status) == (0x8001, 7, 0x0000)
        assert_kept_as_sent(here, path)


@pytest.mark.judge("dcmtk")
def test_echo(tmp_path: Path) -> None:
    program = shutil.which("echoscu", path="/usr/local/bin:/usr/bin:/bin")
    assert program is not None
    with running(tmp_path) as here:
        command = [program, "-aet", CALLER, "-aec", MEDGROUND, LOOPBACK, str(here.port)]
        assert subprocess.run(command, check=False, timeout=60).returncode == 0
        entity = AE(ae_title=CALLER)
        entity.add_requested_context(Verification)
        association = entity.associate(LOOPBACK, here.port, ae_title=MEDGROUND)
        assert [association.send_c_echo().Status for _ in range(3)] == [0x0000] * 3
        association.release()
    assert [(one.accepted, one.ending) for one in here.summaries] == [(0, Ending.RELEASED)] * 2


def test_two_hundred_associations_at_once_and_one_more_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, {"max_associations": 200, "max_waiting": 200}) as here, ExitStack() as stack:
        callers = [stack.enter_context(RawPeer(here.port)) for _ in range(200)]
        for caller in callers:
            caller.send(request_bytes())
        assert [(caller.read() or (0,))[0] for caller in callers] == [ACCEPTED] * 200
        with RawPeer(here.port) as late:
            late.send(request_bytes())
            assert late.read() == (REJECTED, LOCAL_LIMIT)
            assert late.read() is None
        assert [one.reason for one in here.refusals] == [RefusalReason.ASSOCIATIONS]

        path = write_image(tmp_path / "image.dcm")  # all of them are alive, first and last
        for number in (0, 100, 199):
            callers[number].send(
                fragment(store_command(pydicom.dcmread(path).SOPInstanceUID), command=True, last=True),
                fragment(data_set_bytes(path), command=False, last=True),
            )
            assert callers[number].read_command().Status == 0x0000
        callers[5].send(b"\x05\0\0\0\0\x04\0\0\0\0")  # A-RELEASE-RQ: once it is answered there is a place again
        assert callers[5].read() == (RELEASE_RESPONSE, bytes(4))
        with RawPeer(here.port) as next_one:
            assert next_one.associate() == ACCEPTED
    assert len(here.summaries) == 201


def test_connections_that_ask_for_nothing_do_not_add_up(tmp_path: Path) -> None:
    with running(tmp_path, {"max_waiting": 3}) as here, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(RawPeer(here.port))
        with RawPeer(here.port) as surplus:
            assert surplus.read() is None
        assert eventually(lambda: [one.reason for one in here.refusals] == [RefusalReason.CONNECTIONS])


def test_the_network_cannot_be_left_open_by_mistake() -> None:
    with pytest.raises(ValueError, match="reachable from other machines"):
        ReceiverConfig(host="0.0.0.0")
    assert ReceiverConfig(host="0.0.0.0", allow_plain_text=True).peers == ()


def test_both_versions_of_ip(tmp_path: Path) -> None:
    if not (socket.has_ipv6 and socket.has_dualstack_ipv6()):
        pytest.skip("this machine has no IPv6")
    peers = (peer(tenant="four"), peer(network="::1", tenant="six"))
    with running(tmp_path, host="::", allow_plain_text=True, peers=peers) as here:
        for address in (LOOPBACK, "::1"):
            try:
                connection = socket.create_connection((address, here.port), PATIENCE_S)
            except OSError:
                pytest.skip(f"this machine has no {address}")
            with connection:
                connection.sendall(request_bytes() + b"\x05\0\0\0\0\x04\0\0\0\0")
                received = b""
                while chunk := connection.recv(2**16):
                    received += chunk
                assert (received[0], received[-10]) == (ACCEPTED, RELEASE_RESPONSE)
        assert [(one.tenant, one.address) for one in here.summaries] == [("four", LOOPBACK), ("six", "::1")]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        receiver = DicomReceiver(ReceiverConfig(port=port), FolderIntake(tmp_path))
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1"):
            receiver.start()


def test_without_a_store_no_commitment_is_offered(tmp_path: Path) -> None:
    config = ReceiverConfig(
        port=0, peers=({"network": LOOPBACK, "tenant": "t", "calling_ae_title": CALLER, "called_ae_title": MEDGROUND},)
    )
    with DicomReceiver(config, FolderIntake(tmp_path)) as receiver:
        entity = AE(ae_title=CALLER)
        entity.add_requested_context("1.2.840.10008.1.20.1")
        entity.add_requested_context(CTImageStorage)
        association = entity.associate(LOOPBACK, receiver.port, ae_title=MEDGROUND)
        assert [one.abstract_syntax for one in association.accepted_contexts] == [CTImageStorage]
        association.release()


def test_stopping_aborts_who_waits_and_lets_who_sends_finish(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    is_deciding, may_go_on = threading.Event(), threading.Event()

    def decide(received: InstanceReceived) -> Accepted:
        is_deciding.set()
        assert may_go_on.wait(120)
        return Accepted()

    with running(tmp_path) as here, RawPeer(here.port) as idle, RawPeer(here.port) as busy, RawPeer(here.port) as mute:
        here.intake.decide = decide
        assert (idle.associate(), busy.associate()) == (ACCEPTED, ACCEPTED)
        busy.send(
            fragment(store_command(pydicom.dcmread(path).SOPInstanceUID), command=True, last=True),
            fragment(data_set_bytes(path), command=False, last=True),
        )
        assert is_deciding.wait(120)
        port = here.port
        stopping = threading.Thread(target=here.receiver.stop)
        stopping.start()
        assert idle.read() == (ABORT, bytes(4))
        assert mute.read() is None
        may_go_on.set()
        assert busy.read_command().Status == 0x0000
        assert busy.read() == (ABORT, bytes(4))
        stopping.join(120)
        assert not stopping.is_alive()
        with socket.socket() as probe:
            assert probe.connect_ex((LOOPBACK, port)) != 0
    assert [one.ending for one in here.summaries] == [Ending.STOPPED, Ending.STOPPED]
    assert sorted(one.accepted for one in here.summaries) == [0, 1]


def test_who_does_not_finish_is_cut(tmp_path: Path) -> None:
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate() == ACCEPTED
        caller.send(
            fragment(store_command(), command=True, last=True), fragment(b"\0" * 100, command=False, last=False)
        )
        assert eventually(lambda: len(here.intake.files) == 1)
        here.receiver.stop(drain_seconds=0.2)
        assert caller.read() is None
        assert here.intake.files == []
    assert [(one.accepted, one.ending) for one in here.summaries] == [(0, Ending.STOPPED)]


def test_nothing_that_was_sent_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = write_image(tmp_path / "image.dcm", PatientName="Doe^Jane", PatientID="P-QUAILWREN")
    content, uid = data_set_bytes(path), str(pydicom.dcmread(path).SOPInstanceUID)

    def full(received: InstanceReceived) -> Accepted:
        raise OSError(28, f"no space left for {received.sop_instance_uid}")

    with running(tmp_path) as here, RawPeer(here.port) as caller:
        here.intake.decide = full
        caller.associate()
        for announced in (uid, "1.2.3"):
            caller.send(
                fragment(store_command(announced), command=True, last=True), fragment(content, command=False, last=True)
            )
            answer = caller.read_command()
            assert answer.Status == (0xA700 if announced == uid else 0xA900)
            assert not any(secret in str(answer.ErrorComment) for secret in (uid, "Doe", "QUAILWREN"))
    assert "OSError" in caplog.text
    assert not any(secret in caplog.text for secret in (uid, "Doe", "QUAILWREN"))
