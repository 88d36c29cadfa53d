"""TLS: who is let in with which certificate, and what a caller without one cannot do."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

import pytest

from medground.schema.errors import UsageError
from medground.serving.dicom_receiver.config import ReceiverConfig, ServerTls
from medground.serving.dicom_receiver.peers import RefusalReason
from medground.serving.dicom_receiver.receiver import DicomReceiver
from tests.serving.dicom_receiver.certificates import Authority
from tests.serving.dicom_receiver.folder_intake import FolderIntake
from tests.serving.dicom_receiver.raw_peer import ACCEPTED, REJECTED, RawPeer, request_bytes
from tests.serving.dicom_receiver.running import eventually, running, write_image
from tests.serving.dicom_receiver.senders import pynetdicom_stores, storescu


def _is_answered(port: int, tls: ssl.SSLContext) -> bool:
    """Whether a request for an association gets an answer of DICOM at all; in TLS 1.3 a refusal comes after it."""
    try:
        with RawPeer(port, tls) as caller:
            caller.send(request_bytes())
            return caller.read() is not None
    except OSError:
        return False


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def client_of(authority: Authority, name: str | None = "caller") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if name is not None:
        pair = authority.issue(name)
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def test_an_image_by_tls(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("receiver")
    path = write_image(tmp_path / "image.dcm")
    with running(tmp_path, tls=ServerTls(certificate=pair.certificate, key=pair.key)) as here:
        context = client_of(authority, None)
        assert pynetdicom_stores(here.port, path, tls_args=(context, "localhost")) == 0x0000
        assert len(here.intake.received) == 1


@pytest.mark.judge("dcmtk")
def test_storescu_by_tls_with_a_certificate(tmp_path: Path, authority: Authority) -> None:
    pair, own = authority.issue("receiver"), authority.issue("storescu")
    path = write_image(tmp_path / "image.dcm")
    tls = ServerTls(certificate=pair.certificate, key=pair.key, client_ca=authority.file)
    with running(tmp_path, tls=tls) as here:
        done = storescu(here.port, path, "--enable-tls", own.key, own.certificate, "--add-cert-file", authority.file)
        assert done.returncode == 0, done.stderr
        assert len(here.intake.received) == 1


def test_who_shows_no_certificate_of_ours_is_refused(tmp_path: Path, authority: Authority) -> None:
    pair, stranger = authority.issue("receiver"), Authority(tmp_path, "stranger")
    own = stranger.issue("unknown")
    tls = ServerTls(certificate=pair.certificate, key=pair.key, client_ca=authority.file)
    with running(tmp_path, tls=tls) as here:
        assert (
            pynetdicom_stores(
                here.port, write_image(tmp_path / "image.dcm"), tls_args=(client_of(authority), "localhost")
            )
            == 0x0000
        )
        wrong = client_of(authority, None)
        wrong.load_cert_chain(own.certificate, own.key)
        for context in (wrong, client_of(authority, None)):
            assert not _is_answered(here.port, context)
        assert eventually(lambda: [one.reason for one in here.refusals] == [RefusalReason.TLS] * 2)
        assert [one.accepted for one in here.summaries] == [1]


def test_plain_text_and_old_versions_are_refused(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("receiver")
    with running(tmp_path, tls=ServerTls(certificate=pair.certificate, key=pair.key)) as here:
        with RawPeer(here.port) as caller:
            caller.send(request_bytes())
            answer = caller.read()
            assert answer is None or answer[0] not in (ACCEPTED, REJECTED)
        old = client_of(authority, None)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        assert not _is_answered(here.port, old)
        assert eventually(lambda: [one.reason for one in here.refusals] == [RefusalReason.TLS] * 2)


def test_a_caller_without_a_handshake_keeps_nobody_waiting(tmp_path: Path, authority: Authority) -> None:
    pair = authority.issue("receiver")
    tls = ServerTls(certificate=pair.certificate, key=pair.key)
    path, context = write_image(tmp_path / "image.dcm"), client_of(authority, None)
    with running(tmp_path, {"associate_seconds": 8}, tls=tls) as here, RawPeer(here.port) as mute:
        assert pynetdicom_stores(here.port, path, tls_args=(context, "localhost")) == 0x0000
        assert here.refusals == []
        assert mute.read() is None
        assert [one.reason for one in here.refusals] == [RefusalReason.TLS]


def test_files_that_are_none(tmp_path: Path, authority: Authority) -> None:
    pair, other = authority.issue("receiver"), authority.issue("other")
    config = ReceiverConfig(port=0, tls=ServerTls(certificate=pair.certificate, key=other.key))
    with pytest.raises(UsageError, match="TLS files cannot be used"):
        DicomReceiver(config, FolderIntake(tmp_path))
