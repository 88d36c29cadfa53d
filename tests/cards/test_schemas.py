"""Which check goes with which file."""

from __future__ import annotations

import json

import pytest

from medground.cards.schemas import KNOWN, validator_of
from tests.cards.small_card import SmallCard


def test_exact_paths_go_before_patterns() -> None:
    def one(content: bytes) -> list[str]:
        return ["one"] if content else []

    def two(content: bytes) -> list[str]:
        return ["two"] if content else []

    schemas = {"evidence/*.json": one, "evidence/images.json": two}
    assert validator_of("evidence/images.json", schemas) is two
    assert validator_of("evidence/other.json", schemas) is one
    assert validator_of("Evidence/other.json", schemas) is None
    assert validator_of("other", {}) is None


DEEP = 100_000
HOSTILE = {
    "nothing": b"",
    "no text": b"\xff\xfe",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep elements": b"<a>" * DEEP + b"</a>" * DEEP,
    "deep elements of a card": b'<AppliedModelCard xmlns="https://mc.chai.org/v0.2/schema.xsd">' + b"<a>" * DEEP,
    "entities": b"<!DOCTYPE a [<!ENTITY b 'bb'>]><a>&b;</a>",
    "aliases": b"---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\nwords\n",
    "deep front matter": b"---\na: " + b"[" * DEEP + b"]" * DEEP + b"\n---\nwords\n",
    "a long number": b"1" * 10_000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", KNOWN)
def test_what_is_no_form_is_told_and_nothing_is_raised(name: str, content: bytes) -> None:
    found = KNOWN[name](content)
    assert 0 < len(found) <= 5
    assert all(isinstance(words, str) and 0 < len(words) < 500 for words in found)


@pytest.mark.parametrize("name", [name for name in KNOWN if name.endswith(".json")])
def test_each_part_of_a_form_may_be_anything(card: SmallCard, name: str) -> None:
    """Each member in turn becomes a number, lists, an object and nothing: one of another type is always told."""
    content = (card.directory / name).read_bytes()
    assert KNOWN[name](content) == []
    tree = json.loads(content)
    for key in tree:
        for other in (7, [[]], {"@id": [], "data": [{"x": []}], "field": [{}]}, [{"@id": []}, {"field": [[]]}], None):
            changed = json.dumps(tree | {key: other}, ensure_ascii=False, indent=1) + "\n"
            found = KNOWN[name](changed.encode())
            assert found or type(other) is type(tree[key]), (key, other)
