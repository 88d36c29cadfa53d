"""Discovery of files, folders and ZIPs, friendly and hostile."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset

from medground.dicom import image as image_module
from medground.dicom.discover import Discovery, discover
from medground.dicom.limits import Limits
from medground.schema.errors import (
    InputNotFoundError,
    LimitError,
    NotAnImageError,
    UnreadableFileError,
)

Make = Callable[..., bytes]
PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)


def _slice(make_file: Make, number: int) -> bytes:
    return make_file(
        PIXELS + number,
        Modality="CT",
        SOPInstanceUID=f"1.2.3.1.{number}",
        InstanceNumber=number,
        ImagePositionPatient=[0, 0, -2.0 * number],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[1, 1],
    )


def _report(make_dataset: Any, write_bytes: Any) -> bytes:
    dataset = make_dataset(PIXELS, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", Modality="SR")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    content: bytes = write_bytes(dataset)
    return content


def _picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS.astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def mixed(make_file: Make, make_dataset: Any, write_bytes: Any) -> dict[str, bytes]:
    return {
        "b/1.dcm": _slice(make_file, 1),
        "b/2": _slice(make_file, 2),
        "a/3.dcm": _slice(make_file, 3),
        "a/again.dcm": _slice(make_file, 3),
        "a/report.dcm": _report(make_dataset, write_bytes),
        "a/notes.txt": "Grüße, 左肺".encode(),
        "a/broken.dcm": _slice(make_file, 4)[:-20],
        "a/text.dcm": b"this is a text",
        "a/.DS_Store": b"\0\1Bud1",
        "film.PNG": _picture("PNG"),
        "film": _picture("JPEG"),
    }


def _check(found: Discovery, start: str) -> None:
    """What `mixed` must come to, from a folder as from a ZIP."""
    assert len(found.studies) == 1
    (series,) = found.studies[0].series
    assert series.is_volume
    assert [instance.source for instance in series.instances] == [start + n for n in ("a/3.dcm", "b/2", "b/1.dcm")]
    for instance, number in zip(series.instances, (3, 2, 1), strict=True):
        assert np.array_equal(instance.open().stored(), PIXELS + number)
    assert [picture.source for picture in found.pictures] == [start + "film", start + "film.PNG"]
    assert dict(found.skipped).keys() == {start + n for n in ("a/report.dcm", "a/notes.txt", "a/.DS_Store")}
    assert "Comprehensive SR Storage" in dict(found.skipped)[start + "a/report.dcm"]
    assert {source: type(error) for source, error in found.refused} == {
        start + "a/broken.dcm": UnreadableFileError,
        start + "a/text.dcm": UnreadableFileError,
    }
    assert len(found.warnings) == 1
    assert "again.dcm is the same instance as" in found.warnings[0]


def test_a_folder(tmp_path: Path, mixed: dict[str, bytes]) -> None:
    for name, content in mixed.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    _check(discover([tmp_path]), f"{tmp_path}/")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip(tmp_path: Path, mixed: dict[str, bytes], method: int) -> None:
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in mixed.items():
            archive.writestr(name, content)
    _check(discover([path]), f"{path}!")
    folder = discover([tmp_path])  # a ZIP inside a folder is opened too
    _check(folder, f"{path}!")


def test_files_named_alone_are_refused_with_their_error(
    tmp_path: Path, make_file: Make, make_dataset: Any, write_bytes: Any
) -> None:
    report, text, image = tmp_path / "r.dcm", tmp_path / "t.txt", tmp_path / "i.dcm"
    report.write_bytes(_report(make_dataset, write_bytes))
    text.write_text("hello")
    image.write_bytes(_slice(make_file, 1))
    found = discover([report, text, tmp_path / "absent", image])
    assert [type(error) for _, error in found.refused] == [NotAnImageError, UnreadableFileError, InputNotFoundError]
    assert found.skipped == ()
    assert found.studies[0].series[0].instances[0].source == str(image)


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    assert discover([]) == discover([tmp_path]) == Discovery((), (), (), (), ())


def test_pixels_are_not_decoded(tmp_path: Path, make_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("pixels were decoded")

    for number in range(120):
        (tmp_path / f"{number}.dcm").write_bytes(_slice(make_file, number))
    monkeypatch.setattr(image_module, "decode_native", refuse)
    found = discover([tmp_path])
    assert len(found.studies[0].series[0].instances) == 120
    assert found.refused == ()


def test_no_name_of_a_zip_is_used_as_a_path(tmp_path: Path, make_file: Make) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / "evil.zip"
    names = ["../../evil.dcm", "/etc/evil.dcm", "C:\\evil.dcm", "\x1b[31mred\x07.dcm"]
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, _slice(make_file, number))
    before = sorted(tmp_path.rglob("*"))
    found = discover([path])
    instances = found.studies[0].series[0].instances
    assert {instance.open().header.instance_number for instance in instances} == {0, 1, 2, 3}
    assert sorted(tmp_path.rglob("*")) == before
    assert all(instance.source.isprintable() for instance in instances)


def test_zip_bombs(tmp_path: Path, make_file: Make) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.dcm", _slice(make_file, 1))
        archive.writestr("big.dcm", bytes(8_000_000))
    assert path.stat().st_size < 20_000
    total = discover([path], limits=Limits(max_zip_bytes=1_000_000))
    assert [type(error) for _, error in total.refused] == [LimitError]
    assert "max_zip_bytes" in str(total.refused[0][1])
    one = discover([path], limits=Limits(max_inflated_bytes=1_000_000))
    assert len(one.studies) == 1
    assert "max_inflated_bytes" in str(one.refused[0][1])
    files = discover([path], limits=Limits(max_files=1))
    assert "max_files" in str(files.refused[0][1])


def test_a_refused_file_leaves_its_content_behind(tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.dcm", bytes(20_000_000))
    tracemalloc.start()
    found = discover([path])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.refused) == 4
    assert kept < 1_000_000


def test_a_member_larger_than_its_directory_says(tmp_path: Path) -> None:
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(5_000_000))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    ((_, error),) = discover([path]).refused
    assert isinstance(error, UnreadableFileError)
    assert "damaged" in str(error)


def test_a_directory_too_large_to_list(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(50):
            archive.writestr(f"{number:0>60}", b"")
    ((_, error),) = discover([path], limits=Limits(max_files=5)).refused
    assert isinstance(error, LimitError)
    assert "directory" in str(error)


def test_zips_that_cannot_be_read(tmp_path: Path, make_file: Make) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.dcm", _slice(make_file, 1))
    nested, cut, packed = tmp_path / "nested.zip", tmp_path / "cut.zip", tmp_path / "bzip2.zip"
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    cut.write_bytes(inner.getvalue()[:300])
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.dcm", _slice(make_file, 1))
    found = discover([nested, cut, packed])
    assert found.skipped == ((f"{nested}!inner.zip", "a ZIP inside a ZIP is not opened"),)
    assert [(source, type(error)) for source, error in found.refused] == [
        (str(cut), UnreadableFileError),
        (f"{packed}!a.dcm", UnreadableFileError),
    ]


def test_pipes_and_rings_do_not_stop_it(tmp_path: Path, make_file: Make) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "ring").symlink_to(tmp_path)
    (tmp_path / "a.dcm").write_bytes(_slice(make_file, 1))
    found = discover([tmp_path, tmp_path / "pipe"])
    assert len(found.studies[0].series[0].instances) == 1
    assert [type(error) for _, error in found.refused] == [UnreadableFileError]


def test_too_many_files_in_a_folder(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("x")
    ((_, error),) = discover([tmp_path], limits=Limits(max_files=3)).refused
    assert isinstance(error, LimitError)
