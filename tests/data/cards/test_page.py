from __future__ import annotations

from pathlib import Path

from medground.data.cards.facts import facts_of
from medground.data.cards.page import HEADINGS, page_of
from medground.data.cards.stated import Stated
from medground.data.columnar import DataSet, write_data_set
from medground.data.data_split import save, split_data_set
from medground.data.vocabulary import load_vocabulary


def page(folder: Path, stated: Stated | None = None) -> str:
    data = DataSet(folder)
    return page_of(facts_of(data), stated or Stated(), data.vocabulary)


def test_what_nobody_stated_is_not_invented(folder: Path) -> None:
    words = page(folder)
    assert "- Licence: not stated" in words
    assert "- Source: not stated" in words
    assert "Not stated. Age" in words
    told = page(folder, Stated(description="Films of adults.", licence="CC BY 4.0", source="https://example.org"))
    assert "not stated" not in told.lower()
    for said in ("Films of adults.", "- Licence: CC BY 4.0", "- Source: https://example.org"):
        assert said in told


def test_headings_and_counts(folder: Path) -> None:
    words = page(folder)
    assert [line[3:] for line in words.splitlines() if line.startswith("## ")] == list(HEADINGS)
    for line in (
        "# made films",
        "| train | 3 | 2 |",
        "| valid | 2 | 2 |",
        "| **all** | 5 | 4 |",
        "| fracture (fracture) | 5 | 4 | 4 | 3 | 2 | 2 |",
        "- 3 images: for nothing",
        "- 2 images: fracture, mass",
        "6 images and 6 boxes were published; 5 images and 4 boxes are in, 2 boxes are not.",
        "| degenerate_box (rejected) | 1 |",
        "Class names that no concept has: Ghost (1).",
        "- Byte-identical: 0 pairs. Near-duplicates: 1 pairs. In two published parts: 1.",
        "- Left and right are known for 1 of 5 images; elsewhere neither is said.",
        "- [x] pictures compared with each other for near-duplicates",
        "- [ ] parts checked for leaks by patient, file and picture",
    ):
        assert line in words.splitlines(), line
    assert "not checked for leaks" in words


def test_the_leak_check_is_told(folder: Path) -> None:
    split = split_data_set(DataSet(folder), dev_fraction=0.0)
    save(split, folder)
    words = page(folder)
    assert "5 images compared by patient, file and picture, no leak; 2 images dropped" in words
    assert "| dropped from every part | 2 |  |" in words
    assert "- [x] that check passed" in words
    save(split.model_copy(update={"leaks": ("a in train and e in valid: same film",)}), folder)
    words = page(folder)
    assert "**1 leaks**" in words
    assert "  - a in train and e in valid: same film" in words
    assert "- [ ] that check passed" in words


def test_without_an_account(tmp_path: Path) -> None:
    write_data_set(tmp_path, [], name="none", vocabulary=load_vocabulary())
    words = page(tmp_path)
    assert "No account of an import" in words
    assert "read by no importer" in words
    assert "- [ ] every published box is in a record or in an issue" in words
