from __future__ import annotations

import json
import re

import pytest

from medground.cards.export import facts_file
from medground.cards.facts import facts_of
from medground.cards.markdown import markdown_of, plain
from medground.cards.rounding import shown
from tests.cards.made_evidence import four_films, made_evidence, ten_nodules

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")
STYLES = ("figure", "setting", "tenths", "percent")


def numbers_in(text: str) -> set[str]:
    return {found.rstrip(",") for found in NUMBER.findall(text)}


def told_by(leaf: object) -> set[str]:
    """Every way in which the card may write a leaf of the facts."""
    if isinstance(leaf, dict):
        return set().union(*(told_by(value) for value in leaf.values()), *(told_by(key) for key in leaf))
    if isinstance(leaf, list):
        return set().union(*map(told_by, leaf))
    if isinstance(leaf, str):
        return numbers_in(leaf)
    if isinstance(leaf, bool) or leaf is None:
        return set()
    return set().union(*(numbers_in(shown(leaf, style)) for style in STYLES))


@pytest.fixture(scope="module")
def facts():
    return facts_of(made_evidence({"films": four_films(), "more": ten_nodules(3)}))


def test_every_number_stands_in_the_facts(facts):
    known = told_by(json.loads(facts_file(facts)))
    written = numbers_in(re.sub(r"\]\(#[^)]*\)", "]", markdown_of(facts).decode()))  # anchors are no numbers
    assert len(written) > 100
    assert written - known == set()


def test_a_number_written_by_hand_would_be_noticed(facts):
    known = told_by(json.loads(facts_file(facts)))
    assert numbers_in("AP 0.4711 [0.4, 0.5]") - known >= {"0.4711"}


def test_each_figure_of_a_finding_stands_in_its_own_cell(facts):
    text = markdown_of(facts).decode().replace("\\", "")
    for one in facts.evaluations:
        part = text.partition(f"### On {one.data}\n")[2].partition("\n### ")[0]
        rows = {
            line.split("|")[1].split("(")[0].strip(): line.split("|")[2:-1] for line in part.splitlines() if "|" in line
        }
        for row in one.concepts:
            cells = [numbers for cell in rows[row.name] for numbers in NUMBER.findall(cell)]
            figures = [row.real_boxes]
            for figure in (row.ap50, row.ap, row.froc_mean, row.false_on_normal):
                figures += [figure.value, figure.low, figure.high] if figure else []
            assert cells == [shown(number) for number in (*figures, row.n_images, row.n_boxes)]


def test_weaknesses_stand_before_results_and_markup_is_escaped(facts):
    text = markdown_of(facts).decode()
    assert text.index("## Weaknesses") < text.index("## Results")
    assert text.startswith(f"# {facts.title} {facts.model.version}\n\n**{facts.regulatory}**\n")
    assert plain("a_b | <i>*x* https://a.example/b_c") == r"a\_b \| \<i\>\*x\* <https://a.example/b_c>"
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize(
    ("number", "style", "words"),
    [
        (None, "figure", "–"),
        (True, "setting", "yes"),
        (12345, "figure", "12,345"),
        (0.12345, "figure", "0.123"),
        (1234.5, "figure", "1,234.500"),
        (0.0002, "setting", "0.0002"),
        (20261124, "setting", "20261124"),
        (36.53, "tenths", "36.5"),
        (0.344, "percent", "34"),
        ("recipe", "figure", "recipe"),
    ],
)
def test_numbers_are_rounded_in_one_place(number, style, words):
    assert shown(number, style) == words
