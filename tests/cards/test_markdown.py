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


def table(text: str, title: str, head: str) -> list[list[str]]:
    """The rows of a table under a heading, by its first columns' heads."""
    (part,) = [part.partition("\n")[2] for part in re.split(r"\n#+ ", text) if part.startswith(f"{title}\n")]
    (found,) = [block for block in part.strip().split("\n\n") if block.startswith(f"| {head} |")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in found.splitlines()[2:]]


def with_interval(figure) -> str:
    return "–" if figure is None else f"{shown(figure.value)} [{shown(figure.low)}, {shown(figure.high)}]"


def counted(counts) -> str:
    return f"{counts.found} / {counts.uncertain} / {counts.not_found} / {counts.unsupported}"


def test_each_figure_of_an_answer_stands_in_its_own_cell(facts):
    text = markdown_of(facts).decode().replace("\\", "")
    for one in (one for one in facts.evaluations if one.answers):
        scores = [(row.name, row.answers) for row in one.concepts if row.answers] + [("all", one.answers)]
        assert table(text, f"Answers on {one.data}", "finding") == [
            [
                *(name, counted(score.present), counted(score.absent)),
                *map(shown, (score.sensitivity, score.specificity, score.auroc)),
                *map(shown, (score.calibration.ece, score.calibration.brier)),
            ]
            for name, score in scores
        ]
        assert table(text, f"Answers on {one.data}", "stated probability") == [
            [f"{low} to {high}", shown(each.n), shown(each.mean_probability), shown(each.observed)]
            for each in one.calibration.bins
            for low, high in [(shown(each.low, "setting"), shown(each.high, "setting"))]
        ]
        error = f"Absent-question error: {with_interval(one.absent_error)} of {shown(one.absent_error.n)} questions"
        ece = f"expected calibration error {with_interval(one.ece)} over {shown(one.ece.n)} answers"
        assert (error in text, ece in text) == (True, True)


def test_each_figure_of_a_curve_and_of_a_group_stands_in_its_own_cell(facts):
    text = markdown_of(facts).decode().replace("\\", "")
    for one in facts.evaluations:
        assert table(text, f"FROC on {one.data}", "finding") == [
            [row.name, *(shown(point.sensitivity) for point in row.froc.points)] for row in one.concepts if row.froc
        ]
        groups = [
            [
                *(group.axis.value.replace("_", " "), group.value),
                *map(shown, (group.n_images, group.n_patients, group.n_boxes)),
                *map(with_interval, (group.mean_ap50, group.found, group.absent_error)),
            ]
            for group in one.subgroups
        ]
        sizes = [
            ["size of lesion", size.name, "–", "–", shown(size.n_boxes), with_interval(size.ap50), "–", "–"]
            for size in one.sizes
        ]
        assert table(text, f"Groups on {one.data}", "by") == groups + sizes


def test_each_mean_stands_in_its_own_cell(facts):
    text = markdown_of(facts).decode().replace("\\", "")
    for one in facts.evaluations:
        rows = {row[0]: row[1:] for row in table(text, f"On {one.data}", "finding")}
        mean, rare = one.mean_ap50, one.mean_ap50_rare
        figures = map(with_interval, (mean, one.mean_ap, one.mean_froc))
        assert rows["mean"] == ["", *figures, "", shown(mean.n_images), shown(mean.n_boxes)]
        if rare is not None:
            counts = (shown(rare.n_images), shown(rare.n_boxes))
            assert rows["mean of the rare"] == ["", with_interval(rare), "–", "–", "", *counts]
        assert ("mean of the rare" in rows) == (rare is not None)
        assert f"{shown(one.resamples)} resamples, seed {shown(one.seed)}." in text


def test_each_count_of_the_training_stands_in_its_own_cell(facts):
    text = markdown_of(facts).decode().replace("\\", "")
    assert table(text, "Findings in training", "finding") == [
        [
            *(row.name, row.domain.value),
            *map(shown, (row.real_boxes, row.synthetic_boxes, row.boxes, row.images, row.rare)),
        ]
        for row in facts.classes
    ]
    assert table(text, "What samples were drawn from", "pool") == [
        [pool.name, shown(pool.images), shown(pool.boxes)] for pool in facts.pools
    ]
    assert [(row[0], row[-1]) for row in table(text, "Stages of training", "stage")] == [
        (stage.name, shown(stage.steps)) for stage in facts.stages
    ]
    settings = {row[0]: row[1:] for row in table(text, "Stages of training", "setting")}
    assert settings["learning_rate"] == [shown(s.settings["learning_rate"], "setting") for s in facts.stages]
    for name, cells in settings.items():
        assert cells == [shown(stage.settings.get(name), "setting") for stage in facts.stages]
    at = facts.thresholds
    assert f"from a probability of {at.found:.6g} on" in text
    assert f'"not found" up to {at.not_found:.6g};' in text
    assert f"below a score of {at.least_score:.6g} are not shown" in text


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
