from __future__ import annotations

import pytest

from medground.cards.stated import MOST_BYTES, read_stated, shipped_stated, stated_from
from medground.schema.errors import CardError


def test_the_shipped_words_name_every_data_set_and_what_was_never_shown(tmp_path):
    stated = read_stated(shipped_stated())
    assert [data.key for data in stated.data] == ["phantom", "cxr", "fracatlas", "bccd"]
    assert any("Children" in words for words in stated.never_shown)
    assert stated.changes[-1].date == "2026-11-24"
    assert stated_from(None) == shipped_stated()
    (tmp_path / "own.yaml").write_bytes(b"model: x")
    assert stated_from(tmp_path / "own.yaml") == b"model: x"


def test_values_are_kept_as_they_are_written():
    """YAML would read a date, a number to the base of sixty, and a word for no as something else."""
    content = shipped_stated()
    for written in (b"2026-11-24", b"1" + b":59" * 100_000, b"off"):
        changed = content.replace(b"date: 2026-11-24", b"date: " + written, 1)
        assert read_stated(changed).changes[-1].date == written.decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[", "is no YAML"),
        (b"[" * 100_000, "is no YAML"),
        (b"\xff\xff", "is no YAML"),
        (b"title: !!python/name:os.system", "lacks something: model"),
        (b"summary: &a [x, x]\ntitle: [*a, *a]", "repeats a part by name"),
        (b"- a list", "the whole"),
        (shipped_stated() + b"\napproved: true\n", "approved"),
        (shipped_stated().replace(b"licence: MIT", b"license: MIT"), r"data\.3\.licence"),
        (b"#" * (MOST_BYTES + 1), "shorten it"),
    ],
)
def test_words_that_lack_something_are_refused_by_name(content, words):
    with pytest.raises(CardError, match=words):
        read_stated(content)
