"""What of a header's text may stand in a database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from medground.serving.plain_text import plain_text


@pytest.mark.parametrize(
    ("found", "at_most", "plain"),
    [
        (None, 5, ""),
        ("", 5, ""),
        ("Doe^Jane", 5, "Doe^J"),
        ("a\0b\x1bc\x9fd", 9, "abcd"),
        ("\ud800x\udfff", 9, "x"),
        ("王^小", 2, "王^"),
        ("\0\0\0ab", 2, "ab"),
        ("a b\u00a0c", 9, "a b\u00a0c"),
    ],
)
def test_without_what_a_database_may_refuse(found: str | None, at_most: int, plain: str) -> None:
    assert plain_text(found, at_most) == plain


class Endless(str):
    """A text that is read letter by letter and never ends."""

    def __iter__(self) -> Iterator[str]:
        return itertools.repeat("x")


def test_no_more_is_read_than_is_kept() -> None:
    assert plain_text(Endless("x"), 3) == "xxx"
