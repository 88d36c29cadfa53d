"""Storage commitment, push model: a caller names instances, and is told which of them are here to stay (PS3.4 annex J).

The requests are kept by the service until their reports have been taken, so that a restart loses none.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict
from pydicom.filereader import read_dataset
from pydicom.uid import ImplicitVRLittleEndian

from medground.dicom.boundary import typed_errors
from medground.dicom.elements import items
from medground.dicom.limits import Limits
from medground.dicom.structure import Walk
from medground.schema.errors import UnreadableFileError
from medground.serving.dicom_receiver.commands import Command, CommandField, is_uid
from medground.serving.dicom_receiver.identity import raw_uid
from medground.serving.dicom_receiver.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE

REQUEST_ACTION: Final = 1
ALL_COMMITTED, SOME_FAILED = 1, 2  # event types, PS3.4 table J.3-2
_ITEM = struct.Struct("<HHL")
_GROUP = 0x0008
_REFERENCED_CLASS, _REFERENCED_INSTANCE, _TRANSACTION, _FAILURE_REASON = 0x1150, 0x1155, 0x1195, 0x1197
_FAILED_SEQUENCE, _REFERENCED_SEQUENCE = 0x1198, 0x1199


RequestKey = tuple[str, str, str, str]


class FailureReason(IntEnum):
    """Why an instance is not here to stay (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    RESOURCE_LIMITATION = 0x0213


class Reference(BaseModel):
    """An instance, by its UIDs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sop_class_uid: str
    sop_instance_uid: str


class CommitmentRequest(BaseModel):
    """What a caller wants to be told; it can be kept as JSON.

    Tenant, titles and transaction tell one request from every other.

    Attributes:
        tenant: of the caller.
        calling_ae_title, called_ae_title: of the association that it came over.
        transaction_uid: that the caller gave it.
        references: the instances, at least one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str
    calling_ae_title: str
    called_ae_title: str
    transaction_uid: str
    references: tuple[Reference, ...]

    @property
    def key(self) -> RequestKey:
        """What tells it from every other."""
        return self.tenant, self.calling_ae_title, self.called_ae_title, self.transaction_uid


class CommitmentStore(Protocol):
    """Where the service keeps requests for storage commitment; called from many threads at once."""

    def add(self, request: CommitmentRequest, /) -> None:
        """Keep a request; on the disk when this returns. A request with the same key takes its place."""

    def pending(self) -> Sequence[CommitmentRequest]:
        """The requests whose reports have not been taken, oldest first."""

    def judge(self, request: CommitmentRequest, /) -> Sequence[FailureReason | None]:
        """For each reference of a request, in order: why it is not here to stay, None if it is."""

    def reported(self, request: CommitmentRequest, /) -> None:
        """The caller has taken the report: forget the request."""


def read_action(
    content: bytes, transfer_syntax_uid: str, tenant: str, calling: str, called: str, limits: Limits
) -> CommitmentRequest:
    """The request in the data set of an N-ACTION (PS3.4 table J.3-1).

    Args:
        content: the encoded data set.
        transfer_syntax_uid: explicit or implicit VR, little endian.
        tenant: of the caller.
        calling: AE title of the caller.
        called: AE title that he called.
        limits: on the data set.

    Raises:
        InputError: it is none.
    """
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    with typed_errors(UnreadableFileError, "the request for storage commitment cannot be read"):
        Walk(memoryview(content), 0, implicit=implicit, little=True, limits=limits).pixel_element()
        dataset = read_dataset(io.BytesIO(content), implicit, True)
        named = [
            (raw_uid(item, _GROUP << 16 | _REFERENCED_CLASS), raw_uid(item, _GROUP << 16 | _REFERENCED_INSTANCE))
            for item in items(dataset, "ReferencedSOPSequence")
        ]
        transaction = raw_uid(dataset, _GROUP << 16 | _TRANSACTION)
    if not is_uid(transaction) or not named or not all(is_uid(uid) for pair in named for uid in pair):
        raise UnreadableFileError("the request for storage commitment lacks a UID (PS3.4 table J.3-1)")
    references = tuple(Reference(sop_class_uid=one, sop_instance_uid=other) for one, other in named)
    return CommitmentRequest(
        tenant=tenant,
        calling_ae_title=calling,
        called_ae_title=called,
        transaction_uid=transaction,
        references=references,
    )


def report(
    request: CommitmentRequest, verdicts: Sequence[FailureReason | None], message_id: int, transfer_syntax_uid: str
) -> tuple[Command, bytes]:
    """The N-EVENT-REPORT to a request: command and encoded data set (PS3.4 table J.3-2).

    Args:
        request: that is answered.
        verdicts: see `CommitmentStore.judge`.
        message_id: of the command.
        transfer_syntax_uid: explicit or implicit VR, little endian.
    """
    committed, failed = bytearray(), bytearray()
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    for reference, reason in zip(request.references, verdicts, strict=True):
        item = _uid(_REFERENCED_CLASS, reference.sop_class_uid, implicit)
        item += _uid(_REFERENCED_INSTANCE, reference.sop_instance_uid, implicit)
        if reason is None:
            committed += _ITEM.pack(0xFFFE, 0xE000, len(item)) + item
        else:
            item += _element(_FAILURE_REASON, b"US", struct.pack("<H", reason), implicit)
            failed += _ITEM.pack(0xFFFE, 0xE000, len(item)) + item
    content = _uid(_TRANSACTION, request.transaction_uid, implicit)
    content += _element(_FAILED_SEQUENCE, b"SQ", bytes(failed), implicit) if failed else b""
    content += _element(_REFERENCED_SEQUENCE, b"SQ", bytes(committed), implicit) if committed else b""
    command = Command(
        field=CommandField.N_EVENT_REPORT_RQ,
        message_id=message_id,
        sop_class_uid=STORAGE_COMMITMENT,
        sop_instance_uid=STORAGE_COMMITMENT_INSTANCE,
        has_data_set=True,
        event_type=SOME_FAILED if failed else ALL_COMMITTED,
    )
    return command, content


# By hand: pydicom would quote every UID that breaks the rules in a warning, and tools for de-identification write such.
def _element(number: int, vr: bytes, value: bytes, implicit: bool) -> bytes:
    if implicit:
        return struct.pack("<HHL", _GROUP, number, len(value)) + value
    if vr == b"SQ":
        return struct.pack("<HH2sHL", _GROUP, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", _GROUP, number, vr, len(value)) + value


def _uid(number: int, uid: str, implicit: bool) -> bytes:
    value = uid.encode("ascii")
    return _element(number, b"UI", value + b"\0" * (len(value) % 2), implicit)
