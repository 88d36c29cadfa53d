"""`card.json` in its one form."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medground.cards.card_file import CardModel, read_card, write_card
from medground.schema.errors import CardError
from tests.cards.small_card import EXPORTED_AT, MODEL, SmallCard, write_files


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_files(tmp_path)
    for name in ("card.sig", "audit.json", "card.json"):
        (tmp_path / name).write_text("old")
    made = write_card(tmp_path, MODEL, EXPORTED_AT)
    content = (tmp_path / "card.json").read_bytes()
    assert read_card(content) == made
    files = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if path.is_file()}
    listed = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    for name in ("card.sig", "audit.json", "card.json"):
        del listed[name]
    assert made.files == listed
    assert len(listed) == 11
    assert json.loads(content) == {
        "format": 1,
        "model": {"name": MODEL.name, "version": MODEL.version, "sha256": MODEL.sha256},
        "exported_at": EXPORTED_AT,
        "files": listed,
    }
    assert made.exported_at == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 2),
        ("format", "1"),
        ("exported_at", "2026-01-02"),
        ("exported_at", "2026-01-02T03:04:05Z\n"),
        ("model", {"name": "x", "version": "1", "sha256": "0"}),
        ("files", {}),
        ("files", {"../a": "0" * 64}),
        ("files", {"/a": "0" * 64}),
        ("files", {"a//b": "0" * 64}),
        ("files", {"a\\b": "0" * 64}),
        ("files", {".hidden": "0" * 64}),
        ("files", {"a.": "0" * 64}),
        ("files", {"/".join("abcdefghi"): "0" * 64}),
        ("files", {"card.sig": "0" * 64}),
        ("files", {"a": "0" * 63}),
        ("more", 1),
    ],
)
def test_what_is_no_card(card: SmallCard, name: str, value: Any) -> None:
    members = json.loads((card.directory / "card.json").read_bytes()) | {name: value}
    with pytest.raises(CardError, match=f"of format 1: {name}"):
        read_card((json.dumps(members, sort_keys=True, indent=2) + "\n").encode())


def test_another_form_of_the_same_is_refused(card: SmallCard) -> None:
    content = (card.directory / "card.json").read_bytes()
    twice = content.replace(b'"format": 1,', b'"format": 1,\n  "format": 1,')
    true = content.replace(b'"format": 1,', b'"format": true,')
    for other in (content[:-1], content + b"\n", json.dumps(json.loads(content)).encode(), twice, true):
        with pytest.raises(CardError, match="in another form"):
            read_card(other)


def test_what_cannot_be_a_card(tmp_path: Path) -> None:
    (tmp_path / "bad\nname.txt").write_text("x")
    with pytest.raises(CardError, match="no plain relative path"):
        write_card(tmp_path, MODEL, EXPORTED_AT)
    (tmp_path / "bad\nname.txt").rename(tmp_path / "good.txt")
    with pytest.raises(CardError, match="exported_at"):
        write_card(tmp_path, MODEL, "yesterday")
    (tmp_path / "link").symlink_to("good.txt")
    with pytest.raises(CardError, match="'link' cannot be part of a card: a link"):
        write_card(tmp_path, MODEL, EXPORTED_AT)
    assert not (tmp_path / "card.json").exists()


@given(st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
def test_any_name_comes_back(card: SmallCard, name: str) -> None:
    read = read_card((card.directory / "card.json").read_bytes())
    renamed = read.model_copy(update={"model": CardModel(name=name, version="1", sha256=MODEL.sha256)})
    assert read_card(renamed.content()) == renamed


@given(st.data())
def test_every_other_byte_is_another_card_or_none(card: SmallCard, data: st.DataObject) -> None:
    content = (card.directory / "card.json").read_bytes()
    at, value = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    edited = content[:at] + bytes([content[at] ^ value]) + content[at + 1 :]
    try:
        read = read_card(edited)
    except CardError:
        return
    assert read != read_card(content)
    assert read.content() == edited
