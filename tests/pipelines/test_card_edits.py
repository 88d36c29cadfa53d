"""Edits of a card are what they say, and leave nothing behind."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from medground.cards.findings import Kind
from medground.cards.verify import verify
from pipelines.card_edits import FORGERIES, ByteEdit, Forger, byte_edits, change_a_number
from tests.cards.small_card import SmallCard, copied, small_card


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> SmallCard:
    return small_card(tmp_path_factory.mktemp("card"))


@pytest.mark.parametrize(
    ("edit", "inside"),
    [
        (ByteEdit("f", "replace", 1, 0b11), b"aac"),
        (ByteEdit("f", "insert", 3, 0), b"abc\0"),
        (ByteEdit("f", "insert", 0, 65), b"Aabc"),
        (ByteEdit("f", "delete", 2, 9), b"ab"),
    ],
)
def test_one_byte(tmp_path: Path, edit: ByteEdit, inside: bytes) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    with edit.applied(tmp_path):
        assert file.read_bytes() == inside
    with pytest.raises(ValueError, match="while it was checked"), edit.applied(tmp_path):
        raise ValueError("while it was checked")
    assert file.read_bytes() == b"abc"


def test_every_file_gets_some(card: SmallCard) -> None:
    edits = list(byte_edits(card.directory, 200, random.Random(3)))
    assert edits == list(byte_edits(card.directory, 200, random.Random(3)))
    assert edits != list(byte_edits(card.directory, 200, random.Random(4)))
    by_file = Counter(edit.path for edit in edits)
    files = {path.relative_to(card.directory).as_posix() for path in card.directory.rglob("*") if path.is_file()}
    assert set(by_file) == files
    assert sum(by_file.values()) == 200
    assert min(by_file.values()) >= 7  # half of all, over fourteen files
    assert {edit.how for edit in edits} == {"replace", "insert", "delete"}
    for edit in edits:
        before = (card.directory / edit.path).read_bytes()
        with edit.applied(card.directory):
            assert (card.directory / edit.path).read_bytes() != before


def test_few_edits_go_to_as_many_files(card: SmallCard) -> None:
    assert len({edit.path for edit in byte_edits(card.directory, 5, random.Random(0))}) == 5


@pytest.mark.parametrize("how", FORGERIES)
def test_forgeries_hide_the_edit_and_are_found(card: SmallCard, tmp_path: Path, how: str) -> None:
    copy = copied(card, tmp_path)
    before = (copy / "facts.json").read_bytes()
    forger = Forger(tmp_path, card.key.fingerprint)
    forger.forge(copy, how)
    assert (copy / "facts.json").read_bytes() != before
    found = verify(copy, [card.key]).findings
    assert FORGERIES[how] in {(finding.file, finding.kind) for finding in found}
    # But for the first, the hashes fit: nothing but the key tells them.
    changed = {finding.kind for finding in found} & {Kind.CHANGED, Kind.ADDED, Kind.MISSING, Kind.SCHEMA}
    assert changed == ({Kind.CHANGED} if how == "listed anew" else set())


def test_a_number_is_changed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("7")
    (tmp_path / "facts.json").write_text('{"ap": 0.150}')
    change_a_number(tmp_path)
    assert (tmp_path / "facts.json").read_text() == '{"ap": 0.250}'
    assert (tmp_path / "a.txt").read_text() == "7"
