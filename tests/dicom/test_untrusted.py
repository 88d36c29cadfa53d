"""Reading at arm's length: the same answers, and no file that harms more than its own worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from medground.dicom.image import open_image
from medground.dicom.limits import Limits
from medground.dicom.untrusted import UntrustedImage, UntrustedReader
from medground.dicom.untrusted_messages import Broken, Late, receive, send
from medground.schema.errors import (
    DecodeError,
    InputNotFoundError,
    LimitError,
    NotAnImageError,
    UnreadableFileError,
    UsageError,
    WorkerError,
)

Make = Callable[..., bytes]
GEOMETRY: dict[str, Any] = {
    "ImagePositionPatient": [1, 2, 3.5],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": [0.7, 0.8],
    "Modality": "CT",
    "RescaleSlope": 2,
    "RescaleIntercept": -1000,
}
DEADLY = bytes.fromhex("ffd8ffc3000b1f0010001001011100ffda0008010100010000") + bytes(range(200))  # GDCM aborts


@pytest.fixture(scope="module")
def reader() -> Iterator[UntrustedReader]:
    with UntrustedReader(workers=2, seconds=120) as reader:
        yield reader


@pytest.fixture
def deadly(make_dataset: Any, write_bytes: Any) -> bytes:
    dataset = make_dataset(np.zeros((1, 1), np.uint8), Rows=16, Columns=16)
    dataset.PixelData = encapsulate([DEADLY])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    content: bytes = write_bytes(dataset)
    return content


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", RLELossless, JPEG2000Lossless]
)
@pytest.mark.parametrize("by_path", [True, False])
def test_the_answers_are_those_of_the_image(
    reader: UntrustedReader, make_file: Make, grey: NDArray[np.uint16], tmp_path: Path, syntax: str, by_path: bool
) -> None:
    content = make_file(np.stack([grey, grey[::-1]]), frames=2, syntax=syntax, **GEOMETRY)
    (tmp_path / "a").write_bytes(content)
    here, there = open_image(content), reader.open(tmp_path / "a" if by_path else content)
    assert there.header == here.header
    assert there.warnings == here.warnings
    assert np.array_equal(there.stored(2), grey[::-1])
    assert there.stored(1).dtype == np.uint16
    assert np.array_equal(there.modality_values(2), grey[::-1] * 2.0 - 1000)
    for frame, window in ((1, None), (2, "lung")):
        assert np.array_equal(there.display(frame, window=window), here.display(frame, window=window))
    assert there.frame_geometry(2) == here.frame_geometry(2) is not None
    assert there.dataset == here.dataset
    assert there.dataset.file_meta.TransferSyntaxUID == syntax
    assert there.sanitized() == content


def test_colour_palette_bits_and_what_is_no_integer(reader: UntrustedReader, make_file: Make) -> None:
    rgb = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    palette: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name in ("Red", "Green", "Blue"):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{name}PaletteColorLookupTableData"] = np.arange(256, dtype="<u2").tobytes()
    for content in (make_file(rgb), make_file(rgb[..., 0], **palette), make_file(rgb[..., 0].astype(np.int32))):
        here, there = open_image(content), reader.open(content)
        assert np.array_equal(there.stored(), here.stored())
        assert np.array_equal(there.display(), here.display())


def test_elements_that_cannot_be_written_are_left_out(reader: UntrustedReader, make_file: Make) -> None:
    content = make_file(np.zeros((2, 2), np.uint8), syntax="1.2.840.10008.1.2", LargestImagePixelValue=7)
    head = struct.pack("<HHL", 0x0028, 0x0107, 2)
    assert reader.open(content).dataset.LargestImagePixelValue == 7
    dataset = reader.open(content.replace(head, head[:4] + struct.pack("<L", 3) + b"\0")).dataset
    assert "LargestImagePixelValue" not in dataset
    assert dataset.PatientName == "Doe^Jane"


def test_errors_keep_class_and_message(
    reader: UntrustedReader, make_file: Make, grey: NDArray[np.uint16], tmp_path: Path
) -> None:
    content = make_file(grey)
    nested = struct.pack("<HH2sHLHHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF) * 3000
    at = content.index(b"\x08\x00\x60\x00CS")
    with pytest.raises(LimitError, match="max_nesting"):
        reader.open(content[:at] + nested + content[at:])
    with pytest.raises(UnreadableFileError, match="cut short"):
        reader.open(content[:-500])
    with pytest.raises(NotAnImageError):
        reader.open(content[: content.index(b"\xe0\x7f\x10\x00")])
    with pytest.raises(InputNotFoundError, match="nothing is at"):
        reader.open(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UnreadableFileError, match="no file"):
            reader.open(path)
    image = reader.open(content)
    with pytest.raises(UsageError, match="no window 'none'"):
        image.display(window="none")
    with pytest.raises(DecodeError, match="no frame 2"):
        image.stored(2)
    assert np.array_equal(image.stored(), grey)


def test_a_worker_that_dies_is_counted_and_replaced(deadly: bytes, make_file: Make, grey: NDArray[np.uint16]) -> None:
    with UntrustedReader(seconds=120) as reader:
        image = reader.open(deadly)
        for deaths in (1, 2):
            with pytest.raises(WorkerError, match="died"):
                image.stored()
            assert reader.counters.deaths == deaths
        assert np.array_equal(reader.open(make_file(grey)).stored(), grey)
        assert reader.counters.replaced == reader.counters.deaths == 2
        assert reader.counters.workers == 3
        assert reader.counters.questions == 5
        assert (reader.counters.timeouts, reader.counters.foreign) == (0, 0)


def test_what_takes_too_long_is_given_up(make_file: Make, grey: NDArray[np.uint16]) -> None:
    content = make_file(grey)
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 12_000_000  # 20 s to walk through
    sequence = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, len(items)) + items
    at = content.index(b"\x08\x00\x60\x00CS")
    with UntrustedReader(Limits(max_elements=10**8), seconds=5) as reader:
        with pytest.raises(WorkerError, match="given up after 5 s"):
            reader.open(content[:at] + sequence + content[at:])
        assert np.array_equal(reader.open(content).stored(), grey)
        assert (reader.counters.timeouts, reader.counters.replaced, reader.counters.deaths) == (1, 1, 0)


def test_memory_ends_at_the_address_space(make_file: Make, tmp_path: Path) -> None:
    path = tmp_path / "large"
    header = make_file(np.zeros((2, 2), np.uint16), Rows=2**14, Columns=2**14)[: -8 - 4]
    with path.open("wb") as stream:  # a file of zeros that take no space
        stream.write(header + struct.pack("<L", 2**29))
        stream.truncate(len(header) + 4 + 2**29)
    with UntrustedReader(seconds=120, address_space_bytes=2**30, answer_bytes=2**30) as reader:
        image = reader.open(path)
        assert image.header.rows == 2**14
        with pytest.raises(LimitError, match="memory"):
            image.stored()
        assert reader.counters.deaths == 0
    with UntrustedReader(seconds=120, answer_bytes=2**20) as reader, pytest.raises(LimitError, match="answer_bytes"):
        reader.open(path).stored()


def test_threads_share_a_reader(make_file: Make) -> None:
    contents = [make_file(np.full((8, 8), n, np.uint16)) for n in range(40)]
    with UntrustedReader(workers=2, seconds=120) as reader, ThreadPoolExecutor(8) as threads:
        images = list(threads.map(reader.open, contents))
        values = list(threads.map(lambda image: int(image.stored()[0, 0]), images * 2))
        assert values == list(range(40)) * 2
        assert reader.counters.questions == 120


def test_one_worker_sees_one_file_and_nothing_of_ours(
    make_file: Make, grey: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDGROUND_SECRET", "hidden")
    with UntrustedReader(workers=1, seconds=120) as reader, socket.socket() as ours:
        ours.set_inheritable(True)
        pids = set()
        for content in (make_file(grey), make_file(grey)):
            image = reader.open(content)
            image.stored()
            (worker,) = reader._idle.values()
            pids.add(worker.pid)
            assert b"MEDGROUND_SECRET" not in Path(f"/proc/{worker.pid}/environ").read_bytes()
            held = {str(entry.readlink()) for entry in Path(f"/proc/{worker.pid}/fd").iterdir()}
            assert sum(name.startswith("socket") for name in held) == 1
            assert sum("untrusted" in name for name in held) == 1
            limits = Path(f"/proc/{worker.pid}/limits").read_text()
            for name, value in (("address space", str(4 * 2**30)), ("core file size", "0"), ("file size", "0")):
                assert f"Max {name}".ljust(26) + value.ljust(21) + value in limits
        assert len(pids) == 2


def test_the_nursery_may_die_as_well(make_file: Make, grey: NDArray[np.uint16]) -> None:
    with UntrustedReader(workers=3, seconds=120) as reader:
        images = [reader.open(make_file(grey)) for _ in range(3)]
        process = reader._nursery._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with pytest.raises(WorkerError, match="died"):
            images[2].stored()
        for image in images[1:]:  # the worker of images[0] is still thought to be there, and makes room for another
            with suppress(WorkerError):
                image.stored()
            assert np.array_equal(image.stored(), grey)
        for _ in range(3):
            assert np.array_equal(reader.open(make_file(grey)).stored(), grey)
        assert reader.counters.deaths == reader.counters.replaced == 2
    with pytest.raises(UsageError, match="closed"):
        images[2].stored()


def test_nothing_is_left_when_the_parent_is_killed(make_file: Make, grey: NDArray[np.uint16], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(make_file(grey))
    program = (
        "import os, sys; from pathlib import Path; from medground.dicom.untrusted import UntrustedReader\n"
        "reader = UntrustedReader(); reader.open(Path(sys.argv[1])).stored()\n"
        "pids = [reader._nursery._process.pid, *(worker.pid for worker in reader._idle.values())]\n"
        "print(*pids, flush=True); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "a"], capture_output=True, cwd=root, check=False)
    pids = [int(pid) for pid in run.stdout.split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 120
    while any(_is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_running(pid) for pid in pids)


def _is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class _Liar:
    """The reader's side of a worker that is no longer ours: whatever is asked, it sends what it likes."""

    limits = Limits()

    def __init__(self, head: dict[str, Any], body: bytes) -> None:
        self._answer = head, bytearray(body)

    def ask(self, *_: Any) -> tuple[dict[str, Any], bytearray]:
        return self._answer


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ({}, b""),
        ({"dtype": "<u2", "shape": [40, 51]}, bytes(4080)),
        ({"dtype": "<u2", "shape": [40, 50]}, bytes(3998)),
        ({"dtype": "O", "shape": [40, 50]}, bytes(16000)),
        ({"dtype": "<u2", "shape": "40x50"}, bytes(4000)),
        ({"dtype": "<u2", "shape": [40, 50, 99]}, bytes(4000 * 99)),
    ],
)
def test_an_answer_of_another_form_is_refused(
    make_file: Make, grey: NDArray[np.uint16], head: dict[str, Any], body: bytes
) -> None:
    liar: Any = _Liar(head, body)
    with pytest.raises(WorkerError, match="no valid answer"):
        UntrustedImage(liar, 1, b"", open_image(make_file(grey)).header).stored()


def test_a_header_from_a_worker_is_parsed_within_limits(make_file: Make, grey: NDArray[np.uint16]) -> None:
    nested = struct.pack("<HH2sHLHHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF) * 3000
    liar: Any = _Liar({}, nested)
    with pytest.raises(LimitError, match="max_nesting"):
        _ = UntrustedImage(liar, 1, b"", open_image(make_file(grey)).header).dataset


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        bytes(7),
        struct.pack("<QQ", 2**62, 0),
        struct.pack("<QQ", 2, 2**40) + b"{}",
        struct.pack("<QQ", 2, 101) + b"{}" + bytes(101),
        struct.pack("<QQ", 3, 0) + b"[1]",
        struct.pack("<QQ", 3, 0) + b"{{{",
        struct.pack("<QQ", 200_000, 0) + b"[" * 200_000,
        struct.pack("<QQ", 2, 5) + b"{}123",
    ],
)
def test_messages_that_are_none(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=lambda: (theirs.sendall(sent), theirs.shutdown(socket.SHUT_WR)))
        sender.start()
        with pytest.raises(Broken):
            receive(ours, 100, deadline=time.monotonic() + 120)
        sender.join()


def test_messages_that_are_some_or_late() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(theirs, {"a": [1, "\u5de6"]}, memoryview(np.arange(25, dtype="<u4")))
        assert receive(ours, 100) == ({"a": [1, "\u5de6"]}, bytearray(np.arange(25, dtype="<u4").tobytes()))
        theirs.sendall(struct.pack("<QQ", len(json.dumps({})), 0))
        with pytest.raises(Late):
            receive(ours, 100, deadline=time.monotonic() + 0.05)
