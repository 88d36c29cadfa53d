"""What the DICOM network side is told: who may call, where it listens, whom it calls, and how much it bears.

Nothing is open by default: without peers every association is refused, and beyond this machine it listens with TLS or
where plain DICOM is allowed in so many words.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, IPvAnyAddress, IPvAnyNetwork, StringConstraints, model_validator

from medground.schema.config import StrictConfig


def _ae_title(title: str) -> str:
    title = title.strip(" ")  # spaces around it do not count (PS3.8 table 9-11)
    if not (0 < len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):
        raise ValueError(f"{title!r} is no AE title, which has 1 to 16 ASCII characters and no backslash (PS3.5 6.2)")
    return title


AeTitle = Annotated[str, AfterValidator(_ae_title)]
Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class ServerTls(StrictConfig):
    """TLS of the receiver, version 1.2 or newer.

    Attributes:
        certificate: PEM file, with the certificates between it and its root.
        key: PEM file of its private key, without a passphrase.
        client_ca: PEM file of the authorities whose certificates callers must show; None asks for none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


class ClientTls(StrictConfig):
    """TLS towards a system that is called, version 1.2 or newer; its certificate and its name are always checked.

    Attributes:
        ca: PEM file of the authorities that count; those of the machine if None.
        certificate, key: PEM files that show who calls, both or none.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client certificate needs its key and a key its certificate; give both or none")
        return self


class Remote(StrictConfig):
    """A DICOM system that is called.

    Attributes:
        host: name or address.
        port: TCP port.
        ae_title: what it calls itself.
        tls: None calls in plain text.
    """

    host: str
    port: Port
    ae_title: AeTitle
    tls: ClientTls | None = None


class Peer(StrictConfig):
    """A system that may call.

    Attributes:
        calling_ae_title: what it calls itself.
        called_ae_title: what it must call us.
        network: where it calls from, e.g. `10.1.2.3` or `10.1.0.0/16`.
        tenant: whom its images belong to.
        reports_to: where reports of storage commitment are sent when its association is over; None waits until it asks
            for another commitment.
    """

    calling_ae_title: AeTitle
    called_ae_title: AeTitle
    network: IPvAnyNetwork
    tenant: Tenant
    reports_to: Remote | None = None


class ReceiverLimits(StrictConfig):
    """Upper bounds on what others may ask of the receiver.

    Attributes:
        max_associations: at once; one more is refused for now (local limit exceeded).
        max_waiting: connections at once that have not asked for an association yet; one more is closed.
        max_pdu_bytes: announced as the longest PDU that is taken; a longer one ends the association.
        max_instance_bytes: of one data set; a larger one is refused (0xC000), and one of more than twice as much ends
            the association.
        max_commitment_bytes: of the list in one request for storage commitment; a larger one is refused (0x0213).
        associate_seconds: from the connection to the complete request for an association, TLS included.
        idle_seconds: without a PDU, after which the association is aborted.
        pdu_seconds: from the first byte of a PDU to the last.
        send_seconds: until an answer has been taken.
    """

    max_associations: int = Field(default=64, ge=1, le=4096)
    max_waiting: int = Field(default=32, ge=1, le=4096)
    max_pdu_bytes: int = Field(default=2**18, ge=4096, le=2**24)
    max_instance_bytes: int = Field(default=2**31, gt=0)
    max_commitment_bytes: int = Field(default=2**22, gt=0)
    associate_seconds: Seconds = 30.0
    idle_seconds: Seconds = 120.0
    pdu_seconds: Seconds = 30.0
    send_seconds: Seconds = 30.0


class ReceiverConfig(StrictConfig):
    """The receiver as a whole.

    Attributes:
        host: address of this machine to listen at; `0.0.0.0` for all, `::` for all of both versions of IP.
        port: TCP port; 0 takes any free one.
        peers: who may call; nobody by default.
        tls: None listens in plain text.
        allow_plain_text: listen beyond this machine without TLS, e.g. in a network of its own.
        limits: upper bounds.
        report_retry_seconds: after which a report of storage commitment that did not arrive is sent again; doubled
            each time, up to an hour.
    """

    host: IPvAnyAddress = Field(default="127.0.0.1", validate_default=True)
    port: int = Field(default=11112, ge=0, le=65535)
    peers: tuple[Peer, ...] = ()
    tls: ServerTls | None = None
    allow_plain_text: bool = False
    limits: ReceiverLimits = ReceiverLimits()
    report_retry_seconds: Seconds = 30.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.host.is_loopback and self.tls is None and not self.allow_plain_text:
            raise ValueError(
                f"{self.host} is reachable from other machines and DICOM is not encrypted there: "
                "give tls, or set allow_plain_text, or listen at 127.0.0.1"
            )
        for one, other in combinations(self.peers, 2):
            same = (one.calling_ae_title, one.called_ae_title) == (other.calling_ae_title, other.called_ae_title)
            if same and one.network.version == other.network.version and one.network.overlaps(other.network):
                raise ValueError(
                    f"two peers are {one.calling_ae_title} calling {one.called_ae_title} from {one.network} and "
                    f"{other.network}: which of them calls could not be told; give networks that do not overlap"
                )
        return self
