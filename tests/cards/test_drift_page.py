"""The page of drift says what its numbers say, and nothing that comes from outside runs in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from medground.cards.drift import ReviewOutcome, drift_of
from medground.cards.drift_page import drift_page
from tests.cards.test_drift import drift, seen

MADE = "asked for at noon"


class Text(HTMLParser):
    """Words of a page and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)


def test_alarms_rows_and_a_dot_for_each_week() -> None:
    found = drift(
        seen(90, ReviewOutcome.ACCEPTED),
        seen(10, ReviewOutcome.REJECTED),
        seen(10, ReviewOutcome.ACCEPTED, week=1),
        seen(30, ReviewOutcome.EDITED, week=1),
        expected={"nodule": (0, 0, 0, 50, 0, 0, 0, 0)},
    )
    page = Text(drift_page(found, made_at=MADE))
    text = " ".join(page.words)
    (alarm,) = found.alarms
    assert f"Week from 2026-01-12: {alarm.words}" in text
    assert "0.900 [0.826, 0.945], n = 100" in text
    assert page.tags.count("tr") == 1 + 2
    assert page.tags.count("svg") == 2
    assert page.tags.count("circle") == 2 * 2


def test_without_a_card_no_index_is_drawn_and_it_says_why() -> None:
    page = Text(drift_page(drift(seen(3)), made_at=MADE))
    assert page.tags.count("svg") == 1
    assert "no verified card" in " ".join(page.words)
    assert "Nothing, by the rules below." in " ".join(page.words)


def test_of_nothing() -> None:
    page = drift_page(drift(), made_at=MADE)
    assert "<svg" not in page


def test_words_are_words() -> None:
    found = drift_of(
        seen(1), None, {"nodule": "<script>x</script>"}, model="m" * 64, least_score=0.2, results=1, left_out=True
    )
    page = drift_page(found, made_at="<b>now</b>")
    assert "<script" not in page
    assert "<b>" not in page
    assert "there are older ones" in page
    assert not re.search(r"(src|href)=", page)
