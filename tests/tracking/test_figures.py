from __future__ import annotations

import pytest
from pydantic import ValidationError

from medground.tracking import figures
from medground.tracking.figures import Figure, as_metrics, from_metrics


def test_the_names_are_the_fixed_ones():
    boxes = (figures.ap50, figures.ap, figures.ap50_rare, figures.froc, figures.false_on_normal)
    made = [named("nodule") for named in (*boxes, figures.ece, figures.auroc)]
    assert made == [
        *("ap50/nodule", "ap/nodule", "ap50/rare/nodule", "froc/nodule", "false_on_normal/nodule"),
        *("ece/nodule", "auroc/nodule"),
    ]
    sizes = (figures.AP50_SMALL, figures.AP50_MEDIUM, figures.AP50_LARGE)
    assert sizes == ("ap50/small", "ap50/medium", "ap50/large")
    assert figures.ABSENT_ERROR == "absent_error"
    for name in [*made, *sizes, figures.ABSENT_ERROR, figures.ap50(figures.MEAN)]:
        assert Figure(name=name, value=0.5, n=3).name == name


def test_a_figure_becomes_four_numbers_and_two_without_an_interval():
    with_interval = Figure(name="ap50/nodule", value=0.5, low=0.25, high=0.75, n=12)
    without = Figure(name="absent_error", value=0.1, n=40)
    assert as_metrics([with_interval, without]) == {
        "ap50/nodule": 0.5,
        "ap50/nodule/low": 0.25,
        "ap50/nodule/high": 0.75,
        "ap50/nodule/n": 12,
        "absent_error": 0.1,
        "absent_error/n": 40,
    }


def test_figures_are_found_again_among_other_numbers():
    made = [
        Figure(name="ap50/rare/nodule", value=0.5, low=0.25, high=0.75, n=12),
        Figure(name="ap50/small", value=0.2, low=0.1, high=0.3, n=4),
        Figure(name="absent_error", value=0.1, n=40),
    ]
    others = {"loss/score": 0.5, "development/mean_ap50": 0.3, "ap50/without_n": 0.7}
    assert from_metrics(others | as_metrics(made)) == made


@pytest.mark.parametrize("name", ["ap75/nodule", "ap50", "ap50/rare", "ap50/low", "ap50/Nodule", "froc/n", "mean", ""])
def test_other_names_are_refused(name):
    with pytest.raises(ValidationError, match="is no name of a figure"):
        Figure(name=name, value=0.5, n=1)


@pytest.mark.parametrize(
    "wrong",
    [{"value": float("nan")}, {"low": 0.1}, {"low": 0.6, "high": 0.4}, {"low": 0.1, "high": float("inf")}, {"n": -1}],
)
def test_a_figure_that_says_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        Figure(**{"name": "ap50/nodule", "value": 0.5, "n": 1, **wrong})
