"""Average precision against pycocotools, and the rule for incomplete labels against cases worked by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medground.evaluation.detection import (
    COCO_IOUS,
    Detection,
    ImageTruth,
    Truth,
    ap_by_concept,
    average_precision,
    average_precision_statistic,
    match,
    mean_average_precision,
    mean_statistic,
)
from medground.evaluation.size_range import LARGE, SMALL
from medground.schema.errors import UsageError

Scene = tuple[list[ImageTruth], list[Detection]]
Judge = Callable[..., list[float]]
BOX = (10.0, 10.0, 30.0, 30.0)
ELSEWHERE = (60.0, 60.0, 80.0, 80.0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_pycocotools_where_labels_are_complete(
    random_scene: Callable[..., Scene], coco_average_precision: Judge, seed: int, ties: bool
) -> None:
    images, detections = random_scene(seed, ties=ties)
    for concept in ("nodule", "mass"):
        judged = coco_average_precision(images, detections, concept)
        ours = [average_precision(images, detections, concept, iou=iou) for iou in COCO_IOUS]
        assert 0.05 < judged[0] < 0.95
        assert ours == pytest.approx(judged, abs=1e-9)
        all_overlaps = average_precision(images, detections, concept, iou=COCO_IOUS)
        assert all_overlaps == pytest.approx(np.mean(judged), abs=1e-9)


def test_only_the_best_hundred_boxes_of_an_image_count(coco_average_precision: Judge) -> None:
    truth = Truth("a", "nodule", BOX)
    images = [ImageTruth("a", "p", (truth,), frozenset({"nodule"}))]
    crowd = [Detection("a", "nodule", ELSEWHERE, 0.9) for _ in range(100)]
    late = [*crowd, Detection("a", "nodule", BOX, 0.1)]
    assert average_precision(images, late, "nodule") == 0.0 == coco_average_precision(images, late, "nodule")[0]
    assert average_precision(images, late[1:], "nodule") == pytest.approx(1 / 100)


def test_of_two_truths_that_overlap_equally_the_last_is_taken_as_in_pycocotools(
    coco_average_precision: Judge,
) -> None:
    left, right = (Truth("a", "nodule", (x, 0.0, x + 20, 20.0)) for x in (0.0, 8.0))
    between = Detection("a", "nodule", (4.0, 0.0, 24.0, 20.0), 0.9)
    for truths, other, expected in [((left, right), right, 51 / 101), ((left, right), left, 1.0)]:
        images = [ImageTruth("a", "p", truths, frozenset({"nodule"}))]
        late = Detection("a", "nodule", other.box_xyxy_px, 0.5)
        ours = average_precision(images, [between, late], "nodule", iou=0.6)
        assert ours == pytest.approx(expected)
        assert ours == pytest.approx(coco_average_precision(images, [between, late], "nodule")[2], abs=1e-9)


@pytest.mark.parametrize(
    ("exhaustive", "extra", "expected"),
    [
        (True, ELSEWHERE, 0.5),  # no truth there: false, and it comes first
        (False, ELSEWHERE, 1.0),  # nobody looked there: neither true nor false
        (True, (10.0, 10.0, 30.0, 29.0), 1.0),  # it takes the truth, and the second box comes too late to matter
        (False, (10.0, 10.0, 30.0, 16.0), 1.0),  # overlaps too little to be about the truth
    ],
)
def test_an_unmatched_box_is_false_only_where_labels_are_complete(
    exhaustive: bool, extra: tuple[float, float, float, float], expected: float
) -> None:
    complete = frozenset({"nodule"}) if exhaustive else frozenset({"mass"})
    images = [ImageTruth("a", "p", (Truth("a", "nodule", BOX),), complete)]
    detections = [Detection("a", "nodule", extra, 0.9), Detection("a", "nodule", BOX, 0.5)]
    assert average_precision(images, detections, "nodule") == pytest.approx(expected)


def test_a_second_box_on_a_taken_truth_is_false_even_where_labels_are_incomplete() -> None:
    images = [
        ImageTruth("a", "p", (Truth("a", "nodule", BOX),)),
        ImageTruth("b", "q", (Truth("b", "nodule", BOX),)),
    ]
    detections = [
        Detection("a", "nodule", BOX, 0.9),
        Detection("a", "nodule", (10.0, 10.0, 30.0, 29.0), 0.8),
        Detection("b", "nodule", BOX, 0.7),
    ]
    assert match(images, detections, "nodule").hit_D.tolist() == [True, False, True]
    # Precision 1 up to recall 1/2 (51 levels), then 2/3 (50 levels).
    assert average_precision(images, detections, "nodule") == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_images_that_say_nothing_of_the_concept_change_nothing(random_scene: Callable[..., Scene]) -> None:
    images, detections = random_scene(3)
    silent = [ImageTruth(f"s{i}", f"new{i}", (), frozenset({"mass"})) for i in range(5)]
    noise = [Detection(image.image_id, "nodule", BOX, 0.99) for image in silent]
    with_silent = average_precision([*images, *silent], [*detections, *noise], "nodule")
    assert with_silent == average_precision(images, detections, "nodule")
    complete = [ImageTruth(image.image_id, image.patient_id, (), frozenset({"nodule"})) for image in silent]
    with_complete = average_precision([*images, *complete], [*detections, *noise], "nodule")
    assert with_complete is not None
    assert with_silent is not None
    assert with_complete < with_silent


@pytest.mark.parametrize("seed", range(4))
def test_weights_equal_repeated_images(random_scene: Callable[..., Scene], seed: int) -> None:
    images, detections = random_scene(seed, exhaustive=0.5)
    patients = sorted({image.patient_id for image in images})
    weights = np.random.default_rng(seed).integers(0, 4, len(patients))
    repeated_images: list[ImageTruth] = []
    repeated_detections: list[Detection] = []
    for image in images:
        for copy in range(weights[patients.index(image.patient_id)]):
            name = f"{image.image_id}-{copy}"
            truths = tuple(Truth(name, truth.concept, truth.box_xyxy_px) for truth in image.truths)
            repeated_images.append(ImageTruth(name, image.patient_id, truths, image.exhaustive_for))
            repeated_detections += [
                Detection(name, d.concept, d.box_xyxy_px, d.score) for d in detections if d.image_id == image.image_id
            ]
    for concept in ("nodule", "mass"):
        weighted = average_precision_statistic(images, detections, concept)(weights[None].astype(float))
        assert weighted[0] == pytest.approx(average_precision(repeated_images, repeated_detections, concept), abs=1e-12)


def test_means_leave_out_what_has_no_truth(random_scene: Callable[..., Scene]) -> None:
    images, detections = random_scene(1)
    values = ap_by_concept(images, detections, ["nodule", "mass", "fracture"])
    assert values["fracture"] is None
    nodule, mass = values["nodule"], values["mass"]
    assert nodule is not None
    assert mass is not None
    assert mean_average_precision(values) == pytest.approx((nodule + mass) / 2)
    assert mean_average_precision({"fracture": None}) is None
    statistics = [average_precision_statistic(images, detections, concept) for concept in values]
    ones = np.ones((1, len({image.patient_id for image in images})))
    assert mean_statistic(statistics)(ones)[0] == pytest.approx((nodule + mass) / 2)
    assert np.isnan(mean_statistic(statistics[2:])(ones)[0])


def test_empty_cases() -> None:
    truth = ImageTruth("a", "p", (Truth("a", "nodule", BOX),), frozenset({"nodule"}))
    healthy = ImageTruth("b", "q", (), frozenset({"nodule"}))
    box = Detection("b", "nodule", BOX, 0.5)
    assert average_precision([], [], "nodule") is None
    assert average_precision([healthy], [box], "nodule") is None
    assert average_precision([truth, healthy], [], "nodule") == 0.0
    assert average_precision([truth, healthy], [box], "nodule") == 0.0
    assert average_precision([truth, healthy], [], "nodule", size=SMALL) == 0.0
    assert average_precision([truth, healthy], [], "nodule", size=LARGE) is None
    assert average_precision([], [], "nodule", size=SMALL) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Detection("a", "nodule", (3.0, 1.0, 2.0, 5.0), 0.5), r"got \(3.0, 1.0, 2.0, 5.0\)"),
        (lambda: Detection("a", "nodule", BOX, float("nan")), "got nan"),
        (lambda: Truth("a", "nodule", (0.0, 0.0, float("inf"), 5.0)), "inf"),
        (lambda: ImageTruth("a", "p", (Truth("b", "nodule", BOX),)), "image 'a' was given a truth of image 'b'"),
        (lambda: ImageTruth("a", "p", columns_rows_px=(0, 5)), r"columns and rows above 0, got \(0, 5\)"),
        (lambda: match([ImageTruth("a", "p"), ImageTruth("a", "p")], [], "nodule"), "2 images carry only 1"),
        (lambda: match([], [Detection("a", "nodule", BOX, 0.5)], "nodule"), "'a', which is not among"),
    ],
)
def test_what_cannot_be_scored_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
