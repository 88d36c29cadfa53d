"""Sending by C-STORE: to Orthanc, to our own receiver, and to systems that refuse, fail or vanish."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medground.serving.dicom_receiver.config import ClientTls, Remote, ServerTls
from medground.serving.dicom_receiver.delivery import Delivery, Outcome
from medground.serving.dicom_receiver.instances import Accepted, InstanceReceived
from medground.serving.dicom_receiver.requester import Timeouts
from medground.serving.dicom_receiver.sender import send
from medground.serving.dicom_receiver.wire import Ending
from tests.archive.clients import fetched
from tests.archive.orthanc import ARCHIVE_AET, CALLER_AET, Orthanc
from tests.serving.dicom_receiver.certificates import Authority
from tests.serving.dicom_receiver.raw_peer import RawPeer, pdu
from tests.serving.dicom_receiver.running import CALLER, LOOPBACK, MEDGROUND, Running, eventually, running, write_image
from tests.serving.dicom_receiver.senders import data_set_bytes

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
]
ARRIVED = Outcome(Delivery.ARRIVED, 0x0000)
PATIENT, IMPATIENT = Timeouts(connect=120, answer=120, send=120), Timeouts(connect=120, answer=1, send=120)


def to(port: int, title: str = MEDGROUND, tls: ClientTls | None = None) -> Remote:
    return Remote(host="localhost" if tls else LOOPBACK, port=port, ae_title=title, tls=tls)


@pytest.mark.judge("orthanc", "orthanc-dicomweb")
def test_orthanc_has_what_was_sent(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{number}.dcm", number, syntax=one) for number, one in enumerate(SYNTAXES, 1)]
    with Orthanc(tmp_path / "orthanc") as archive:
        assert send(paths, to(archive.dicom_port, ARCHIVE_AET), CALLER_AET) == (ARRIVED,) * len(paths)
        assert archive.instances() == len(paths)
        for path, syntax in zip(paths, SYNTAXES, strict=True):
            sent = pydicom.dcmread(path)
            (tmp_path / "back.dcm").write_bytes(fetched(archive, sent))
            back = pydicom.dcmread(tmp_path / "back.dcm")
            assert (back, back.file_meta.TransferSyntaxUID) == (sent, syntax)
        (refused,) = send(paths[:1], to(archive.dicom_port, ARCHIVE_AET), "STRANGER")
        assert (refused.delivery, refused.status) == (Delivery.PERMANENT, None)
        assert "refuses the association" in refused.problem


def test_the_bytes_arrive_as_they_are(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{n}.dcm", n, syntax=one, rows=3000) for n, one in enumerate(SYNTAXES, 1)]
    with running(tmp_path, {"max_pdu_bytes": 5001}) as here:  # an odd length: fragments stay even
        assert send(paths, to(here.port), CALLER) == (ARRIVED,) * len(paths)
        kept = {received.sop_instance_uid: data_set_bytes(path) for received, path in here.intake.received}
        assert kept == {str(pydicom.dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in paths}
    assert [(one.accepted, one.ending) for one in here.summaries] == [(len(paths), Ending.RELEASED)]


def test_each_instance_has_an_outcome_of_its_own(tmp_path: Path) -> None:
    good, other, report = (
        write_image(tmp_path / "good.dcm", 1),
        write_image(tmp_path / "other.dcm", 2),
        write_image(tmp_path / "report.dcm", 3, SOPClassUID=ComprehensiveSRStorage),
    )
    text, empty = tmp_path / "text.dcm", tmp_path / "empty.dcm"
    text.write_text("no DICOM")
    empty.write_bytes(good.read_bytes()[: good.stat().st_size - len(data_set_bytes(good))])
    with running(tmp_path) as here:

        def decide(received: InstanceReceived) -> Accepted:
            if received.sop_instance_uid.endswith(".2"):
                raise OSError("no space left")
            return Accepted()

        here.intake.decide = decide
        outcomes = send([text, good, report, other, empty, tmp_path / "absent.dcm", good], to(here.port), CALLER)
    assert [(one.delivery, one.status) for one in outcomes] == [
        (Delivery.PERMANENT, None),
        (Delivery.ARRIVED, 0x0000),
        (Delivery.PERMANENT, None),
        (Delivery.TRANSIENT, 0xA700),
        (Delivery.PERMANENT, None),
        (Delivery.PERMANENT, None),
        (Delivery.ARRIVED, 0x0000),
    ]
    assert "Comprehensive SR Storage in Explicit VR Little Endian" in outcomes[2].problem
    assert [one.accepted for one in here.summaries] == [2]


def test_nobody_is_there_or_nobody_answers(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    with socket.socket() as deaf:
        deaf.bind((LOOPBACK, 0))
        port = deaf.getsockname()[1]
        (refused,) = send([path], to(port), CALLER)
        deaf.listen()
        (silent,) = send([path], to(port), CALLER, timeouts=IMPATIENT)
    assert [one.delivery for one in (refused, silent)] == [Delivery.TRANSIENT] * 2
    assert "is not reached" in refused.problem
    assert "no answer in time" in silent.problem
    assert not any("Doe" in one.problem for one in (refused, silent))


def test_too_many_associations_may_pass_and_a_wrong_title_does_not(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    with running(tmp_path, {"max_associations": 1}) as here:
        with occupied(here):
            (busy,) = send([path], to(here.port), CALLER)
        (free,) = send([path], to(here.port), CALLER)
        (wrong,) = send([path], to(here.port, "ANOTHER"), CALLER)
    assert (busy.delivery, free.delivery, wrong.delivery) == (
        Delivery.TRANSIENT,
        Delivery.ARRIVED,
        Delivery.PERMANENT,
    )


@contextmanager
def occupied(here: Running) -> Iterator[None]:
    """While another caller has the only place."""
    with RawPeer(here.port) as caller:
        assert caller.associate() == 2
        yield
        caller.send(pdu(5, bytes(4)))
        assert caller.read() == (6, bytes(4))


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A server that says its answers, one to each piece of what it hears, and hangs up; the port."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    connection.recv(2**20)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(120)


@pytest.mark.parametrize(
    ("answer", "delivery"),
    [
        (b"", Delivery.TRANSIENT),
        (pdu(7, bytes(4)), Delivery.TRANSIENT),
        (pdu(3, bytes([0, 1, 1, 7])), Delivery.PERMANENT),
        (pdu(3, bytes([0, 2, 3, 1])), Delivery.TRANSIENT),
        (pdu(2, bytes(100)), Delivery.TRANSIENT),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Delivery.TRANSIENT),
        (pdu(6, bytes(4)), Delivery.TRANSIENT),
    ],
    ids=["hangs up", "aborts", "rejects for good", "rejects for now", "garbled", "HTTP", "releases"],
)
def test_answers_that_are_no_acceptance(tmp_path: Path, answer: bytes, delivery: Delivery) -> None:
    path = write_image(tmp_path / "image.dcm")
    with answering(answer) as port:
        (outcome,) = send([path], to(port), CALLER, timeouts=PATIENT)
    assert (outcome.delivery, outcome.status) == (delivery, None)


def test_the_other_side_ends_in_the_middle(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{number}.dcm", number, rows=2000) for number in (1, 2, 3)]
    is_over, was_over = threading.Event(), list[bool]()
    with running(tmp_path) as here:

        def decide(received: InstanceReceived) -> Accepted:
            if received.sop_instance_uid.endswith(".2"):
                threading.Thread(target=here.receiver.stop, kwargs={"drain_seconds": 0.0}).start()
                was_over.append(is_over.wait(60))  # only the end of the connection ends the sending
            return Accepted()

        here.intake.decide = decide
        outcomes = send(paths, to(here.port), CALLER)
        is_over.set()
        assert eventually(lambda: was_over == [True])
    assert [one.delivery for one in outcomes] == [Delivery.ARRIVED, Delivery.TRANSIENT, Delivery.TRANSIENT]


def test_by_tls(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    server, client = authority.issue("receiver"), authority.issue("sender")
    path = write_image(tmp_path / "image.dcm")
    tls = ServerTls(certificate=server.certificate, key=server.key, client_ca=authority.file)
    with running(tmp_path, tls=tls) as here:
        ours = ClientTls(ca=authority.file, certificate=client.certificate, key=client.key)
        nameless = ClientTls(ca=authority.file)
        mistrusting = ClientTls(ca=stranger.file, certificate=client.certificate, key=client.key)
        outcomes = [send([path], to(here.port, tls=one), CALLER)[0] for one in (ours, nameless, mistrusting)]
        plain = send([path], to(here.port), CALLER, timeouts=IMPATIENT)[0]
    assert [one.delivery for one in outcomes] == [Delivery.ARRIVED, Delivery.TRANSIENT, Delivery.PERMANENT]
    assert "certificate that does not count" in outcomes[2].problem
    assert plain.delivery is Delivery.TRANSIENT


def test_more_kinds_than_an_association_bears(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    content, uid = path.read_bytes(), pydicom.dcmread(path).SOPClassUID.encode()
    paths = []
    for number in range(130):  # SOP classes of no meaning, so that each needs a context
        paths.append(tmp_path / f"{number}.dcm")
        paths[-1].write_bytes(content.replace(uid, b"1.2.840.10008.5.9.%07d" % (number + 10**6), 1))
    paths.append(path)
    with running(tmp_path) as here:
        outcomes = send(paths, to(here.port), CALLER)
        assert eventually(lambda: len(here.summaries) == 2)
    assert [one.delivery for one in outcomes] == [Delivery.PERMANENT] * 130 + [Delivery.ARRIVED]
