"""Who may open an association, and as whom; everybody else is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address

from medground.serving.dicom_receiver.config import Peer

Address = IPv4Address | IPv6Address


class RefusalReason(StrEnum):
    """Why somebody was not let in; the ones before `CONNECTIONS` are answered with an A-ASSOCIATE-RJ."""

    ADDRESS = "address"
    CALLING_AE_TITLE = "calling AE title"
    CALLED_AE_TITLE = "called AE title"
    APPLICATION_CONTEXT = "application context"
    PROTOCOL_VERSION = "protocol version"
    ASSOCIATIONS = "too many associations"
    CONNECTIONS = "too many connections"
    TLS = "TLS"
    NO_REQUEST = "no request for an association"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Fields of an A-ASSOCIATE-RJ (PS3.8 table 9-21).

    Attributes:
        result: 1 permanent, 2 transient.
        source: 1 service user, 2 provider (ACSE), 3 provider (presentation).
        reason: by source.
    """

    result: int
    source: int
    reason: int


REJECTIONS = {
    RefusalReason.ADDRESS: Rejection(1, 1, 3),  # from there nobody is recognised, whatever the title
    RefusalReason.CALLING_AE_TITLE: Rejection(1, 1, 3),
    RefusalReason.CALLED_AE_TITLE: Rejection(1, 1, 7),
    RefusalReason.APPLICATION_CONTEXT: Rejection(1, 1, 2),
    RefusalReason.PROTOCOL_VERSION: Rejection(1, 2, 2),
    RefusalReason.ASSOCIATIONS: Rejection(2, 3, 2),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody who was not let in, for the audit log.

    Attributes:
        reason: why.
        address: where from.
        calling_ae_title, called_ae_title: as sent, without what is not printable; empty if it did not come to that.
    """

    reason: RefusalReason
    address: str
    calling_ae_title: str = ""
    called_ae_title: str = ""


class Peers:
    """The systems that may call.

    Args:
        peers: no two of which could be the same caller.
    """

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = tuple(peers)

    def knows(self, address: Address) -> bool:
        """Whether anybody may call from there."""
        return any(address in peer.network for peer in self._peers)

    def find(self, calling: str, called: str, address: Address) -> Peer | RefusalReason:
        """Who calls, or why he is refused.

        Addresses come first: from elsewhere nobody is told which titles exist.

        Args:
            calling: AE title of the caller, without spaces around it.
            called: AE title that he calls.
            address: of the caller.
        """
        here = [peer for peer in self._peers if address in peer.network]
        if not here:
            return RefusalReason.ADDRESS
        callers = [peer for peer in here if peer.calling_ae_title == calling]
        if not callers:
            known = any(peer.calling_ae_title == calling for peer in self._peers)
            return RefusalReason.ADDRESS if known else RefusalReason.CALLING_AE_TITLE
        return next((peer for peer in callers if peer.called_ae_title == called), RefusalReason.CALLED_AE_TITLE)

    def of(self, calling: str, called: str, tenant: str) -> Peer | None:
        """The peer that once called so; None if it is one no longer."""
        return next(
            (
                peer
                for peer in self._peers
                if (peer.calling_ae_title, peer.called_ae_title, peer.tenant) == (calling, called, tenant)
            ),
            None,
        )


def address_of(text: str) -> Address:
    """An address as the socket gives it; one of IPv4 within IPv6 counts as IPv4."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def printable_title(title: str) -> str:
    """An AE title from outside, fit for a log: at most 16 characters, a question mark for what is no ASCII letter."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in title[:16])
