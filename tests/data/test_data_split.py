from __future__ import annotations

from pathlib import Path

import pytest

from medground.data.columnar import DataSet, write_data_set
from medground.data.data_split import SPLIT, checked_parts, save, split_data_set
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import LeakError
from medground.schema.record import ImageRecord
from tests.data.films import film


def data_set(folder: Path, records: list[ImageRecord]) -> DataSet:
    write_data_set(folder, records, name="d", vocabulary=load_vocabulary())
    return DataSet(folder)


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    """Forty films of which one patient has two, one is in train twice, and one stands in train and in valid."""
    made = [film(tmp_path / f"f{n}.jpg", n, "valid" if n < 10 else "train") for n in range(40)]
    made.append(film(tmp_path / "twice.jpg", 20, "train", quality=40))
    made.append(film(tmp_path / "leak.jpg", 3, "train", quality=50))
    made.append(film(tmp_path / "second.jpg", 77, "train", patient="f25"))
    return made


def test_no_film_and_no_patient_is_in_two_parts(records: list[ImageRecord], tmp_path: Path) -> None:
    data = data_set(tmp_path / "out", records)
    split = split_data_set(data, dev_fraction=0.3)
    part_of = {record_id: part for part, ids in split.parts.items() for record_id in ids}
    assert split.dropped == ("leak",)
    assert split.leaks == ()
    assert split.films_compared == 43
    assert part_of["twice"] == part_of["f20"]
    assert part_of["second"] == part_of["f25"]
    assert {part_of[f"f{n}"] for n in range(10)} == {"valid"}
    assert set(part_of.values()) == {"train", "valid", "dev"}
    assert split_data_set(data, dev_fraction=0.3) == split


def test_nothing_is_trained_on_unchecked(records: list[ImageRecord], tmp_path: Path) -> None:
    data = data_set(tmp_path / "out", records[:12])
    with pytest.raises(LeakError, match="has not been checked"):
        checked_parts(data)
    split = split_data_set(data)
    save(split, data.folder)
    parts = checked_parts(data)
    assert {part: tuple(r.record_id for r in own) for part, own in parts.items()} == split.parts
    save(split.model_copy(update={"leaks": ("a in train and b in valid: same film",)}), data.folder)
    with pytest.raises(LeakError, match="a in train and b in valid"):
        checked_parts(data)
    save(split, data.folder)
    other = data_set(tmp_path / "out", records[:13])
    with pytest.raises(LeakError, match="of version"):
        checked_parts(other)
    (other.folder / SPLIT).write_text("{")
    with pytest.raises(LeakError, match="cannot be read"):
        checked_parts(other)
