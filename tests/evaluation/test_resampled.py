from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medground.evaluation.calibration import calibration
from medground.evaluation.detection import ImageTruth, Truth, patients_of, value_of
from medground.evaluation.froc import froc
from medground.evaluation.resampled import (
    absent_error_statistic,
    auroc_statistic,
    difference,
    ece_statistic,
    froc_statistic,
)
from medground.evaluation.verdicts import Asked, auroc
from medground.schema.result import Verdict


def asked(images, seed: int):
    """Every image is asked about both concepts; one answer in ten has no probability."""
    rng = np.random.default_rng(seed)
    verdicts = list(Verdict)
    return {
        image.image_id: [
            Asked(
                concept,
                any(truth.concept == concept for truth in image.truths),
                verdicts[rng.integers(len(verdicts))],
                None if rng.random() < 0.1 else round(float(rng.random()), 1),  # with ties
            )
            for concept in ("nodule", "mass")
        ]
        for image in images
    }


def test_statistics_equal_the_plain_figures_on_data_with_patients_repeated(random_scene):
    """Whole weights mean copies of a patient: the plain formulas on the copied images give the same."""
    images, detections = random_scene(2, exhaustive=0.6)
    questions = asked(images, 1)
    patients = patients_of(images)
    weights = np.random.default_rng(3).integers(0, 3, (4, len(patients))).astype(float)
    ece, n = ece_statistic(images, questions, "nodule")
    apart, n_apart = auroc_statistic(images, questions, "nodule")
    absent, n_absent = absent_error_statistic(images, questions)
    boxes = [d for d in detections if d.concept == "mass"]
    curve = froc_statistic(images, boxes, "mass")
    everything = [q for own in questions.values() for q in own]
    assert n == n_apart == sum(q.concept == "nodule" and q.presence is not None for q in everything)
    assert n_absent == sum(not q.present and q.verdict != Verdict.UNSUPPORTED for q in everything)
    measured = zip(curve(weights), ece(weights), apart(weights), absent(weights), strict=True)
    for row, values in zip(weights, measured, strict=True):
        copies, copied_boxes, told = [], [], []
        for image in images:
            for k in range(int(row[patients.index(image.patient_id)])):
                name = f"{image.image_id}/{k}"
                truths = tuple(Truth(name, t.concept, t.box_xyxy_px) for t in image.truths)
                copies.append(ImageTruth(name, image.patient_id, truths, image.exhaustive_for))
                copied_boxes += [dataclasses.replace(d, image_id=name) for d in boxes if d.image_id == image.image_id]
                told += questions[image.image_id]
        about = [q for q in told if q.concept == "nodule" and q.presence is not None]
        wrong = [q.verdict == Verdict.FOUND for q in told if not q.present and q.verdict != Verdict.UNSUPPORTED]
        plain = (
            froc(copies, copied_boxes, "mass").mean_sensitivity,
            calibration([q.presence for q in about], [q.present for q in about]).ece,
            auroc([q.presence for q in about], [q.present for q in about]),
            sum(wrong) / len(wrong),
        )
        assert values == pytest.approx(plain, abs=1e-12)


def test_nothing_to_measure_gives_no_value(random_scene):
    images, detections = random_scene(2)
    empty = [dataclasses.replace(image, truths=()) for image in images]
    assert froc_statistic(empty, detections, "mass") is None
    assert froc_statistic([dataclasses.replace(i, exhaustive_for=frozenset()) for i in images], [], "mass") is None
    unasked = ece_statistic(images, {}, None), auroc_statistic(images, {}, None), absent_error_statistic(images, {})
    for statistic, n in unasked:
        assert (value_of(statistic, images), n) == (None, 0)


def test_presence_tells_nothing_apart_where_all_are_present(random_scene):
    images, _ = random_scene(2)
    there = {image.image_id: [Asked("nodule", True, Verdict.FOUND, 0.5)] for image in images}
    statistic, n = auroc_statistic(images, there, None)
    assert (value_of(statistic, images), n) == (None, len(images))


def test_a_difference_is_taken_resample_by_resample(random_scene):
    images, _ = random_scene(4)
    one, other = (ece_statistic(images, asked(images, seed), None)[0] for seed in (1, 2))
    weights = np.random.default_rng(0).integers(0, 3, (5, len(patients_of(images)))).astype(float)
    np.testing.assert_array_equal(difference(one, other)(weights), other(weights) - one(weights))


def test_calibration_error_does_not_depend_on_the_order_of_sums():
    """Processors add in orders of their own; whoever computes a card again must get the same to the last digit."""
    rng = np.random.default_rng(6)
    asked_about = [[Asked("nodule", True, Verdict.FOUND, float(p))] for p in rng.random(300)]
    weights = rng.multinomial(300, np.full(300, 1 / 300), size=50).astype(float)

    def in_order(order):
        names = [f"{n:03d}" for n in range(300)]  # patients are taken in the order of their names
        images = [ImageTruth(name, name, (), frozenset({"nodule"}), None) for name in names]
        questions = {name: asked_about[n] for name, n in zip(names, order, strict=True)}
        return ece_statistic(images, questions, None)[0](weights[:, order])

    expected = in_order(np.arange(300))
    for _ in range(5):
        np.testing.assert_array_equal(in_order(rng.permutation(300)), expected)


def test_without_images_nothing_is_off():
    statistic, n = ece_statistic([], {}, None)
    assert (value_of(statistic, []), n) == (None, 0)
