"""Storage commitment with a requester that is not ours: over the same association, over another, after a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import CTImageStorage, MRImageStorage

from medground.serving.dicom_receiver.commitment import CommitmentRequest, FailureReason
from medground.serving.dicom_receiver.commitment_reports import CommitmentReports, has_arrived
from medground.serving.dicom_receiver.config import Peer, Remote
from medground.serving.dicom_receiver.peers import Peers
from medground.serving.dicom_receiver.requester import Timeouts
from pipelines.ports import kept_port
from tests.serving.dicom_receiver.committer import Committer, Report, reference, request
from tests.serving.dicom_receiver.folder_intake import FolderCommitments, FolderIntake
from tests.serving.dicom_receiver.raw_peer import RawPeer, command_bytes, fragment
from tests.serving.dicom_receiver.running import (
    CALLER,
    LOOPBACK,
    MEDGROUND,
    Running,
    eventually,
    peer,
    running,
    write_image,
)

MISSING = (CTImageStorage, "1.2.3.4.5")


def reporting_to(port: int) -> tuple[Peer, ...]:
    return (peer(reports_to=Remote(host=LOOPBACK, port=port, ae_title=CALLER)),)


def is_settled(here: Running) -> bool:
    return not here.commitments.pending()


def test_over_the_same_association(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{number}.dcm", number) for number in (1, 2)]
    committer = Committer()
    with running(tmp_path) as here, committer.association(here.port, CTImageStorage) as association:
        for path in paths:
            assert association.send_c_store(pydicom.dcmread(path)).Status == 0x0000
        assert request(association, "1.2.99.1", [reference(path) for path in paths]) == 0x0000
        assert committer.came.wait(120)
        assert eventually(lambda: is_settled(here))
        committer.came.clear()
        (sop_class, sop_instance), *_ = map(reference, paths)
        wanted = [(MRImageStorage, sop_instance), MISSING, (sop_class, sop_instance)]
        assert request(association, "1.2.99.2", wanted) == 0x0000
        assert committer.came.wait(120)
        assert eventually(lambda: is_settled(here))
        assert association.send_c_store(pydicom.dcmread(paths[0])).Status == 0x0000
    assert committer.reports == [
        Report(1, "1.2.99.1", [reference(path) for path in paths], []),
        Report(
            2,
            "1.2.99.2",
            [(sop_class, sop_instance)],
            [(MRImageStorage, sop_instance, 0x0119), (*MISSING, 0x0112)],
        ),
    ]
    assert committer.callers == []


def test_what_is_no_request_is_answered_so(tmp_path: Path) -> None:
    committer = Committer()
    with running(tmp_path, {"max_commitment_bytes": 2000}) as here, committer.association(here.port) as association:
        assert request(association, "1.2.99.1", [MISSING], action_type=2) == 0x0123
        assert request(association, "1.2.99.1", [MISSING], instance_uid="1.2.3") == 0x0112
        assert request(association, "1.2.99.1", []) == 0x0115
        assert request(association, "", [MISSING]) == 0x0115
        assert request(association, "1.2.99.1", [MISSING] * 100) == 0x0213
        assert here.commitments.pending() == []
    assert committer.reports == []


def test_in_the_context_of_images_no_commitment_is_spoken_of(tmp_path: Path) -> None:
    action = command_bytes(
        RequestedSOPClassUID=CTImageStorage,
        CommandField=0x0130,
        MessageID=3,
        CommandDataSetType=0x0101,
        RequestedSOPInstanceUID="1.2.3",
        ActionTypeID=1,
    )
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        here.commitments.add(made("1.2.99.1"))
        assert caller.associate() == 2
        for _ in range(2):
            caller.send(fragment(action, command=True, last=True))
            answer = caller.read_command()
            assert (answer.CommandField, answer.Status) == (0x8130, 0x0122)


def test_a_store_that_is_gone(tmp_path: Path) -> None:
    committer = Committer()
    with running(tmp_path) as here:

        def fails(_: CommitmentRequest, /) -> None:
            raise ConnectionError("the database is gone")

        add, here.commitments.add = here.commitments.add, fails  # type: ignore[method-assign]
        with committer.association(here.port) as association:
            assert request(association, "1.2.99.1", [MISSING]) == 0x0110
            here.commitments.add = add  # type: ignore[method-assign]
            assert request(association, "1.2.99.1", [MISSING]) == 0x0000
            assert committer.came.wait(120)
            assert eventually(lambda: is_settled(here))
    assert [one.transaction_uid for one in committer.reports] == ["1.2.99.1"]


def test_over_an_association_of_our_own_when_the_other_is_over(tmp_path: Path) -> None:
    committer = Committer()
    with committer.listening() as port, running(tmp_path, peers=reporting_to(port)) as here:
        deaf = Committer(status=0x0110)  # does not take it while the association lasts
        with deaf.association(here.port) as association:
            assert request(association, "1.2.99.1", [MISSING]) == 0x0000
            assert deaf.came.wait(120)
        assert committer.came.wait(120)
        assert eventually(lambda: is_settled(here))
    assert len(deaf.reports) == 1
    assert committer.reports == [Report(2, "1.2.99.1", [], [(*MISSING, 0x0112)])]
    assert committer.callers == [(MEDGROUND, CALLER)]


def test_a_requester_that_answers_no_role_is_reported_to_all_the_same(tmp_path: Path) -> None:
    committer = Committer()
    FolderCommitments(tmp_path / "commitments", FolderIntake(tmp_path / "intake")).add(made("1.2.99.1"))
    with committer.listening(takes_role=False) as port, running(tmp_path, peers=reporting_to(port)) as here:
        assert committer.came.wait(120)
        assert eventually(lambda: is_settled(here))
    assert [one.transaction_uid for one in committer.reports] == ["1.2.99.1"]


@pytest.fixture
def port() -> Iterator[int]:
    with kept_port() as port:
        yield port


def test_after_a_restart(tmp_path: Path, port: int) -> None:
    """The requester does not listen, and the receiver ends, before the report could be sent."""
    path = write_image(tmp_path / "image.dcm")
    with running(tmp_path, peers=reporting_to(port), report_retry_seconds=0.2) as here:
        with Committer(status=0x0213).association(here.port, CTImageStorage) as association:
            assert association.send_c_store(pydicom.dcmread(path)).Status == 0x0000
            assert request(association, "1.2.99.1", [reference(path), MISSING]) == 0x0000
        received = list(here.intake.received)
    assert len(here.commitments.pending()) == 1

    committer = Committer()
    # What it received before the service has in its database; a report is made up before there is anybody to take it.
    with running(tmp_path, received=received, peers=reporting_to(port), report_retry_seconds=0.2) as again:
        assert len(again.commitments.pending()) == 1
        with committer.listening(port):
            assert committer.came.wait(120)
            assert eventually(lambda: is_settled(again))
    assert committer.reports == [Report(2, "1.2.99.1", [reference(path)], [(*MISSING, 0x0112)])]
    with running(tmp_path, peers=reporting_to(port)) as third, committer.listening(port):
        assert is_settled(third)
    assert len(committer.reports) == 1


def test_without_an_address_older_reports_follow_the_next_request(tmp_path: Path) -> None:
    committer = Committer()
    with running(tmp_path) as here:
        here.commitments.add(made("1.2.99.1"))
        here.commitments.add(made("1.2.99.2", calling="SOMEBODY"))
        with committer.association(here.port) as association:
            assert request(association, "1.2.99.3", [MISSING]) == 0x0000
            assert eventually(lambda: len(here.commitments.pending()) == 1)
    assert [one.transaction_uid for one in committer.reports] == ["1.2.99.3", "1.2.99.1"]
    assert [one.transaction_uid for one in here.commitments.pending()] == ["1.2.99.2"]


def made(transaction: str, calling: str = CALLER) -> CommitmentRequest:
    sop_class, sop_instance = MISSING
    return CommitmentRequest.model_validate(
        {
            "tenant": "hospital",
            "calling_ae_title": calling,
            "called_ae_title": MEDGROUND,
            "transaction_uid": transaction,
            "references": [{"sop_class_uid": sop_class, "sop_instance_uid": sop_instance}],
        }
    )


class ListStore:
    """Requests in memory, with a judge that fails for one of them."""

    def __init__(self, *requests: CommitmentRequest) -> None:
        self.requests = list(requests)
        self.judged: list[str] = []

    def add(self, request: CommitmentRequest, /) -> None:
        self.requests.append(request)

    def pending(self) -> Sequence[CommitmentRequest]:
        return list(self.requests)

    def judge(self, request: CommitmentRequest, /) -> Sequence[FailureReason | None]:
        self.judged.append(request.transaction_uid)
        if request.transaction_uid.endswith(".0"):
            raise KeyError("nobody knows")
        return [None] * len(request.references)

    def reported(self, request: CommitmentRequest, /) -> None:
        self.requests.remove(request)


def test_a_request_that_cannot_be_judged_holds_up_no_other() -> None:
    committer = Committer()
    with committer.listening() as port:
        store = ListStore(made("1.2.99.0"), made("1.2.99.1"))
        reports = CommitmentReports(
            store, Peers(reporting_to(port)), retry_seconds=0.1, timeouts=Timeouts(), clock=time.monotonic
        )
        reports.start()
        assert committer.came.wait(120)
        assert eventually(lambda: store.judged.count("1.2.99.0") >= 2)
        reports.stop(10)
    assert [one.transaction_uid for one in committer.reports] == ["1.2.99.1"]
    assert [one.transaction_uid for one in store.requests] == ["1.2.99.0"]


def test_nobody_reports_twice_at_the_same_time() -> None:
    store = ListStore(made("1.2.99.1"), made("1.2.99.2"))
    reports = CommitmentReports(store, Peers([peer()]), retry_seconds=1, timeouts=Timeouts(), clock=lambda: 0.0)
    first, second = reports.take(peer()), reports.take(peer())
    assert [one.transaction_uid for one in (first, second) if one] == ["1.2.99.1", "1.2.99.2"]
    assert reports.take(peer()) is None
    assert first is not None
    assert second is not None
    reports.done(first, arrived=False)
    assert reports.take(peer()) == first
    reports.done(first, arrived=True)
    assert [one.transaction_uid for one in store.requests] == ["1.2.99.2"]
    assert reports.take(peer()) is None
    assert reports.take(peer(tenant="another")) is None
    reports.done(second, arrived=False)
    assert reports.take(peer(), {second.key}) is None
    assert reports.take(peer()) == second


def test_what_counts_as_taken() -> None:
    assert [status for status in (0, 0x0110, 0x0112, 0x0213, 0x0115, None) if has_arrived(status)] == [
        0,
        0x0112,
        0x0115,
    ]
