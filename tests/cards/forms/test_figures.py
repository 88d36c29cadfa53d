from __future__ import annotations

from medground.cards.forms.figures import error_figures_of, figures_of, group_figures_of, part_of
from tests.cards.forms.numbers import figures, group_figures


def test_every_figure_of_the_facts_is_in_the_list_once(facts):
    each = [f for one in facts.evaluations for f in (*figures_of(facts, one), *error_figures_of(one))]
    assert sorted((f.value, f.low, f.high, f.counted) for f in each) == figures(facts)
    groups = [f for one in facts.evaluations for f in group_figures_of(facts, one)]
    assert sorted((f.value, f.low, f.high, f.counted) for f in groups) == group_figures(facts)
    assert {(f.about, f.counted) for f in groups if f.kind == "found"} == {("sex female", 2), ("sex male", 1)}


def test_what_could_not_be_computed_is_left_out_and_not_nought(facts):
    phantoms = facts.evaluations[1]
    assert phantoms.absent_error is None
    assert {f.kind for f in error_figures_of(phantoms)} <= {"false_boxes_on_normal"}


def test_phantoms_are_called_synthetic(facts):
    assert [part_of(one) for one in facts.evaluations] == ["four films", "ten <phantoms> & more (synthetic)"]


def test_findings_stand_rarest_first_after_the_means(facts):
    abouts = [f.about for f in figures_of(facts, facts.evaluations[0]) if f.kind.endswith("average_precision_50")]
    assert abouts == ["all findings", "cavity", "nodule"]
