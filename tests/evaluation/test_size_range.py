from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from medground.evaluation.detection import COCO_IOUS, Detection, ImageTruth, Truth, average_precision, match
from medground.evaluation.size_range import LARGE, MEDIUM, SMALL, SizeRange
from medground.schema.errors import UsageError

AREAS = (None, SMALL, MEDIUM, LARGE)  # in the order of pycocotools


def square(side: float) -> tuple[float, float, float, float]:
    return (5.0, 7.0, 5.0 + side, 7.0 + side)


def test_the_limits_are_those_of_coco_and_lie_in_both_neighbours():
    boxes = [square(side) for side in (1, 31, 32, 33, 95, 96, 97, 900)]
    held = [size.holds(boxes, None).tolist() for size in (SMALL, MEDIUM, LARGE)]
    assert held == [
        [True, True, True, False, False, False, False, False],
        [False, False, True, True, True, True, False, False],
        [False, False, False, False, False, True, True, True],
    ]


@pytest.mark.parametrize(
    ("columns_rows_px", "side", "name"),
    [
        ((2304, 2880), 143, "small"),  # 143 * 640 / 2880 = 31.8
        ((2304, 2880), 145, "medium"),
        ((2880, 2304), 433, "large"),
        ((373, 454), 22, "small"),  # 22 * 640 / 454 = 31.01
        ((373, 454), 23, "medium"),
        ((640, 480), 31, "small"),
        (None, 145, "large"),
    ],
)
def test_a_size_is_taken_in_an_image_of_640_px(columns_rows_px, side, name):
    held = {size.name for size in (SMALL, MEDIUM, LARGE) if size.holds([square(side)], columns_rows_px).item()}
    assert held == {name}


def test_another_frame_or_the_stored_pixels_can_be_asked_for():
    half = SizeRange("half", 0, 32**2, long_side_px=320)
    stored = SizeRange("stored", 0, 32**2, long_side_px=None)
    assert half.holds([square(63), square(65)], (640, 640)).tolist() == [True, False]
    assert stored.holds([square(31), square(33)], (6400, 10)).tolist() == [True, False]
    assert half.holds([], (640, 640)).tolist() == []


@pytest.mark.parametrize("numbers", [(5, 5, 640), (-1, 5, 640), (math.nan, 5, 640), (0, 5, 0), (0, 5, math.inf)])
def test_a_range_that_holds_nothing_is_refused(numbers):
    with pytest.raises(UsageError, match="size 'odd' needs"):
        SizeRange("odd", *numbers)


def scaled(scene, factors):
    """The scene with each image and its boxes made larger by its factor."""
    images, detections = scene
    factor = {image.image_id: f for image, f in zip(images, factors, strict=True)}

    def larger(it):
        box = tuple(side * factor[it.image_id] for side in it.box_xyxy_px)
        return dataclasses.replace(it, box_xyxy_px=box)

    made = [dataclasses.replace(image, truths=tuple(larger(truth) for truth in image.truths)) for image in images]
    return made, [larger(detection) for detection in detections]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_small_medium_and_large_agree_with_pycocotools(random_scene, coco_average_precision, seed, ties):
    # Sides of 5 to 240 px: truths on both sides of both limits, and boxes whose truth is of another size.
    images, detections = scaled(random_scene(seed, ties=ties), np.random.default_rng(seed).uniform(1, 6, 30).tolist())
    for concept in ("nodule", "mass"):
        whole = average_precision(images, detections, concept)
        for area, size in enumerate(AREAS):
            judged = coco_average_precision(images, detections, concept, area)
            ours = [average_precision(images, detections, concept, iou=iou, size=size) for iou in COCO_IOUS]
            assert judged[0] > 0
            assert ours == pytest.approx(judged, abs=1e-9)
            assert size is None or ours[0] != pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_sizes_are_taken_in_a_frame_of_640_px_whatever_is_stored(random_scene, coco_average_precision, seed):
    rng = np.random.default_rng(seed)
    ours, theirs = rng.uniform(0.5, 20, 30).tolist(), rng.uniform(1, 6, 30).tolist()
    in_frame, their_boxes = scaled(random_scene(seed), theirs)
    stored, our_boxes = scaled(random_scene(seed), ours)
    sides = [640 * our / their for our, their in zip(ours, theirs, strict=True)]
    # The lengths stay broken here, as scaling would otherwise be rounded.
    stored = [
        dataclasses.replace(image, columns_rows_px=(side / 2, side) if row % 2 else (side, side / 3))
        for row, (image, side) in enumerate(zip(stored, sides, strict=True))
    ]
    for area, size in enumerate(AREAS):
        judged = coco_average_precision(in_frame, their_boxes, "nodule", area)
        values = [average_precision(stored, our_boxes, "nodule", iou=iou, size=size) for iou in COCO_IOUS]
        assert values == pytest.approx(judged, abs=1e-9)
    as_stored = dataclasses.replace(SMALL, long_side_px=None)
    judged = coco_average_precision(stored, our_boxes, "nodule", 1)
    assert average_precision(stored, our_boxes, "nodule", size=as_stored) == pytest.approx(judged[0], abs=1e-9)


SMALL_BOX, LARGE_BOX = (10.0, 10.0, 30.0, 30.0), (100.0, 100.0, 300.0, 300.0)


@pytest.mark.parametrize(
    ("exhaustive", "first", "small", "large"),
    [
        # What the surest box is: of a small and a large truth, both found later, only the named AP suffers.
        (True, (60.0, 60.0, 80.0, 80.0), 0.5, 1.0),  # small, on nothing
        (True, (400.0, 100.0, 600.0, 300.0), 1.0, 0.5),  # large, on nothing
        (False, (60.0, 60.0, 80.0, 80.0), 1.0, 1.0),  # nobody looked there
        (False, (400.0, 100.0, 600.0, 300.0), 1.0, 1.0),
    ],
)
def test_a_false_box_lowers_the_figure_of_its_own_size_and_only_where_labels_are_complete(
    exhaustive, first, small, large
):
    complete = frozenset({"nodule"}) if exhaustive else frozenset()
    truths = tuple(Truth("a", "nodule", box) for box in (SMALL_BOX, LARGE_BOX))
    images = [ImageTruth("a", "p", truths, complete)]
    boxes = [Detection("a", "nodule", box, score) for box, score in [(first, 0.9), (SMALL_BOX, 0.5), (LARGE_BOX, 0.4)]]
    assert average_precision(images, boxes, "nodule", size=SMALL) == pytest.approx(small)
    assert average_precision(images, boxes, "nodule", size=LARGE) == pytest.approx(large)
    assert average_precision(images, boxes, "nodule", size=MEDIUM) is None


def test_a_second_box_on_a_truth_counts_for_its_own_size_where_labels_are_incomplete():
    """The truth is just small, the second box on it just medium: ignored among the small, as COCO would."""
    truth, wider = (0.0, 0.0, 31.0, 31.0), (0.0, 0.0, 36.0, 31.0)
    other = (200.0, 0.0, 231.0, 31.0)
    images = [ImageTruth("a", "p", (Truth("a", "nodule", truth), Truth("a", "nodule", other)))]
    boxes = [Detection("a", "nodule", box, score) for box, score in [(truth, 0.9), (wider, 0.8), (other, 0.7)]]
    assert average_precision(images, boxes, "nodule", size=SMALL) == 1.0
    assert average_precision(images, boxes, "nodule") == pytest.approx((51 + 50 * 2 / 3) / 101)
    # The other way round: it takes the truth, so it is a hit whatever its own size.
    assert match(images, boxes[1:], "nodule", size=SMALL).hit_D.tolist() == [True, True]
    assert match(images, boxes, "nodule", size=MEDIUM).hit_D.tolist() == [False]


def test_a_box_takes_a_truth_of_the_size_before_a_nearer_one_of_another(coco_average_precision):
    small, medium, between = (0.0, 0.0, 31.0, 31.0), (0.0, 0.0, 40.0, 40.0), (0.0, 0.0, 38.0, 38.0)
    images = [ImageTruth("a", "p", (Truth("a", "nodule", medium), Truth("a", "nodule", small)), frozenset({"nodule"}))]
    boxes = [Detection("a", "nodule", between, 0.9)]
    assert match(images, boxes, "nodule", size=SMALL).hit_D.tolist() == [True]
    judged = coco_average_precision(images, boxes, "nodule", 1)[0]
    assert average_precision(images, boxes, "nodule", size=SMALL) == pytest.approx(judged, abs=1e-9)
    everything = SizeRange("all", 0, float("inf"))
    assert average_precision(images, boxes, "nodule", size=everything) == average_precision(images, boxes, "nodule")
