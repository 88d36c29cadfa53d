from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from medground.data.frame_cache import FrameCache, read_frame, write_frame
from medground.data.transforms.frames import Frame, Framed
from medground.dicom.lut import Window
from medground.schema.errors import InputNotFoundError, UnreadableFileError
from medground.schema.record import ImageRecord
from tests.data.made_records import disc_record
from tests.full_disk import no_file_longer_than


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    return [disc_record(tmp_path, f"r{number}", [("nodule", 60, 90, 8 + number)], size=96) for number in range(4)]


def test_frames_are_read_once_and_are_the_same_after(records: list[ImageRecord], tmp_path: Path) -> None:
    frames = FrameCache(records, 64, tmp_path / "cache")
    first = [frames.frame(number) for number in range(4)]
    for record, frame in zip(records, first, strict=True):
        np.testing.assert_array_equal(frame.pixels_HW, Framed(64)(record).pixels_HW)
        assert record.path is not None
        record.path.unlink()  # from here on only the cache can answer
    for number, frame in enumerate(first):
        np.testing.assert_array_equal(frames.frame(number).pixels_HW, frame.pixels_HW)
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 4
    assert not list((tmp_path / "cache").rglob("*.partial"))
    with pytest.raises(InputNotFoundError):
        FrameCache(records, 65, tmp_path / "cache").frame(0)


def test_units_and_windows_survive(tmp_path: Path) -> None:
    frame = Frame(np.arange(-6, 6, dtype=np.int16).reshape(3, 4), Window(40, 400.5, "LINEAR_EXACT"))
    write_frame(tmp_path / "a" / "f.safetensors", frame)
    back = read_frame(tmp_path / "a" / "f.safetensors")
    assert back is not None
    assert back.window == frame.window
    np.testing.assert_array_equal(back.pixels_HW, frame.pixels_HW)
    assert back.pixels_HW.dtype == np.int16


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "text", "pickle"])
def test_a_damaged_file_is_made_again(records: list[ImageRecord], tmp_path: Path, damage: str) -> None:
    frames = FrameCache(records, 64, tmp_path / "cache")
    expected = frames.frame(0).pixels_HW
    path = frames.path_of(records[0])
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-100] ^= 1
    path.write_bytes(
        {
            "cut": content[:-10],
            "empty": b"",
            "flipped": bytes(flipped),
            "text": b"no frame at all",
            "pickle": b"\x80\x04cos\nsystem\n(S'false'\ntR.",
        }[damage]
    )
    assert read_frame(path) is None
    np.testing.assert_array_equal(frames.frame(0).pixels_HW, expected)
    assert path.read_bytes() == content


def test_names_follow_what_shapes_a_frame(records: list[ImageRecord], tmp_path: Path) -> None:
    frames = FrameCache(records, 64, tmp_path / "cache")
    record = records[0]
    paths = {
        frames.path_of(record),
        frames.path_of(records[1]),
        FrameCache(records, 65, tmp_path / "cache").path_of(record),
        frames.path_of(record.model_copy(update={"frame": 2})),
        frames.path_of(record.model_copy(update={"attributes": {"hu_offset": "32768"}})),
        frames.path_of(record.model_copy(update={"sha256": None})),
    }
    assert len(paths) == 6
    assert frames.path_of(record.model_copy(update={"record_id": "x", "regions": ()})) == frames.path_of(record)


def test_an_unreadable_image_raises_its_own_error(records: list[ImageRecord], tmp_path: Path) -> None:
    record = records[0]
    assert record.path is not None
    record.path.write_bytes(record.path.read_bytes()[:200])
    with pytest.raises(UnreadableFileError):
        FrameCache(records, 64, tmp_path / "cache").frame(0)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_full_disk_makes_it_slow_and_not_wrong(records: list[ImageRecord], tmp_path: Path) -> None:
    frames = FrameCache(records, 64, tmp_path / "cache")
    with no_file_longer_than(100):
        found = frames.frame(0)
    np.testing.assert_array_equal(found.pixels_HW, Framed(64)(records[0]).pixels_HW)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def _first_pixels(items: list[Frame]) -> np.ndarray:
    return items[0].pixels_HW


def _fill(folder: Path, records: list[ImageRecord]) -> None:
    frames = FrameCache(records, 64, folder)
    for _ in range(5):
        for number in range(len(records)):
            frames.path_of(records[number]).unlink(missing_ok=True)
            frames.frame(number)


def test_processes_that_write_and_delete_at_once_leave_whole_files(records: list[ImageRecord], tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_fill, args=(tmp_path / "cache", records)) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0]
    frames = FrameCache(records, 64, tmp_path / "cache")
    for number, record in enumerate(records):
        kept = read_frame(frames.path_of(record))
        if kept is not None:
            np.testing.assert_array_equal(kept.pixels_HW, Framed(64)(records[number]).pixels_HW)
    assert not list((tmp_path / "cache").rglob("*.partial"))


def test_it_is_a_data_set_for_a_loader(records: list[ImageRecord], tmp_path: Path) -> None:
    frames = FrameCache(records, 64, tmp_path / "cache")
    loaded = list(DataLoader(frames, batch_size=1, collate_fn=_first_pixels, num_workers=2))
    for record, pixels in zip(records, loaded, strict=True):
        np.testing.assert_array_equal(pixels, Framed(64)(record).pixels_HW)
