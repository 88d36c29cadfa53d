from __future__ import annotations

from pathlib import Path

import pytest

from medground.data.cards.facts import NO_PART, ConceptCount, facts_of
from medground.data.columnar import DataSet, write_data_set
from medground.data.data_split import save, split_data_set
from medground.data.vocabulary import load_vocabulary
from medground.schema.errors import DataSetError


def test_counts_of_published_parts(folder: Path) -> None:
    facts = facts_of(DataSet(folder))
    assert (facts.images, facts.patients, facts.dropped) == (5, 4, 0)
    assert facts.images_by_part == {"train": 3, "valid": 2}
    assert facts.patients_by_part == {"train": 2, "valid": 2}
    assert facts.concepts == {
        "fracture": ConceptCount(boxes=5, lesions=4, images=4, by_part={"train": 3, "valid": 2}, uncertain=2)
    }
    assert facts.sets == {frozenset(): 3, frozenset({"fracture", "mass"}): 2}
    assert facts.domains == {"limb radiograph": 5}
    assert (facts.sides_known, facts.spacing_known, facts.without_file, facts.synthetic) == (1, 2, 0, 0)
    assert facts.report is not None
    assert facts.report.unmapped == {"Ghost": 1}
    assert facts.split is None


def test_parts_of_a_checked_split(folder: Path) -> None:
    data = DataSet(folder)
    save(split_data_set(data, dev_fraction=0.0), folder)
    facts = facts_of(data)
    assert facts.split is not None
    assert facts.split.dropped == ("a", "b")  # the copy of e, and the other film of its patient stays out of reach
    assert facts.dropped == 2
    assert facts.images == 5
    assert facts.images_by_part == {"train": 1, "valid": 2}
    assert facts.concepts["fracture"].by_part == {"dropped": 3, "valid": 2}


def test_a_split_of_another_version_is_none(folder: Path) -> None:
    split = split_data_set(DataSet(folder), dev_fraction=0.0)
    save(split.model_copy(update={"version": "0" * 16}), folder)
    assert facts_of(DataSet(folder)).split is None


def test_an_empty_data_set(tmp_path: Path) -> None:
    write_data_set(tmp_path, [], name="none", vocabulary=load_vocabulary())
    facts = facts_of(DataSet(tmp_path))
    assert (facts.images, facts.patients, facts.concepts, facts.images_by_part) == (0, 0, {}, {})
    assert facts.report is None


def test_without_parts(folder: Path, tmp_path: Path) -> None:
    records = [record.model_copy(update={"part": None}) for record in DataSet(folder)]
    write_data_set(tmp_path / "other", records, name="other", vocabulary=load_vocabulary(), copy=False)
    assert facts_of(DataSet(tmp_path / "other")).images_by_part == {NO_PART: 5}


@pytest.mark.parametrize("name", ["import_report.json", "split.json"])
def test_damaged_files_are_named(name: str, folder: Path) -> None:
    (folder / name).write_text("{}")
    with pytest.raises(DataSetError, match=name):
        facts_of(DataSet(folder))
