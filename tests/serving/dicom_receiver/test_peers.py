"""Who is known, by title and address."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from medground.serving.dicom_receiver.peers import REJECTIONS, Peers, RefusalReason, address_of, printable_title
from tests.serving.dicom_receiver.running import peer

PEERS = [
    peer(calling_ae_title="CT1", network="10.1.0.0/16", tenant="one"),
    peer(calling_ae_title="CT1", network="10.2.0.0/16", tenant="two"),
    peer(calling_ae_title="CT1", called_ae_title="OTHER", network="10.1.0.0/16", tenant="three"),
    peer(calling_ae_title="CT2", network="2001:db8::/32", tenant="four"),
]


@pytest.mark.parametrize(
    ("calling", "called", "address", "expected"),
    [
        ("CT1", "MEDGROUND", "10.1.2.3", "one"),
        ("CT1", "MEDGROUND", "10.2.2.3", "two"),
        ("CT1", "OTHER", "10.1.2.3", "three"),
        ("CT2", "MEDGROUND", "2001:db8::7", "four"),
        ("CT1", "OTHER", "10.2.2.3", RefusalReason.CALLED_AE_TITLE),
        ("CT1", "MEDGROUND", "10.3.2.3", RefusalReason.ADDRESS),
        ("CT2", "MEDGROUND", "10.1.2.3", RefusalReason.ADDRESS),
        ("CT3", "MEDGROUND", "10.1.2.3", RefusalReason.CALLING_AE_TITLE),
        ("ct1", "MEDGROUND", "10.1.2.3", RefusalReason.CALLING_AE_TITLE),
        ("CT3", "NOBODY", "10.3.2.3", RefusalReason.ADDRESS),
        ("", "", "10.1.2.3", RefusalReason.CALLING_AE_TITLE),
    ],
)
def test_found(calling: str, called: str, address: str, expected: Any) -> None:
    found = Peers(PEERS).find(calling, called, ip_address(address))
    assert (found if isinstance(found, RefusalReason) else found.tenant) == expected


def test_strangers_are_told_apart_by_their_address() -> None:
    peers = Peers(PEERS)
    known = [one for one in ("10.1.2.3", "10.3.0.1", "2001:db8::1", "::1") if peers.knows(ip_address(one))]
    assert known == ["10.1.2.3", "2001:db8::1"]
    assert not Peers([]).knows(ip_address("127.0.0.1"))


def test_the_same_peer_again() -> None:
    peers = Peers(PEERS)
    assert peers.of("CT1", "MEDGROUND", "two") == PEERS[1]
    assert peers.of("CT1", "MEDGROUND", "four") is None


def test_addresses_as_sockets_give_them() -> None:
    assert address_of("::ffff:10.1.2.3") == ip_address("10.1.2.3")
    assert address_of("fe80::1%eth0") == ip_address("fe80::1")
    assert address_of("10.1.2.3") == ip_address("10.1.2.3")


def test_titles_for_the_log() -> None:
    assert printable_title("CT 1") == "CT 1"
    assert printable_title("A\x1b[31m\nÄ" + "x" * 30) == "A?[31m??" + "x" * 8


def test_only_what_is_no_request_has_no_rejection() -> None:
    silent = {RefusalReason.CONNECTIONS, RefusalReason.TLS, RefusalReason.NO_REQUEST}
    assert set(REJECTIONS) == set(RefusalReason) - silent
