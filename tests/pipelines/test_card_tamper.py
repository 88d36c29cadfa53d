"""A short campaign finds everything, and says so where a check would not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from medground.schema.errors import CardError, UsageError
from pipelines.card_tamper import Tally, edit_bytes, main
from tests.cards.small_card import SmallCard, copied, small_card

FORGED = (
    "listed anew",
    "signed with another key",
    "with his key in the card",
    "in the name of a trusted key",
)
DAMAGED = (
    "entry edited",
    "entry edited, its hash too",
    "entry edited, all hashes too",
    "entry deleted",
    "entry deleted, numbers and hashes too",
    "entries swapped",
    "entries swapped, all hashes too",
    "tail cut off",
)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> SmallCard:
    return small_card(tmp_path_factory.mktemp("card"))


def test_a_short_campaign(card: SmallCard, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in card.directory.rglob("*") if path.is_file()}
    words = ["--edits", "60", "--log-edits", "16", "--untouched", "3", "--seed", "1"]
    assert main([str(card.directory), *words, "--trust", str(card.private.with_suffix(".pub"))]) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = {line[:-14].strip(): line[-14:].split() for line in lines[1:16]}
    assert counts == {
        "one byte of the card": ["60", "60"],
        "untouched copy": ["3", "3"],
        **{f"number edited, {how}": ["1", "1"] for how in FORGED},
        "untouched log": ["1", "1"],
        **{f"log: {how}": ["2", "2"] for how in DAMAGED},
    }
    assert lines[-1] == "14 files, 0.2 MB, seed 1: 0 missed"
    assert {path: path.read_bytes() for path in card.directory.rglob("*") if path.is_file()} == before


def test_what_is_missed_is_told(card: SmallCard, tmp_path: Path) -> None:
    """Of a card that nobody signed for this key, findings are always there, and not of the files that are edited."""
    tally = Tally()
    (tmp_path / "card").mkdir()
    for name in "ab":
        (tmp_path / "card" / name).write_text("text")
    edit_bytes(tmp_path / "card", [card.key], 10, random.Random(0), tally)
    assert (tally.tried, tally.right) == ({"one byte of the card": 10}, {"one byte of the card": 0})
    assert len(tally.missed) == 10
    assert tally.missed[0].startswith("one byte of the card: ByteEdit(path='")


def test_a_card_that_is_not_whole_is_no_start(card: SmallCard, tmp_path: Path) -> None:
    copy = copied(card, tmp_path)
    with pytest.raises(CardError, match="does not verify as it is"):
        main([str(copy), "--edits", "1"])  # its key is not trusted
    with pytest.raises(UsageError, match="no directory is at"):
        main([str(tmp_path / "absent")])
