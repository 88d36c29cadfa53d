"""Two models on the same images: which images are the same, and figures with the interval of their difference."""

from __future__ import annotations

import pytest

from medground.cards.comparison import (
    Compared,
    aligned,
    compared_ap50,
    compared_ece,
    compared_found,
    unrated,
    why_other_images,
)
from medground.cards.measured import Resampling
from medground.evaluation.bootstrap import Interval
from medground.evaluation.scene import Scene
from medground.schema.result import Verdict
from tests.cards.made_cards import BOXES, COMMON, RARE, USUAL, films

QUICK = Resampling(resamples=200)


def renamed(scene: Scene) -> Scene:
    images = (
        i.model_copy(update={"image_id": f"x{i.image_id}", "patient_id": f"y{i.patient_id}"}) for i in scene.images
    )
    return scene.model_copy(update={"images": tuple(images)})


def test_figures_and_their_difference() -> None:
    old, new = films({**USUAL, RARE: 10}), films({**USUAL, RARE: 6})
    figures = compared_ap50(old, renamed(new), [RARE], QUICK)
    assert figures is not None
    assert figures.current.value == pytest.approx(51 / 101)
    assert figures.candidate.value == pytest.approx(31 / 101)
    assert figures.difference.value == pytest.approx(-20 / 101)
    assert (figures.n, figures.images) == (20, 80)
    assert figures.candidate.value >= figures.current.low  # by its own interval it could be chance
    assert figures.difference.high < 0
    assert figures.is_lower
    same = compared_ap50(old, old, list(BOXES), QUICK)
    assert same is not None
    assert (same.difference.low, same.difference.value, same.difference.high) == (0, 0, 0)
    assert not same.is_lower
    assert not same.is_higher


def test_a_finding_that_the_candidate_does_not_know_counts_nothing() -> None:
    scene = films()
    silent = tuple(
        image.model_copy(update={"detections": tuple(one for one in image.detections if one[0] != RARE)})
        for image in scene.images
    )
    figures = compared_ap50(scene, scene.model_copy(update={"images": silent}), [RARE], QUICK)
    assert figures is not None
    assert figures.candidate.value == 0


def test_without_a_truth_there_is_no_figure() -> None:
    assert compared_ap50(films(), films(), ["absent"], QUICK) is None


def test_calibration_of_the_findings_that_both_know() -> None:
    figures = compared_ece(films(presence=0.6), films(presence=0.9), QUICK)
    assert figures is not None
    assert (figures.current.value, figures.candidate.value) == pytest.approx((0.1, 0.4))
    assert (figures.n, figures.is_higher) == (160, True)
    more = films(presence=0.5)
    answered = tuple(
        image.model_copy(update={"answers": (*image.answers, ("new", True, "found", 0.0))}) for image in more.images
    )
    again = compared_ece(films(presence=0.5), more.model_copy(update={"images": answered}), QUICK)
    assert again is not None
    assert (again.candidate.value, again.n) == (pytest.approx(0.0), 160)


def test_what_is_answered_found_of_the_same_questions() -> None:
    old = films()
    first = old.images[0]
    said = tuple((concept, there, Verdict.UNSUPPORTED, 0.5) for concept, there, *_ in first.answers)
    extra = ("new", True, Verdict.FOUND, 0.5)
    changed = (first.model_copy(update={"answers": (*said, extra)}), *old.images[1:])
    figures = compared_found(old, renamed(old.model_copy(update={"images": changed})), present=True, how=QUICK)
    assert figures is not None
    assert (figures.current.value, figures.candidate.value) == pytest.approx((1.0, 79 / 80))
    assert figures.n == 80
    unasked = (first.model_copy(update={"answers": (extra,)}), *old.images[1:])
    again = compared_found(old, old.model_copy(update={"images": unasked}), present=True, how=QUICK)
    assert again == figures
    assert unrated(old, old.model_copy(update={"images": unasked})) == (2, 160)
    absent = compared_found(old, old, present=False, how=QUICK)
    assert absent is not None
    assert (absent.candidate.value, absent.n) == (0, 80)


def test_names_do_not_matter_and_places_do() -> None:
    scene = films()
    assert why_other_images(scene, renamed(scene)) == ""
    assert aligned(scene, renamed(scene)) == scene
    turned = scene.model_copy(update={"images": scene.images[::-1]})
    assert why_other_images(scene, turned) == "image 1 has another size or another truth"
    small = scene.images[0].model_copy(update={"columns": 32})
    other = scene.model_copy(update={"images": (small, *scene.images[1:])})
    assert why_other_images(scene, other) == "image 1 has another size or another truth"


@pytest.mark.parametrize(
    ("value", "low", "high", "is_lower", "is_higher"),
    [
        (0.5, -0.1, 0.1, False, False),
        (0.4, -0.2, 0.0, False, False),  # at the limit of both
        (0.39, -0.2, 0.1, True, False),
        (0.45, -0.1, -0.01, True, False),
        (0.6, 0.0, 0.2, False, False),
        (0.61, -0.1, 0.2, False, True),
        (0.55, 0.01, 0.1, False, True),
    ],
)
def test_worse_is_below_the_interval_or_a_difference_below_nothing(
    value: float, low: float, high: float, is_lower: bool, is_higher: bool
) -> None:
    def interval(value: float, low: float, high: float) -> Interval:
        return Interval(value=value, low=low, high=high, n_images=1, n_boxes=1)

    figures = Compared(interval(0.5, 0.4, 0.6), interval(value, 0, 1), interval(value - 0.5, low, high), 1, 1)
    assert (figures.is_lower, figures.is_higher) == (is_lower, is_higher)


def test_common_ones_are_means() -> None:
    figures = compared_ap50(films(), films({**USUAL, COMMON[0]: 20}), COMMON, QUICK)
    assert figures is not None
    assert figures.current.value == pytest.approx(61 / 101)
    assert figures.candidate.value == pytest.approx((101 + 61 + 61) / 303)
