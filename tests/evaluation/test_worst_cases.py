"""Cases chosen by hand on three films."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medground.evaluation.detection import Detection, ImageTruth, Truth, match
from medground.evaluation.worst_cases import WorstCase, worst_cases

A, B, C, FAR = (10.0, 10.0, 30.0, 30.0), (50.0, 50.0, 90.0, 90.0), (0.0, 50.0, 10.0, 60.0), (60.0, 0.0, 80.0, 20.0)
NEAR_B = (60.0, 50.0, 110.0, 90.0)  # 30 x 40 shared with B: 1200 / (1600 + 2000 - 1200) = 1/2


def film(name: str, *truths: tuple[str, tuple], exhaustive=("cavity", "nodule"), size=(100, 100)) -> ImageTruth:
    return ImageTruth(
        name, f"p-{name}", tuple(Truth(name, c, box) for c, box in truths), frozenset(exhaustive), columns_rows_px=size
    )


IMAGES = [
    film("one", ("nodule", A), ("nodule", B)),
    film("two", ("nodule", C), ("cavity", A)),
    film("open", ("nodule", B), exhaustive=()),
]
BOXES = {
    "cavity": [Detection("two", "cavity", A, 0.3), Detection("one", "cavity", FAR, 0.2)],
    "nodule": [
        Detection("one", "nodule", A, 0.9),
        Detection("one", "nodule", A, 0.8),  # a second box on a truth that is taken
        Detection("one", "nodule", (80.0, 50.0, 120.0, 90.0), 0.1),  # 10 x 40 of B: 400 / 2800
        Detection("two", "nodule", FAR, 0.95),
        Detection("open", "nodule", FAR, 0.99),  # nobody looked there
    ],
}
CAVITY_FALSE = WorstCase("false", "one", "cavity", (), FAR, 0.2, 0.0)
CAVITY_LATE = WorstCase("late", "two", "cavity", (A,), A, 0.3, 1.0)
FALSE = [
    WorstCase("false", "two", "nodule", (C,), FAR, 0.95, 0.0),
    WorstCase("false", "one", "nodule", (A, B), A, 0.8, 1.0),
    WorstCase("false", "one", "nodule", (A, B), (80.0, 50.0, 120.0, 90.0), 0.1, pytest.approx(1 / 7)),
]
MISSED = [
    WorstCase("missed", "one", "nodule", (B, A), (80.0, 50.0, 120.0, 90.0), 0.1, pytest.approx(1 / 7)),
    WorstCase("missed", "open", "nodule", (B,), None, None, 0.0),
    WorstCase("missed", "two", "nodule", (C,), None, None, 0.0),
]


def test_the_cases_are_the_surest_false_boxes_and_the_largest_misses():
    assert worst_cases(IMAGES, BOXES) == [CAVITY_FALSE, CAVITY_LATE, *FALSE, *MISSED]


def test_the_order_of_images_and_boxes_changes_nothing():
    mixed = {concept: boxes[::-1] for concept, boxes in BOXES.items()}
    assert worst_cases(IMAGES[::-1], mixed) == worst_cases(IMAGES, BOXES)


def test_a_sheet_that_is_full_holds_the_worst_of_each_concept():
    assert worst_cases(IMAGES, BOXES, tiles=5) == [CAVITY_FALSE, CAVITY_LATE, *FALSE[:2], MISSED[0]]
    assert worst_cases(IMAGES, BOXES, tiles=1) == [CAVITY_FALSE]
    assert worst_cases(IMAGES, {"nodule": BOXES["nodule"], "cavity": BOXES["cavity"]}, tiles=3) == [
        FALSE[0],
        MISSED[0],
        CAVITY_FALSE,
    ]


def test_a_miss_is_large_by_its_share_of_the_image():
    images = [
        film("big", ("nodule", (0.0, 0.0, 100.0, 100.0)), size=(1000, 1000)),
        film("small", ("nodule", (0.0, 0.0, 50.0, 50.0)), size=(200, 100)),
    ]
    assert [case.image_id for case in worst_cases(images, {"nodule": []})] == ["small", "big"]
    unknown = [images[0], dataclasses.replace(images[1], columns_rows_px=None)]
    assert [case.image_id for case in worst_cases(unknown, {"nodule": []})] == ["big", "small"]


def test_only_where_nothing_is_missed_the_latest_hit_is_shown():
    images = [film("one", ("nodule", A), ("nodule", B)), film("two", ("nodule", C))]
    boxes = [
        Detection("one", "nodule", A, 0.9),
        Detection("one", "nodule", NEAR_B, 0.2),
        Detection("two", "nodule", C, 0.4),
    ]
    assert worst_cases(images, {"nodule": boxes}) == [WorstCase("late", "one", "nodule", (B, A), NEAR_B, 0.2, 0.5)]
    assert {case.kind for case in worst_cases(images, {"nodule": boxes[1:]})} == {"missed"}


def test_false_and_missed_are_those_of_the_matching():
    rng = np.random.default_rng(0)

    def box() -> tuple[float, float, float, float]:
        x, y, side = (float(v) for v in rng.uniform(5, 40, 3))
        return (x, y, x + side, y + side)

    images = [
        film(f"{n}", *(("nodule", box()) for _ in range(4)), exhaustive=("nodule",) if n % 2 else ()) for n in range(20)
    ]
    boxes = [Detection(f"{n}", "nodule", box(), float(rng.random())) for n in range(20) for _ in range(12)]
    cases = worst_cases(images, {"nodule": boxes}, tiles=10_000)
    matches = match(images, boxes, "nodule")
    assert sum(case.kind == "missed" for case in cases) == 80 - matches.hit_D.sum() > 0
    false = matches.score_D[~matches.hit_D & matches.exhaustive_D]
    assert [case.score for case in cases if case.kind == "false"] == false.tolist()
