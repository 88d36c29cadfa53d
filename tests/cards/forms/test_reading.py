from __future__ import annotations

import pytest

from medground.cards.forms.reading import NotPlainError, parse_json, values_of, written_json


def test_what_is_written_is_read():
    tree = {"a": [1, 0.1, "é", None, True], "b": {"a": 1e-05}}
    assert parse_json(written_json(tree)) == tree
    assert list(values_of(tree, "a")) == [tree["a"], 1e-05]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"a": 1, "a": 1}', "an object in it has a name twice"),
        (b"[Infinity]", "Infinity is no number of JSON"),
        (b'"\xff"', "it is no JSON: UnicodeDecodeError"),
        (b"[" * 100_000, "it is no JSON: RecursionError"),
        (b"1 2", "it is no JSON: JSONDecodeError"),
    ],
)
def test_what_has_more_than_one_meaning_is_refused(content, told):
    with pytest.raises(NotPlainError) as error:
        parse_json(content)
    assert str(error.value) == told


def test_what_is_no_number_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        written_json([float("nan")])
