"""The DICOM Conformance Statement, in the structure of PS3.2, written from the tables that the code itself goes by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medground import __version__
from medground.serving.config import RetentionConfig
from medground.serving.dicom_receiver.archive_config import ArchiveConfig
from medground.serving.dicom_receiver.commands import Status
from medground.serving.dicom_receiver.commitment import FailureReason
from medground.serving.dicom_receiver.config import ReceiverLimits
from medground.serving.dicom_receiver.implementation import implementation_class_uid, implementation_version_name
from medground.serving.dicom_receiver.instances import STATUS_OF
from medground.serving.dicom_receiver.negotiation import APPLICATION_CONTEXT
from medground.serving.dicom_receiver.peers import REJECTIONS
from medground.serving.dicom_receiver.requester import Timeouts
from medground.serving.dicom_receiver.sop_classes import (
    PLAIN_SYNTAXES,
    STORAGE_CLASSES,
    STORAGE_COMMITMENT,
    TRANSFER_SYNTAXES,
    VERIFICATION,
    name_of,
    offered,
)

_RESULTS = {1: "1 (permanent)", 2: "2 (transient)"}
_SOURCES = {1: "1 (service user)", 2: "2 (service provider, ACSE)", 3: "3 (service provider, presentation)"}


def conformance_statement() -> str:
    """The statement, in Markdown; the same for every installation of a version but for what is configured."""
    return "\n\n".join([*_overview(), *_networking(), *_acceptor(), *_requestor(), *_web(), *_rest()]) + "\n"


def _overview() -> list[str]:
    services = [
        *((name_of(uid), "no", "yes") for uid in (VERIFICATION, *STORAGE_CLASSES)),
        (name_of(STORAGE_COMMITMENT), "no", "yes, where the service keeps requests for it"),
        ("Storage of results: SOP classes of the objects sent", "yes", "see above"),
    ]
    return [
        "# DICOM Conformance Statement",
        f"medground {__version__}. By the structure of DICOM PS3.2; written from the tables that the program goes by.",
        "## 1 Conformance statement overview",
        "medground takes in images over the network, answers questions about them, and sends the answers to an "
        "archive. It is a research tool and no medical device.",
        _table(("Network service (SOP class)", "user (SCU)", "provider (SCP)"), services),
        "Over HTTP it is a user agent of the Studies Service: store (STOW-RS), retrieve (WADO-RS) and search "
        "(QIDO-RS). Media interchange is not supported.",
        "## 2 Table of contents",
        "1 Overview. 2 Table of contents. 3 Introduction. 4 Networking. 5 Media interchange. 6 Character sets. "
        "7 Security. 8 Annexes.",
        "## 3 Introduction",
        "For those who connect medground with other systems. AE: application entity. PDU: protocol data unit. SCU and "
        "SCP: service class user and provider. That two statements agree does not prove that two systems work "
        "together.",
    ]


def _networking() -> list[str]:
    return [
        "## 4 Networking",
        "### 4.1 Implementation model",
        "One application entity, *medground*, receives (4.2.1) and sends (4.2.2). A peer sends images by C-STORE; "
        "each is on the disk and in the database before it is answered with success. A peer may then ask for storage "
        "commitment. Results go by C-STORE or STOW-RS to the archive that is configured.",
        "### 4.2 AE specifications",
        "#### Implementation identifying information",
        _table(
            ("", "value"),
            [
                ("Application context name", APPLICATION_CONTEXT),
                ("Implementation class UID", implementation_class_uid()),
                ("Implementation version name", implementation_version_name()),
            ],
        ),
    ]


def _acceptor() -> list[str]:
    limits = ReceiverLimits()
    rejections = [
        (reason.value, _RESULTS[fields.result], _SOURCES[fields.source], str(fields.reason))
        for reason, fields in REJECTIONS.items()
    ]
    storage = [(because.value, _hexadecimal(status)) for because, status in STATUS_OF.items()]
    return [
        "### 4.2.1 Associations that are accepted",
        "#### Policies",
        _table(
            ("Limit", "default"),
            [
                ("Associations at once", str(limits.max_associations)),
                ("Longest PDU that is taken", f"{limits.max_pdu_bytes} bytes"),
                ("Largest data set", f"{limits.max_instance_bytes} bytes"),
                ("Longest request for storage commitment", f"{limits.max_commitment_bytes} bytes"),
                ("Time until the association is asked for", f"{limits.associate_seconds:g} s"),
                ("Time without a PDU", f"{limits.idle_seconds:g} s"),
                ("Time from the first byte of a PDU to its last", f"{limits.pdu_seconds:g} s"),
                ("Operations at once (asynchronous window)", "1, not negotiated"),
            ],
        ),
        "Peers are configured by calling AE title, called AE title and address; nobody else gets an association. "
        "SCP/SCU role selection, extended negotiation and user identity are not answered.",
        _table(("Rejected because of", "result", "source", "reason"), rejections),
        "A PDU that is longer than announced, not known or not expected is answered with A-ABORT (source 2, reasons "
        "6, 1 and 2); silence with A-ABORT (source 0).",
        "#### Presentation contexts",
        "Every SOP class below is accepted as SCP in each of its transfer syntaxes; where one context proposes "
        "several, the first of this order is taken. Anything else is refused: result 3 for the SOP class, 4 for the "
        "transfer syntax.",
        _table(
            ("SOP class", "UID", "transfer syntaxes"),
            [(name_of(uid), uid, _table_name(syntaxes)) for uid, syntaxes in offered().items()],
        ),
        "Transfer syntaxes *plain*:",
        _table(("Name", "UID"), [(name_of(uid), uid) for uid in PLAIN_SYNTAXES]),
        "Transfer syntaxes *image*:",
        _table(("Name", "UID"), [(name_of(uid), uid) for uid in TRANSFER_SYNTAXES]),
        "#### Verification and storage",
        "C-ECHO is answered with 0x0000. The data set of a C-STORE is kept as the bytes that were sent. Level 2 "
        "(full): nothing is removed or coerced. A C-STORE is answered with:",
        _table(("Outcome", "status"), [("the image is on the disk and in the database", "0x0000"), *storage]),
        "#### Storage commitment (push model)",
        "N-ACTION, action type 1, is answered once the request is kept; its N-EVENT-REPORT (event type 1 or 2) follows "
        "over the same association, or, where that has ended, over one of medground's own to the configured address of "
        "the peer (role selection: SCP), until it is answered; after a restart too.",
        f"A request whose report nobody has taken is deleted {RetentionConfig().commitments_days:g} days after it came "
        "(setting `retention.commitments_days`), and nothing is reported of it any more: ask again. A request that "
        "repeats the transaction UID of one that is kept, between the same application entities, takes its place and "
        "keeps its time.",
        _table(
            ("N-ACTION answered with", "status"),
            [
                ("kept", _hexadecimal(Status.SUCCESS)),
                ("it cannot be kept now", _hexadecimal(Status.PROCESSING_FAILURE)),
                ("another SOP instance than the well-known one", _hexadecimal(Status.NO_SUCH_INSTANCE)),
                ("no transaction UID, or no references", _hexadecimal(Status.INVALID_ARGUMENT)),
                ("another action type", _hexadecimal(Status.NO_SUCH_ACTION)),
                ("a longer list than is taken", _hexadecimal(Status.RESOURCE_LIMITATION)),
            ],
        ),
        _table(
            ("Failure reason in a report", "value"),
            [(reason.name.replace("_", " ").lower(), _hexadecimal(reason)) for reason in FailureReason],
        ),
    ]


def _requestor() -> list[str]:
    timeouts = Timeouts()
    return [
        "### 4.2.2 Associations that are asked for",
        "To send results, and to report on storage commitment. One association for up to 128 kinds of objects, one "
        "operation at a time; each object is proposed in the transfer syntax it is kept in and in no other, and "
        "nothing is converted. Results are structured reports (Comprehensive SR and Comprehensive 3D SR, TID 1500) "
        "and presentation states, in Explicit VR Little Endian.",
        _table(
            ("Time-out", "default"),
            [
                ("Connection", f"{timeouts.connect:g} s"),
                ("Answer to a request", f"{timeouts.answer:g} s"),
                ("Sending", f"{timeouts.send:g} s"),
            ],
        ),
        _table(
            ("Status of C-STORE", "what it means here"),
            [
                ("0x0000, 0xBxxx, 0x0107, 0x0116", "arrived"),
                ("0xA7xx, 0x0110, 0x0213", "failed for now; sent again later"),
                ("any other", "failed for good"),
            ],
        ),
    ]


def _web() -> list[str]:
    limits = ArchiveConfig(url="https://localhost")
    return [
        "### 4.2.3 DICOMweb",
        _table(
            ("Transaction (user agent)", "request", "media type"),
            [
                ("Store (STOW-RS)", "POST /studies", 'multipart/related; type="application/dicom"'),
                ("Search (QIDO-RS)", "GET /studies", "application/dicom+json"),
                (
                    "Retrieve (WADO-RS)",
                    "GET /studies/{study}",
                    'multipart/related; type="application/dicom"; transfer-syntax=*',
                ),
            ],
        ),
        "Matching keys: StudyInstanceUID, PatientID, AccessionNumber, StudyDate, ModalitiesInStudy. Redirections are "
        f"not followed. An answer may have {limits.max_study_bytes} bytes and {limits.max_instances} instances of "
        f"{limits.max_instance_bytes} bytes each by default.",
    ]


def _rest() -> list[str]:
    return [
        "### 4.3 Network interfaces",
        "TCP/IP, versions 4 and 6. By default the receiver listens at 127.0.0.1, port 11112; beyond this machine only "
        "with TLS or where plain text is allowed in the configuration.",
        "### 4.4 Configuration",
        "AE titles, addresses, ports, tenants, TLS and all limits above are configured.",
        "## 5 Media interchange",
        "Not supported.",
        "## 6 Support of character sets",
        "Data sets are kept as they are. Texts are read in the Specific Character Set that they name.",
        "## 7 Security",
        "TLS 1.2 or newer for associations in both directions, with certificates on both sides if so configured "
        "(PS3.15 annex B); certificates and names of systems that are called are always checked. Refused associations "
        "and the end of accepted ones are told to the audit log. No patient is named in logs, comments or error "
        "messages.",
        "## 8 Annexes",
        "No private SOP classes or transfer syntaxes. Private attributes are kept and not read.",
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _table_name(syntaxes: Sequence[str]) -> str:
    return "plain" if tuple(syntaxes) == PLAIN_SYNTAXES else "image"


def _hexadecimal(status: int) -> str:
    return f"0x{status:04X}"
