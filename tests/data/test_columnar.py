from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medground.data.columnar import INDEX, MANIFEST, DataSet, write_data_set
from medground.data.vocabulary import load_vocabulary
from medground.schema.anatomy import Domain, Side, Zone
from medground.schema.box import Box
from medground.schema.errors import DataSetError, InputNotFoundError
from medground.schema.record import ImageRecord, Region
from tests.full_disk import no_file_longer_than


def picture(path: Path, seed: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (20, 30), dtype=np.uint8)).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    found = []
    for number in range(7):
        path = tmp_path / "source" / f"{number}.png"
        regions = [
            Region(
                concept="nodule" if i else "mass",
                box=Box(x1=i, y1=0.1 + 0.2, x2=i + 5, y2=9),
                source="test",
                side=Side.LEFT if i else None,
                zone=Zone.UPPER if i else None,
                appearance=("round",) * i,
                phrase="结节" if i else None,
                readers=2 if i else None,
                lesion_id="l" if i else None,
                uncertain=bool(i),
            )
            for i in range(number % 3)
        ]
        found.append(
            ImageRecord(
                record_id=f"r{number}",
                patient_id=f"p{number // 2}",
                path=path,
                columns=30,
                rows=20,
                domain=Domain.CHEST_RADIOGRAPH,
                dataset="test",
                regions=tuple(regions),
                exhaustive_for=frozenset({"mass", "nodule"} if number % 2 else ()),
                part="train" if number < 5 else None,
                columns_toward_left=1 if number % 2 else None,
                spacing_mm=(0.1, 0.2) if number == 3 else None,
                readers=3,
                attributes={"hardware": "1", "ü": "x"} if number == 2 else {},
                sha256=picture(path, number // 6),  # six of them are one file
            )
        )
    return found


def without_path(record: ImageRecord) -> ImageRecord:
    return record.model_copy(update={"path": None})


def test_records_come_back_as_they_were(records: list[ImageRecord], tmp_path: Path) -> None:
    told = []
    out = tmp_path / "out"
    manifest = write_data_set(
        out, records, name="n", vocabulary=load_vocabulary(), progress=lambda done, total: told.append((done, total))
    )
    data = DataSet(out)
    assert told[-1] == (7, 7)
    assert len(data) == manifest.records == 7
    assert [without_path(record) for record in data] == [without_path(record) for record in records]
    assert [without_path(data[i]) for i in (-1, 3)] == [without_path(records[i]) for i in (-1, 3)]
    assert len(data[2:5]) == 3
    with pytest.raises(IndexError):
        data[7]
    assert data.vocabulary == load_vocabulary()
    for record, original in zip(data, records, strict=True):
        assert record.path is not None
        assert record.path.is_relative_to(out)
        assert record.path.read_bytes() == original.path.read_bytes()
    assert len(list((out / "images").rglob("*.png"))) == 2  # a copy is stored once


def test_it_is_looked_up_by_column_and_concept(records: list[ImageRecord], tmp_path: Path) -> None:
    write_data_set(tmp_path / "out", records, name="n", vocabulary=load_vocabulary(), copy=False)
    data = DataSet(tmp_path / "out")
    assert data.column("patient_id") == [record.patient_id for record in records]
    for concept in ("mass", "nodule", "fracture"):
        slow = [i for i, record in enumerate(records) if any(r.concept == concept for r in record.regions)]
        assert data.with_concept(concept) == slow
    assert data.boxes_by_concept() == {"mass": 4, "nodule": 2}
    assert data[0].path == records[0].path


def test_the_version_follows_the_data_and_not_its_place(records: list[ImageRecord], tmp_path: Path) -> None:
    vocabulary = load_vocabulary()
    versions = {
        write_data_set(tmp_path / name, own, name="n", vocabulary=vocabulary).version
        for name, own in (("a", records), ("b", records), ("c", records[::-1]), ("d", records[:-1]))
    }
    assert len(versions) == 3
    moved = [r.model_copy(update={"part": "valid"}) for r in records]
    assert write_data_set(tmp_path / "e", moved, name="n", vocabulary=vocabulary).version not in versions


def test_an_interrupted_import_is_no_data_set_and_goes_on(records: list[ImageRecord], tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    out = tmp_path / "out"
    with pytest.raises(Stop):
        write_data_set(out, records, name="n", vocabulary=load_vocabulary(), progress=stop)
    with pytest.raises(InputNotFoundError, match="import again"):
        DataSet(out)
    copied = next((out / "images").rglob("*.png"))
    before = copied.stat().st_mtime_ns
    write_data_set(out, records, name="n", vocabulary=load_vocabulary())
    assert copied.stat().st_mtime_ns == before
    assert len(DataSet(out)) == 7


def test_what_is_damaged_is_refused(records: list[ImageRecord], tmp_path: Path) -> None:
    vocabulary = load_vocabulary()
    with pytest.raises(DataSetError, match="'r0'"):
        write_data_set(tmp_path / "out", [records[0], records[0]], name="n", vocabulary=vocabulary)
    changed = records[0].model_copy(update={"sha256": "0" * 64})
    with pytest.raises(DataSetError, match="changed while"):
        write_data_set(tmp_path / "out", [changed], name="n", vocabulary=vocabulary)
    write_data_set(tmp_path / "out", records, name="n", vocabulary=vocabulary)
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(manifest | {"records": 8}))
    with pytest.raises(DataSetError, match="does not fit"):
        DataSet(tmp_path / "out")
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "out" / INDEX).write_bytes(b"PAR1")
    with pytest.raises(DataSetError, match="cannot be read"):
        DataSet(tmp_path / "out")


def test_an_empty_data_set(tmp_path: Path) -> None:
    write_data_set(tmp_path, [], name="n", vocabulary=load_vocabulary())
    data = DataSet(tmp_path)
    assert (len(data), list(data), data.boxes_by_concept(), data.with_concept("mass")) == (0, [], {}, [])


def test_a_full_disk_leaves_what_was_there(records: list[ImageRecord], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = write_data_set(out, records[:3], name="n", vocabulary=load_vocabulary(), copy=False)
    with no_file_longer_than(60_000), pytest.raises(OSError, match="File too large"):
        write_data_set(out, records, name="n", vocabulary=load_vocabulary(), report="x" * 100_000, copy=False)
    assert DataSet(out).manifest == first
    assert len(list(DataSet(out))) == 3


def test_two_imports_into_one_folder(records: list[ImageRecord], tmp_path: Path) -> None:
    def second(done: int, total: int) -> None:
        with pytest.raises(DataSetError, match="another import is writing"):
            write_data_set(tmp_path / "out", records[:1], name="n", vocabulary=load_vocabulary())

    write_data_set(tmp_path / "out", records, name="n", vocabulary=load_vocabulary(), progress=second)
    assert len(DataSet(tmp_path / "out")) == 7
