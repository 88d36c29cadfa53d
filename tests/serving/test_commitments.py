"""Requests for storage commitment outlive the process, and are judged by what is really there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation

from medground.serving.commitments import Commitments
from medground.serving.dicom_receiver.commitment import CommitmentRequest, FailureReason, Reference
from tests.serving.parts import Parts, parts_in


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Parts, Commitments]]:
    with parts_in(tmp_path) as parts:
        yield parts, Commitments(parts.engine, parts.store, parts.clock.now_us)


def request(transaction: str, *references: tuple[str, str], tenant: str = "clinic") -> CommitmentRequest:
    return CommitmentRequest(
        tenant=tenant,
        calling_ae_title="CT1",
        called_ae_title="MEDGROUND",
        transaction_uid=transaction,
        references=tuple(Reference(sop_class_uid=one, sop_instance_uid=other) for one, other in references),
    )


def test_kept_in_order_until_reported(kept: tuple[Parts, Commitments]) -> None:
    parts, commitments = kept
    first, second = request("1.2.1", ("1.2", "1.3")), request("1.2.2", ("1.2", "1.3"))
    commitments.add(first)
    parts.clock.forward(1)
    commitments.add(second)
    again = Commitments(parts.engine, parts.store, parts.clock.now_us)
    assert list(again.pending()) == [first, second]
    changed = request("1.2.1", ("1.2", "1.4"))
    again.add(changed)
    assert list(again.pending()) == [changed, second]
    again.reported(first)
    assert list(commitments.pending()) == [second]
    again.reported(first)
    assert list(commitments.pending()) == [second]


def test_judged_by_rows_and_files(kept: tuple[Parts, Commitments]) -> None:
    parts, commitments = kept
    path = parts.film(1)
    accepted = parts.accept(path)
    here = (DigitalXRayImageStorageForPresentation, accepted.sop_instance_uid)
    asked = request("1.2.3", here, (CTImageStorage, accepted.sop_instance_uid), (here[0], "1.2.9"))
    assert list(commitments.judge(asked)) == [
        None,
        FailureReason.CLASS_INSTANCE_CONFLICT,
        FailureReason.NO_SUCH_OBJECT_INSTANCE,
    ]
    foreign = request("1.2.3", here, tenant="other")
    assert list(commitments.judge(foreign)) == [FailureReason.NO_SUCH_OBJECT_INSTANCE]
    (digest,) = {one.sha256 for one in parts.worklist.instances("clinic", accepted.study_key)}
    parts.store.path(digest).unlink()
    assert next(iter(commitments.judge(asked))) == FailureReason.NO_SUCH_OBJECT_INSTANCE


def test_more_references_than_a_statement_takes_values(parts: Parts) -> None:
    """PostgreSQL takes 65535 of them, and a request for storage commitment has room for more."""
    accepted = parts.accept(parts.film(1))
    here = (DigitalXRayImageStorageForPresentation, accepted.sop_instance_uid)
    asked = request("1.2.3", *((here[0], f"1.9.{number}") for number in range(66_000)), here)
    verdicts = Commitments(parts.engine, parts.store, parts.clock.now_us).judge(asked)
    assert set(verdicts[:-1]) == {FailureReason.NO_SUCH_OBJECT_INSTANCE}
    assert verdicts[-1] is None
