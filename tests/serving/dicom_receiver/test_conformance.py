"""The conformance statement says what the running receiver does, for every SOP class in every transfer syntax."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import (
    MPEG2MPML,
    AllTransferSyntaxes,
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    MRImageStorage,
    RTPlanStorage,
    SegmentationStorage,
)
from pynetdicom import AE
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.presentation import AllStoragePresentationContexts

from medground.serving.config import RetentionConfig
from medground.serving.dicom_receiver.conformance import conformance_statement
from medground.serving.dicom_receiver.instances import STATUS_OF
from medground.serving.dicom_receiver.peers import REJECTIONS
from pipelines.conformance import TARGET
from tests.serving.dicom_receiver.raw_peer import RawPeer, request_bytes
from tests.serving.dicom_receiver.running import CALLER, LOOPBACK, MEDGROUND, running

ACCEPTED, ABSTRACT_SYNTAX, TRANSFER_SYNTAX = 0, 3, 4
REFUSED = [
    MRImageStorage,
    BasicTextSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SegmentationStorage,
    RTPlanStorage,
    EncapsulatedPDFStorage,
    "1.2.840.10008.5.1.4.1.2.2.1",  # query
    "1.2.3.4.5",
]


def table_after(statement: str, line: str) -> list[list[str]]:
    """Cells of the first table after a line, without its head."""
    rows = []
    for row in statement[statement.index(line) + len(line) :].splitlines():
        if row.startswith("|"):
            rows.append([cell.strip() for cell in row.strip("|").split(" | ")])
        elif rows:
            break
    return rows[2:]


def stated() -> dict[str, list[str]]:
    """Transfer syntaxes by SOP class, as the statement has them."""
    statement = conformance_statement()
    syntaxes = {
        name: [uid for _, uid in table_after(statement, f"Transfer syntaxes *{name}*:")] for name in ("plain", "image")
    }
    return {uid: syntaxes[kind] for _, uid, kind in table_after(statement, "#### Presentation contexts")}


def results(port: int, pairs: list[tuple[str, str]]) -> list[int]:
    """How each SOP class in each transfer syntax is answered, a context to each pair."""
    found = []
    for start in range(0, len(pairs), 128):
        with RawPeer(port) as caller:
            some = pairs[start : start + 128]
            caller.send(request_bytes(proposed=[(sop_class, (syntax,)) for sop_class, syntax in some]))
            answer = caller.read()
            assert answer is not None
            kind, body = answer
            assert kind == 2
            accepted = A_ASSOCIATE_AC()
            accepted.decode(b"\2\0" + len(body).to_bytes(4, "big") + body)
            contexts = accepted.to_primitive().presentation_context_definition_results_list
            by_id = {context.context_id: context for context in contexts}
            assert len(by_id) == len(some)
            for number, (_, syntax) in enumerate(some):
                context = by_id[2 * number + 1]
                assert context.result != ACCEPTED or context.transfer_syntax == [syntax]
                found.append(context.result)
    return found


def test_what_is_negotiated_is_what_is_stated(tmp_path: Path) -> None:
    statement = stated()
    assert len(statement) == 17
    known = [str(syntax) for syntax in AllTransferSyntaxes]
    syntaxes = sorted({*known, *(uid for uids in statement.values() for uid in uids), "1.2.3.4"})
    classes = [*statement, *REFUSED]
    pairs = [(sop_class, syntax) for sop_class in classes for syntax in syntaxes]
    expected = [
        (ACCEPTED if syntax in statement[sop_class] else TRANSFER_SYNTAX) if sop_class in statement else ABSTRACT_SYNTAX
        for sop_class, syntax in pairs
    ]
    with running(tmp_path) as here:
        assert results(here.port, pairs) == expected
    assert expected.count(ACCEPTED) == 2 * 2 + 15 * 18


def test_no_other_storage_class_is_accepted(tmp_path: Path) -> None:
    everything = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
    pairs = [(sop_class, "1.2.840.10008.1.2.1") for sop_class in sorted(everything)]
    assert len(pairs) > 100
    with running(tmp_path) as here:
        found = results(here.port, pairs)
    accepted = {sop_class for (sop_class, _), result in zip(pairs, found, strict=True) if result == ACCEPTED}
    assert accepted == set(stated()) & everything


def test_of_several_transfer_syntaxes_the_first_that_is_stated_is_taken(tmp_path: Path) -> None:
    for sop_class, syntaxes in stated().items():
        with running(tmp_path) as here:
            entity = AE(ae_title=CALLER)
            entity.add_requested_context(sop_class, [MPEG2MPML, *reversed(syntaxes)])
            association = entity.associate(LOOPBACK, here.port, ae_title=MEDGROUND)
            (context,) = association.accepted_contexts
            assert context.transfer_syntax == [syntaxes[0]]
            association.release()
        if len(syntaxes) > 2:
            break


def test_rejections_and_statuses_are_stated() -> None:
    statement = conformance_statement()
    rejections = table_after(statement, "user identity are not answered.")
    assert [(name, int(result[0]), int(source[0]), int(reason)) for name, result, source, reason in rejections] == [
        (reason.value, fields.result, fields.source, fields.reason) for reason, fields in REJECTIONS.items()
    ]
    statuses = dict(table_after(statement, "A C-STORE is answered with:"))
    assert {text: int(status, 16) for text, status in statuses.items() if status != "0x0000"} == {
        because.value: int(status) for because, status in STATUS_OF.items()
    }


@pytest.mark.parametrize("number", range(1, 9))
def test_the_chapters_are_those_of_the_standard(number: int) -> None:
    chapters = [line for line in conformance_statement().splitlines() if line.startswith(f"## {number} ")]
    assert len(chapters) == 1


def test_the_committed_statement_is_the_one_of_the_code() -> None:
    assert TARGET.read_text(encoding="utf-8") == conformance_statement()


def test_how_long_a_request_for_commitment_is_kept_is_stated() -> None:
    days = RetentionConfig().commitments_days
    assert f"A request whose report nobody has taken is deleted {days:g} days after it came" in conformance_statement()
