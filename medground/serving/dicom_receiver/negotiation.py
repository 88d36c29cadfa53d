"""Association requests, their answers and other short PDUs, encoded and decoded by pynetdicom (PS3.8 section 9.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.uid import UID
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, A_RELEASE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor

from medground.serving.dicom_receiver.implementation import implementation_class_uid, implementation_version_name
from medground.serving.dicom_receiver.peers import Rejection
from medground.serving.dicom_receiver.wire import AbortReason, EndedError, Ending, PduType

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_VERSION_1: Final = 1  # bit 0 (PS3.8 table 9-11)
_FIXED: Final = struct.Struct(">H2x16s16s32x")
MOST_CONTEXTS: Final = 128  # their ids are the odd numbers of a byte


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    context_id: int
    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Titles:
    """Who wants an association, from the fixed part of what he sends (PS3.8 table 9-11).

    Attributes:
        calling, called: AE titles without spaces around them.
        is_version_1: of the protocol, the only one there is.
    """

    calling: str
    called: str
    is_version_1: bool


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """What somebody asks for who wants an association.

    Attributes:
        calling_ae_title, called_ae_title: without spaces around them.
        application_context: UID.
        contexts: proposed.
        max_pdu_bytes: that it takes; 0 for any.
    """

    calling_ae_title: str
    called_ae_title: str
    application_context: str
    contexts: tuple[PresentationContext, ...]
    max_pdu_bytes: int


def read_titles(body: memoryview) -> Titles:
    """Who sends an A-ASSOCIATE-RQ; to decode the rest of it takes seconds if it is made to.

    Args:
        body: what follows its length.

    Raises:
        EndedError: it is too short.
    """
    if len(body) < _FIXED.size:
        raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER)
    version, called, calling = _FIXED.unpack_from(body)
    return Titles(_title(calling), _title(called), bool(version & _VERSION_1))


def _title(field: bytes) -> str:
    return field.decode("ascii", "replace").strip()


def read_request(body: memoryview) -> AssociationRequest:
    """An A-ASSOCIATE-RQ from what follows its length.

    Raises:
        EndedError: it is none.
    """
    primitive = _decoded(A_ASSOCIATE_RQ(), PduType.ASSOCIATE_RQ, body)
    return AssociationRequest(
        str(primitive.calling_ae_title).strip(),
        str(primitive.called_ae_title).strip(),
        str(primitive.application_context_name or ""),
        tuple(primitive.presentation_context_definition_list),
        _max_pdu_bytes(primitive),
    )


def acceptance(
    request: AssociationRequest, offered: Sequence[PresentationContext], max_pdu_bytes: int
) -> tuple[bytes, dict[int, Context]]:
    """The A-ASSOCIATE-AC to a request, and the contexts that it accepts.

    Raises:
        EndedError: the request contradicts itself.
    """
    try:
        results, _ = negotiate_as_acceptor(list(request.contexts), list(offered))
        answer = A_ASSOCIATE()
        answer.application_context_name = UID(APPLICATION_CONTEXT)
        answer.calling_ae_title, answer.called_ae_title = request.calling_ae_title, request.called_ae_title
        answer.result, answer.result_source = 0, 1
        answer.presentation_context_definition_results_list = results
        answer.user_information = _user_information(max_pdu_bytes)
        encoded = A_ASSOCIATE_AC(answer).encode()
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as cause:
        raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER) from cause
    return encoded, _contexts(results)


def association_request(
    calling: str,
    called: str,
    proposed: Sequence[tuple[str, Sequence[str]]],
    max_pdu_bytes: int,
    provided: Sequence[str],
) -> bytes:
    """An A-ASSOCIATE-RQ.

    Args:
        calling: our AE title.
        called: that of the other system.
        proposed: SOP class and transfer syntaxes of each context, `MOST_CONTEXTS` at most; their ids are 1, 3, 5, ...
        max_pdu_bytes: that we take.
        provided: SOP classes that the caller is the provider of, not the user.
    """
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT)
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    contexts = [build_context(sop_class, list(syntaxes)) for sop_class, syntaxes in proposed]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    roles = []
    for sop_class in provided:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = UID(sop_class), False, True
        roles.append(role)
    primitive.user_information = [*_user_information(max_pdu_bytes), *roles]
    return A_ASSOCIATE_RQ(primitive).encode()


def read_acceptance(body: memoryview, proposed: Sequence[tuple[str, Sequence[str]]]) -> tuple[dict[int, Context], int]:
    """The contexts that an A-ASSOCIATE-AC accepts of those proposed, and the longest PDU that is taken (0 for any).

    Raises:
        EndedError: it is none.
    """
    primitive = _decoded(A_ASSOCIATE_AC(), PduType.ASSOCIATE_AC, body)
    accepted: dict[int, Context] = {}
    for context in primitive.presentation_context_definition_results_list:
        context_id = context.context_id or 0
        number = (context_id - 1) // 2
        if context.result == 0 and 0 <= number < len(proposed) and context.transfer_syntax:
            sop_class, syntaxes = proposed[number]
            if context.transfer_syntax[0] in syntaxes:
                accepted[context_id] = Context(context_id, sop_class, str(context.transfer_syntax[0]))
    return accepted, _max_pdu_bytes(primitive)


def rejection(fields: Rejection) -> bytes:
    """An A-ASSOCIATE-RJ."""
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = fields.result, fields.source, fields.reason
    return pdu.encode()


def read_rejection(body: memoryview) -> Rejection:
    """The fields of an A-ASSOCIATE-RJ."""
    return Rejection(*(bytes(body[1:4]) if len(body) == 4 else (1, 1, 1)))


def abort(reason: AbortReason | None) -> bytes:
    """An A-ABORT: by the provider for a reason, by the user if None."""
    pdu = A_ABORT_RQ()
    pdu.source, pdu.reason_diagnostic = (0, 0) if reason is None else (2, int(reason))
    return pdu.encode()


def release_request() -> bytes:
    """An A-RELEASE-RQ."""
    return A_RELEASE_RQ().encode()


def release_response() -> bytes:
    """An A-RELEASE-RP."""
    return A_RELEASE_RP().encode()


def _decoded(pdu: A_ASSOCIATE_RQ | A_ASSOCIATE_AC, kind: PduType, body: memoryview) -> A_ASSOCIATE:
    try:
        pdu.decode(struct.pack(">BxL", kind, len(body)) + bytes(body))
        return pdu.to_primitive()
    except Exception as cause:  # pynetdicom raises whatever the bytes provoke
        raise EndedError(Ending.BROKEN, AbortReason.INVALID_PARAMETER) from cause


def _max_pdu_bytes(primitive: A_ASSOCIATE) -> int:
    lengths = [item for item in primitive.user_information if isinstance(item, MaximumLengthNotification)]
    return int(lengths[0].maximum_length_received or 0) if lengths else 0


def _user_information(max_pdu_bytes: int) -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu_bytes
    implementation, version = ImplementationClassUIDNotification(), ImplementationVersionNameNotification()
    implementation.implementation_class_uid = UID(implementation_class_uid())
    version.implementation_version_name = implementation_version_name()
    return [length, implementation, version]


def _contexts(results: Sequence[PresentationContext]) -> dict[int, Context]:
    return {
        one.context_id: Context(one.context_id, str(one.abstract_syntax), str(one.transfer_syntax[0]))
        for one in results
        if one.result == 0 and one.context_id is not None
    }
