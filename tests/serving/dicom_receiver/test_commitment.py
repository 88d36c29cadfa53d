"""Requests for storage commitment and reports on them, by their bytes."""

from __future__ import annotations

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode

from medground.dicom.limits import Limits
from medground.schema.errors import InputError
from medground.serving.dicom_receiver.commitment import (
    CommitmentRequest,
    FailureReason,
    Reference,
    read_action,
    report,
)

NAMES = ("hospital", "CALLER", "MEDGROUND")
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def asked(count: int) -> CommitmentRequest:
    references = tuple(Reference(sop_class_uid="1.2.840", sop_instance_uid=f"1.2.3.{n}") for n in range(count))
    return CommitmentRequest(
        tenant=NAMES[0],
        calling_ae_title=NAMES[1],
        called_ae_title=NAMES[2],
        transaction_uid="1.2.99.7",
        references=references,
    )


def content_of(request: CommitmentRequest, syntax: str) -> bytes:
    dataset = Dataset()
    dataset.TransactionUID = request.transaction_uid
    dataset.ReferencedSOPSequence = []
    for reference in request.references:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid
        item.ReferencedSOPInstanceUID = reference.sop_instance_uid
        dataset.ReferencedSOPSequence.append(item)
    return encode(dataset, syntax == ImplicitVRLittleEndian, True) or b""


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_request_is_read(syntax: str) -> None:
    request = asked(300)
    assert read_action(content_of(request, syntax), syntax, *NAMES, Limits()) == request
    assert CommitmentRequest.model_validate_json(request.model_dump_json()) == request
    assert request.key == (*NAMES, "1.2.99.7")


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    "verdicts",
    [
        [None] * 4,
        [FailureReason.NO_SUCH_OBJECT_INSTANCE] * 4,
        [None, FailureReason.PROCESSING_FAILURE, None, FailureReason.CLASS_INSTANCE_CONFLICT],
    ],
)
def test_a_report_is_read_by_another(syntax: str, verdicts: list[FailureReason | None]) -> None:
    request = asked(4)
    command, content = report(request, verdicts, 9, syntax)
    assert (command.field, command.message_id, command.has_data_set) == (0x0100, 9, True)
    assert command.event_type == (2 if any(verdicts) else 1)
    told = decode(io.BytesIO(content), syntax == ImplicitVRLittleEndian, True)
    assert told.TransactionUID == request.transaction_uid
    failed = {one.ReferencedSOPInstanceUID: one.FailureReason for one in told.get("FailedSOPSequence", [])}
    committed = [one.ReferencedSOPInstanceUID for one in told.get("ReferencedSOPSequence", [])]
    names = [one.sop_instance_uid for one in request.references]
    assert failed == {name: int(why) for name, why in zip(names, verdicts, strict=True) if why is not None}
    assert committed == [name for name, why in zip(names, verdicts, strict=True) if why is None]
    assert [element.tag for element in told] == sorted(element.tag for element in told)


def test_odd_uids_are_reported_as_they_are_and_warned_of_nowhere() -> None:
    odd = CommitmentRequest(
        tenant="t",
        calling_ae_title="A",
        called_ae_title="B",
        transaction_uid="2.25.0ab",
        references=(Reference(sop_class_uid="1.02", sop_instance_uid="2.25.ff"),),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, content = report(odd, [None], 1, ExplicitVRLittleEndian)
        assert read_action(content, ExplicitVRLittleEndian, "t", "A", "B", Limits()) == odd


def test_what_is_no_request() -> None:
    whole = content_of(asked(2), ExplicitVRLittleEndian)
    nested = b"\x08\0\x99\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    for content in (
        b"",
        b"rubbish",
        whole[16:],
        whole[:16],
        whole.replace(b"1.2.3.0", b"1.2/3.0"),
        whole.replace(b"1.2.99.7", bytes(8)),
        nested,
    ):
        with pytest.raises(InputError):
            read_action(content, ExplicitVRLittleEndian, *NAMES, Limits())


@given(st.binary(max_size=200), st.sampled_from(SYNTAXES))
def test_anything_is_read_or_refused(content: bytes, syntax: str) -> None:
    try:
        request = read_action(content, syntax, *NAMES, Limits())
    except InputError:
        return
    assert request.references
