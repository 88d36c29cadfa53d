"""C-STORE: what is refused and how, and that nothing is left of what did not come in whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian

from medground.schema.errors import UnreadableFileError
from medground.serving.dicom_receiver.instances import Accepted, InstanceReceived, Refused, RefusedBecause
from medground.serving.dicom_receiver.wire import Ending
from tests.full_disk import no_file_longer_than
from tests.serving.dicom_receiver.raw_peer import ACCEPTED, RawPeer, fragment, store_command
from tests.serving.dicom_receiver.running import Running, eventually, running, write_image
from tests.serving.dicom_receiver.senders import data_set_bytes, pynetdicom_stores, storescu


def stored(caller: RawPeer, command: bytes, content: bytes) -> int:
    """The status that a C-STORE is answered with."""
    caller.send(fragment(command, command=True, last=True))
    for start in range(0, len(content), 10_000):
        piece = content[start : start + 10_000]
        caller.send(fragment(piece, command=False, last=start + 10_000 >= len(content)))
    answer = caller.read_command()
    assert answer.CommandField == 0x8001
    assert len(answer.get("ErrorComment", "")) <= 64
    return int(answer.Status)


def raising(error: Exception) -> Callable[[InstanceReceived], Accepted]:
    def decide(received: InstanceReceived) -> Accepted:
        raise error

    return decide


def refusing(because: RefusedBecause) -> Callable[[InstanceReceived], Refused]:
    return lambda _: Refused(because)


@pytest.mark.parametrize(
    ("decide", "status"),
    [
        (raising(OSError(28, "No space left on device")), 0xA700),
        (raising(ConnectionError("the database is gone")), 0xA700),
        (raising(KeyError("a mistake of ours")), 0xA700),
        (raising(UnreadableFileError("it is no image")), 0xC000),
        (refusing(RefusedBecause.NO_ROOM), 0xA700),
        (refusing(RefusedBecause.NOT_UNDERSTOOD), 0xC000),
        (refusing(RefusedBecause.CLASS_NOT_SUPPORTED), 0x0122),
    ],
)
def test_what_the_intake_does_not_keep(tmp_path: Path, decide: Any, status: int) -> None:
    path = write_image(tmp_path / "image.dcm")
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        here.intake.decide = decide
        assert caller.associate() == ACCEPTED
        command = store_command(pydicom.dcmread(path).SOPInstanceUID)
        assert stored(caller, command, data_set_bytes(path)) == status
        assert here.intake.files == []
        here.intake.decide = lambda _: Accepted()  # the association goes on, and the same may be sent again
        assert stored(caller, command, data_set_bytes(path)) == 0x0000
        assert len(here.intake.files) == 1
    assert [(one.accepted, one.refused) for one in here.summaries] == [(1, 1)]


@pytest.mark.judge("dcmtk")
def test_senders_see_the_refusal(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    with running(tmp_path) as here:
        here.intake.decide = raising(OSError(28, "No space left on device"))
        assert pynetdicom_stores(here.port, path) == 0xA700
        done = storescu(here.port, path, "-v")
        assert "Refused: OutOfResources" in done.stdout + done.stderr


def test_a_disk_that_is_full_in_the_middle(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm", rows=4096)
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate() == ACCEPTED
        command = store_command(pydicom.dcmread(path).SOPInstanceUID)
        with no_file_longer_than(100_000):
            assert stored(caller, command, data_set_bytes(path)) == 0xA700
        assert here.intake.files == []
        assert stored(caller, command, data_set_bytes(path)) == 0x0000


def test_no_file_can_be_made(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate() == ACCEPTED
        aside = tmp_path / "intake" / "aside"
        aside.rmdir()
        command = store_command(pydicom.dcmread(path).SOPInstanceUID)
        assert stored(caller, command, data_set_bytes(path)) == 0xA700
        aside.mkdir()
        assert stored(caller, command, data_set_bytes(path)) == 0x0000


def test_an_instance_that_is_too_large(tmp_path: Path) -> None:
    large, small = write_image(tmp_path / "large.dcm", 1, rows=100), write_image(tmp_path / "small.dcm", 2)
    most = len(data_set_bytes(small))
    with running(tmp_path, {"max_instance_bytes": most}) as here:
        assert pynetdicom_stores(here.port, large) == 0xC000
        assert here.intake.files == []
        with RawPeer(here.port) as caller:
            assert caller.associate() == ACCEPTED
            assert stored(caller, store_command(pydicom.dcmread(large).SOPInstanceUID), data_set_bytes(large)) == 0xC000
            assert stored(caller, store_command(pydicom.dcmread(small).SOPInstanceUID), data_set_bytes(small)) == 0x0000
            caller.send(fragment(store_command(), command=True, last=True))  # without an end it is not read on for ever
            piece = fragment(bytes(8000), command=False, last=False)
            for _ in range(10 * most // 8000):
                try:
                    caller.send(piece)
                except OSError:
                    break
            assert eventually(lambda: len(here.summaries) == 2)
    assert [(one.accepted, one.refused, one.ending) for one in here.summaries] == [
        (0, 1, Ending.RELEASED),
        (1, 1, Ending.BROKEN),
    ]


def test_other_uids_than_announced(tmp_path: Path) -> None:
    path = write_image(tmp_path / "image.dcm")
    uid, content = str(pydicom.dcmread(path).SOPInstanceUID), data_set_bytes(path)
    film = write_image(tmp_path / "film.dcm", SOPClassUID=ComputedRadiographyImageStorage)
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate() == ACCEPTED
        assert stored(caller, store_command(uid + "1"), content) == 0xA900
        assert stored(caller, store_command(uid), data_set_bytes(film)) == 0xA900
        assert stored(caller, store_command(uid, ComputedRadiographyImageStorage), content) == 0x0122
        assert stored(caller, store_command("../../etc/passwd"), content) == 0xC000
        assert stored(caller, store_command(uid), b"\x08\0\x16\0UI") == 0xC000
        assert stored(caller, store_command(uid), os.urandom(50_000)) == 0xC000
        assert here.intake.files == []
        assert stored(caller, store_command(uid), content) == 0x0000


def test_only_storage_classes_are_stored(tmp_path: Path) -> None:
    """A data set that says it is of the class of verification, sent in the context of verification."""
    verification = "1.2.840.10008.1.1"
    path = write_image(tmp_path / "image.dcm", SOPClassUID=verification)
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate(proposed=((verification, (ExplicitVRLittleEndian,)),)) == ACCEPTED
        command = store_command(pydicom.dcmread(path).SOPInstanceUID, verification)
        assert stored(caller, command, data_set_bytes(path)) == 0x0122
        assert here.intake.files == []


def test_a_store_without_a_data_set(tmp_path: Path) -> None:
    with running(tmp_path) as here, RawPeer(here.port) as caller:
        assert caller.associate() == ACCEPTED
        caller.send(fragment(store_command(CommandDataSetType=0x0101), command=True, last=True))
        assert caller.read_command().Status == 0xC000


@pytest.mark.parametrize("leave", [RawPeer.reset, lambda caller: caller.socket.close()], ids=["reset", "closed"])
def test_a_sender_that_is_gone_in_the_middle_leaves_nothing(tmp_path: Path, leave: Callable[[RawPeer], None]) -> None:
    path = write_image(tmp_path / "image.dcm", rows=2000)
    content = data_set_bytes(path)
    with running(tmp_path) as here:
        caller = RawPeer(here.port)
        assert caller.associate() == ACCEPTED
        caller.send(fragment(store_command(pydicom.dcmread(path).SOPInstanceUID), command=True, last=True))
        for start in range(0, 100_000, 10_000):
            caller.send(fragment(content[start : start + 10_000], command=False, last=False))
        assert eventually(lambda: len(here.intake.files) == 1)
        leave(caller)
        assert eventually(lambda: len(here.summaries) == 1)
        assert here.intake.files == []
        assert here.intake.received == []
    assert [(one.accepted, one.ending) for one in here.summaries] == [(0, Ending.CLOSED)]


def test_many_senders_at_once(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{number}.dcm", number, rows=300) for number in range(20)]
    with running(tmp_path) as here:
        callers = [RawPeer(here.port) for _ in paths]
        for caller in callers:
            assert caller.associate(proposed=((CTImageStorage, (ExplicitVRLittleEndian,)),)) == ACCEPTED
        for path, caller in zip(paths, callers, strict=True):
            caller.send(fragment(store_command(pydicom.dcmread(path).SOPInstanceUID), command=True, last=True))
        contents = [data_set_bytes(path) for path in paths]
        step = 10_000
        for start in range(0, max(map(len, contents)), step):  # all of them advance in turn
            for content, caller in zip(contents, callers, strict=True):
                piece = content[start : start + step]
                caller.send(fragment(piece, command=False, last=start + step >= len(content)))
        assert [caller.read_command().Status for caller in callers] == [0] * len(paths)
        kept = {received.sop_instance_uid: data_set_bytes(path) for received, path in here.intake.received}
        assert kept == {str(pydicom.dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in paths}
        for caller in callers:
            caller.socket.close()
    assert_counts(here, len(paths))


def assert_counts(here: Running, accepted: int) -> None:
    assert sum(one.accepted for one in here.summaries) == accepted
