"""Intervals against resampling written out, image by image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medground.evaluation.bootstrap import bootstrap_by_patient
from medground.evaluation.detection import (
    Detection,
    Floats,
    ImageTruth,
    Truth,
    average_precision,
    average_precision_statistic,
)
from medground.schema.errors import UsageError

Scene = tuple[list[ImageTruth], list[Detection]]


def test_interval_equals_resampling_written_out(random_scene: Callable[..., Scene]) -> None:
    images, detections = random_scene(7, exhaustive=0.5, n_patients=6)
    patients = sorted({image.patient_id for image in images})
    interval = bootstrap_by_patient(
        average_precision_statistic(images, detections, "nodule"), images, ["nodule"], n=40, seed=11
    )

    draws = np.random.default_rng(11).multinomial(len(patients), [1 / len(patients)] * len(patients), size=40)
    values = []
    for draw in draws:
        drawn_images, drawn_detections = [], []
        for patient, times in zip(patients, draw, strict=True):
            for image in (image for image in images if image.patient_id == patient):
                for copy in range(times):
                    name = f"{image.image_id}-{copy}"
                    truths = tuple(Truth(name, t.concept, t.box_xyxy_px) for t in image.truths)
                    drawn_images.append(ImageTruth(name, patient, truths, image.exhaustive_for))
                    drawn_detections += [
                        Detection(name, d.concept, d.box_xyxy_px, d.score)
                        for d in detections
                        if d.image_id == image.image_id
                    ]
        values.append(average_precision(drawn_images, drawn_detections, "nodule"))

    assert interval is not None
    assert interval.value == average_precision(images, detections, "nodule")
    assert (interval.low, interval.high) == pytest.approx(np.quantile(np.array(values, float), [0.025, 0.975]))
    assert interval.low < interval.value < interval.high
    drawn_from = [truth for image in images for truth in image.truths if truth.concept == "nodule"]
    silent = {i.image_id for i in images if "nodule" not in i.exhaustive_for} - {t.image_id for t in drawn_from}
    assert silent
    assert (interval.n_images, interval.n_boxes) == (len(images) - len(silent), len(drawn_from))


def test_interval_of_a_mean_has_the_width_theory_gives() -> None:
    values = np.random.default_rng(0).normal(size=400)
    images = [ImageTruth(f"{i:03d}", f"{i:03d}") for i in range(400)]

    def mean(weights_NP: Floats) -> Floats:
        means: Floats = weights_NP @ values / weights_NP.sum(axis=1)
        return means

    interval = bootstrap_by_patient(mean, images, [], n=4000)
    assert interval is not None
    half = 1.96 * values.std() / 20
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_images_of_one_patient_are_drawn_together() -> None:
    # One patient holds everything: there is nothing to vary.
    box = (10.0, 10.0, 30.0, 30.0)
    images = [ImageTruth(f"{i}", "p", (Truth(f"{i}", "nodule", box),), frozenset({"nodule"})) for i in range(20)]
    detections = [Detection(f"{i}", "nodule", box, 0.5) for i in range(10)]
    interval = bootstrap_by_patient(average_precision_statistic(images, detections, "nodule"), images, ["nodule"])
    assert interval is not None
    assert interval.low == interval.value == interval.high == pytest.approx(51 / 101)


def test_resamples_without_truth_are_left_out_and_none_is_given_without_any() -> None:
    box = (10.0, 10.0, 30.0, 30.0)
    one = ImageTruth("a", "p", (Truth("a", "nodule", box),), frozenset({"nodule"}))
    images = [one, ImageTruth("b", "q", (), frozenset({"nodule"}))]
    statistic = average_precision_statistic(images, [Detection("a", "nodule", box, 0.5)], "nodule")
    interval = bootstrap_by_patient(statistic, images, ["nodule"], n=200)
    assert interval is not None
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)
    assert bootstrap_by_patient(average_precision_statistic(images, [], "mass"), images, ["mass"]) is None
    assert bootstrap_by_patient(average_precision_statistic([], [], "mass"), [], ["mass"]) is None


@pytest.mark.parametrize(("n", "level"), [(0, 0.95), (10, 1.0), (10, 0.0)])
def test_settings_out_of_range_are_refused(n: int, level: float) -> None:
    with pytest.raises(UsageError, match=f"got n={n} and level={level}"):
        bootstrap_by_patient(lambda weights_NP: weights_NP[:, 0], [ImageTruth("a", "p")], [], n=n, level=level)


def test_too_few_resamples_to_draw_any_truth_is_an_error() -> None:
    def only_as_they_are(weights_NP: Floats) -> Floats:
        return np.where((weights_NP == 1).all(axis=1), 0.5, np.nan)

    images = [ImageTruth(f"{i}", f"{i}") for i in range(30)]
    with pytest.raises(UsageError, match="undefined in all of n=3 resamples; raise n"):
        bootstrap_by_patient(only_as_they_are, images, [], n=3)
