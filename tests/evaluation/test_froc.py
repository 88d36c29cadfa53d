"""FROC against a loop over every threshold."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from medground.evaluation.detection import Detection, ImageTruth, Truth, match
from medground.evaluation.froc import FP_PER_IMAGE, froc

Scene = tuple[list[ImageTruth], list[Detection]]
BOX = (10.0, 10.0, 30.0, 30.0)
ELSEWHERE = (60.0, 60.0, 80.0, 80.0)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("exhaustive", [1.0, 0.5])
def test_equals_matching_anew_at_every_threshold(
    random_scene: Callable[..., Scene], ties: bool, exhaustive: float
) -> None:
    images, detections = random_scene(2, ties=ties, exhaustive=exhaustive)
    curve = froc(images, detections, "nodule")
    assert curve is not None
    complete = {image.image_id for image in images if "nodule" in image.exhaustive_for}
    n_boxes = sum(truth.concept == "nodule" for image in images for truth in image.truths)
    assert (curve.n_exhaustive_images, curve.n_boxes) == (len(complete), n_boxes)

    operating_points = [(0.0, 0.0)]
    for threshold in {d.score for d in detections}:
        kept = [d for d in detections if d.score >= threshold]
        false = (
            ~match(
                [i for i in images if i.image_id in complete], [d for d in kept if d.image_id in complete], "nodule"
            ).hit_D
        ).sum()
        operating_points.append((false / len(complete), match(images, kept, "nodule").hit_D.sum() / n_boxes))
    slow = [max(found for rate, found in operating_points if rate <= allowed) for allowed in FP_PER_IMAGE]
    assert [point.sensitivity for point in curve.points] == pytest.approx(slow)
    assert curve.mean_sensitivity == pytest.approx(sum(slow) / len(slow))
    assert slow[0] < slow[-1]


def test_boxes_of_equal_score_come_together() -> None:
    images = [ImageTruth("a", "p", (Truth("a", "nodule", BOX),), frozenset({"nodule"}))]
    detections = [Detection("a", "nodule", BOX, 0.5), Detection("a", "nodule", ELSEWHERE, 0.5)]
    curve = froc(images, detections, "nodule", fp_per_image=(0.5, 1.0))
    assert curve is not None
    assert [(point.sensitivity, point.threshold) for point in curve.points] == [(0.0, None), (1.0, 0.5)]


def test_empty_cases() -> None:
    partial = ImageTruth("a", "p", (Truth("a", "nodule", BOX),))
    healthy = ImageTruth("b", "q", (), frozenset({"nodule"}))
    assert froc([], [], "nodule") is None
    assert froc([partial], [], "nodule") is None
    assert froc([healthy], [], "nodule") is None
    curve = froc([partial, healthy], [], "nodule")
    assert curve is not None
    assert curve.mean_sensitivity == 0.0
