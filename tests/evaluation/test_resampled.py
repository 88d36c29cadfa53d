from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medground.evaluation.calibration import calibration
from medground.evaluation.detection import ImageTruth, Truth, patients_of, value_of
from medground.evaluation.froc import froc
from medground.evaluation.resampled import absent_error_statistic, difference, ece_statistic, froc_statistic
from medground.evaluation.verdicts import Asked
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
                None if rng.random() < 0.1 else float(rng.random()),
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
    absent, n_absent = absent_error_statistic(images, questions)
    boxes = [d for d in detections if d.concept == "mass"]
    curve = froc_statistic(images, boxes, "mass")
    everything = [q for own in questions.values() for q in own]
    assert n == sum(q.concept == "nodule" and q.presence is not None for q in everything)
    assert n_absent == sum(not q.present and q.verdict != Verdict.UNSUPPORTED for q in everything)
    for row, values in zip(weights, zip(curve(weights), ece(weights), absent(weights), strict=True), strict=True):
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
            sum(wrong) / len(wrong),
        )
        assert values == pytest.approx(plain, abs=1e-12)


def test_nothing_to_measure_gives_no_value(random_scene):
    images, detections = random_scene(2)
    empty = [dataclasses.replace(image, truths=()) for image in images]
    assert froc_statistic(empty, detections, "mass") is None
    assert froc_statistic([dataclasses.replace(i, exhaustive_for=frozenset()) for i in images], [], "mass") is None
    for statistic, n in (ece_statistic(images, {}, None), absent_error_statistic(images, {})):
        assert (value_of(statistic, images), n) == (None, 0)


def test_a_difference_is_taken_resample_by_resample(random_scene):
    images, _ = random_scene(4)
    one, other = (ece_statistic(images, asked(images, seed), None)[0] for seed in (1, 2))
    weights = np.random.default_rng(0).integers(0, 3, (5, len(patients_of(images)))).astype(float)
    np.testing.assert_array_equal(difference(one, other)(weights), other(weights) - one(weights))
