"""Every item of both guidelines has an answer, and every heading that an answer names is in the written card."""

from __future__ import annotations

import re

import pytest

from medground.cards.checklists import TITLE, checklist_of, guidelines
from medground.cards.facts import facts_of
from medground.cards.markdown import anchor, markdown_of
from medground.cards.measured import Resampling
from medground.cards.page import page_of
from tests.cards.made_evidence import four_films, made_evidence, ten_nodules

TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c "
    "18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


@pytest.fixture(scope="module")
def facts():
    return facts_of(made_evidence({"films": four_films(), "more": ten_nodules(3)}), Resampling(resamples=20))


def headings(text: str) -> set[str]:
    return {line.lstrip("# ").replace("\\", "") for line in text.splitlines() if re.match("#{1,3} ", line)}


def test_all_items_are_there_once_and_in_order():
    claim, tripod = guidelines()
    assert [item.item for item in claim.items] == [str(n) for n in range(1, 45)]
    assert [item.item for item in tripod.items] == TRIPOD.split()
    for guideline in (claim, tripod):
        assert guideline.published
        assert guideline.compared_with
        for item in guideline.items:
            assert len(item.asks.split()) <= 16, item
            assert item.headings or item.lacks, item


def test_headings_that_are_named_are_in_the_card(facts):
    written = headings(markdown_of(facts).decode())
    named = {heading for item in facts.checklist for heading in item.headings}
    title = f"{facts.title} {facts.model.version}"
    assert {"Training data", "Weaknesses", "On four films", "Groups on ten films", title} < named
    assert named <= written


def test_no_pattern_is_a_slip(facts):
    """Each names something that some card has; failures are pictured only where there are phantoms."""
    written = headings(markdown_of(facts).decode())
    for guideline in guidelines():
        for item in guideline.items:
            for pattern in item.headings:
                chapter = pattern.removesuffix("*").strip()
                known = {TITLE, "Known failures"}
                assert pattern in known or any(title.startswith(chapter) for title in written), (item, pattern)


def test_an_item_is_answered_or_says_why_not(facts):
    for item in facts.checklist:
        assert item.answered.startswith("." if item.headings else "Not answered: ")
    (funding,) = [one for one in facts.checklist if (one.guideline, one.item) == ("CLAIM 2024", "44")]
    assert (funding.headings, funding.answered) == ((), "Not answered: it is not stated.")


def test_a_chapter_that_a_card_lacks_answers_nothing(facts):
    bare = facts.model_copy(update={"evaluations": (), "checklist": ()})
    checklist = {(one.guideline, one.item): one for one in checklist_of(bare)}
    assert checklist["CLAIM 2024", "32"].answered == "Not answered: this card has no such chapter."
    assert checklist["CLAIM 2024", "39"].headings == ("Weaknesses",)


def test_markdown_and_page_show_the_whole_list(facts):
    text = markdown_of(facts).decode().replace("\\", "")
    assert len(facts.checklist) == 44 + 52
    assert "## Checklists" in text
    for item in facts.checklist:
        leads = "; ".join(f"[{title}](#{anchor(title)})" for title in item.headings)
        assert f"| {item.guideline} | {item.item} | {item.words} | {leads}{item.answered} |" in text


def test_a_chapter_is_led_to_where_it_stands(facts):
    page = page_of(facts, {}).decode()
    for title in {title for item in facts.checklist for title in item.headings}:
        (number,) = re.findall(rf'<h\d id="(s\d+)">{re.escape(title)}</h\d>', page)
        assert f'<a href="#{number}">{title}</a>' in page.partition(">Checklists</h2>")[2]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("What it is not for", "what-it-is-not-for"),
        ("On ChestX-Det, valid (unseen)", "on-chestx-det-valid-unseen"),
        ("medground compact 0.3.0", "medground-compact-030"),
    ],
)
def test_anchors_are_those_of_github(title, name):
    assert anchor(title) == name


def test_the_page_is_the_card(facts):
    page = page_of(facts, {}).decode()
    assert page.count('<td class="word">TRIPOD+AI</td>') == 52
