"""The configuration refuses what would leave a door open or could not be told apart."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from medground.serving.dicom_receiver.archive_config import ArchiveConfig, Login
from medground.serving.dicom_receiver.config import ClientTls, Peer, ReceiverConfig, ReceiverLimits, Remote

PEER = {"calling_ae_title": "CT1", "called_ae_title": "MEDGROUND", "network": "10.1.0.0/16", "tenant": "one"}


def test_the_default_is_closed_and_local() -> None:
    config = ReceiverConfig()
    assert (str(config.host), config.peers, config.tls, config.allow_plain_text) == ("127.0.0.1", (), None, False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "2001:db8::1"])
def test_beyond_this_machine_it_takes_tls_or_a_word(host: str) -> None:
    tls = {"certificate": "a.crt", "key": "a.key"}
    with pytest.raises(ValidationError, match="give tls, or set allow_plain_text"):
        ReceiverConfig.model_validate({"host": host})
    assert str(ReceiverConfig.model_validate({"host": host, "tls": tls}).host) == host
    assert str(ReceiverConfig.model_validate({"host": host, "allow_plain_text": True}).host) == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_this_machine_needs_neither(host: str) -> None:
    assert str(ReceiverConfig.model_validate({"host": host}).host) == host


@pytest.mark.parametrize(
    ("networks", "are_apart"),
    [
        (("10.1.2.3", "10.1.2.3"), False),
        (("10.1.0.0/16", "10.1.2.3"), False),
        (("10.1.0.0/16", "10.2.0.0/16"), True),
        (("10.1.0.0/16", "2001:db8::/32"), True),
    ],
)
def test_two_peers_must_be_told_apart(networks: tuple[str, str], are_apart: bool) -> None:
    peers = [{**PEER, "network": network, "tenant": tenant} for network, tenant in zip(networks, "ab", strict=True)]
    if are_apart:
        assert len(ReceiverConfig.model_validate({"peers": peers}).peers) == 2
    else:
        with pytest.raises(ValidationError, match="networks that do not overlap"):
            ReceiverConfig.model_validate({"peers": peers})
    peers[0]["called_ae_title"] = "OTHER"
    assert len(ReceiverConfig.model_validate({"peers": peers}).peers) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"calling_ae_title": ""},
        {"calling_ae_title": "    "},
        {"calling_ae_title": "A" * 17},
        {"called_ae_title": "A\\B"},
        {"called_ae_title": "ÄRZTE"},
        {"called_ae_title": "A\nB"},
        {"network": "10.1.2.3/16"},
        {"network": "somewhere"},
        {"tenant": ""},
        {"tenant": "a/b"},
        {"calling": "CT1"},
    ],
)
def test_peers_that_are_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Peer.model_validate({**PEER, **changes})


def test_spaces_around_a_title_do_not_count() -> None:
    assert Peer.model_validate({**PEER, "calling_ae_title": " CT 1 "}).calling_ae_title == "CT 1"


def test_what_belongs_together() -> None:
    with pytest.raises(ValidationError, match="both or none"):
        ClientTls.model_validate({"certificate": "a.crt"})
    with pytest.raises(ValidationError):
        Remote.model_validate({"host": "archive", "port": 0, "ae_title": "ARCHIVE"})
    for wrong in ({"max_associations": 0}, {"max_pdu_bytes": 100}, {"idle_seconds": 0}, {"max_pdus": 1}):
        with pytest.raises(ValidationError):
            ReceiverLimits.model_validate(wrong)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://archive/x", "none of http or https"),
        ("https:///x", "none of http or https"),
        ("https://user:pass@archive/x", "credentials, a query or a fragment"),
        ("https://archive/x?y=1", "credentials, a query or a fragment"),
        ("http://archive/x", "plain text"),
        ("http://10.1.2.3/x", "plain text"),
    ],
)
def test_archives_that_are_none(url: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ArchiveConfig(url=url)


def test_archives_on_this_machine_or_in_so_many_words() -> None:
    for url in ("https://archive/x", "http://127.0.0.1:8042/x", "http://[::1]/x", "http://localhost/x"):
        assert ArchiveConfig(url=url).url == url
    assert ArchiveConfig(url="http://archive/x", allow_plain_text=True).allow_plain_text


def test_passwords_are_not_shown() -> None:
    config = ArchiveConfig.model_validate(
        {"url": "https://archive", "credentials": {"kind": "basic", "user": "u", "password": "sesame"}}
    )
    assert isinstance(config.credentials, Login)
    assert config.credentials.password.get_secret_value() == "sesame"
    assert "sesame" not in repr(config) + str(config) + config.model_dump_json()
