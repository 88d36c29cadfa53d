"""Figures as functions of patient weights, so that each can be bootstrapped by patient and compared pairwise.

Shape suffixes: D detections, best score first; N resamples; P patients; Q questions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from medground.evaluation.detection import Detection, Floats, ImageTruth, Statistic, match, patients_of
from medground.evaluation.froc import FP_PER_IMAGE
from medground.evaluation.verdicts import Asked
from medground.schema.result import Verdict

RESAMPLES_AT_ONCE = 64  # times the detections of a concept: tens of MiB


def froc_statistic(images: Sequence[ImageTruth], detections: Sequence[Detection], concept: str) -> Statistic | None:
    """Mean sensitivity of `medground.evaluation.froc`, None where there is no truth or no exhaustive image.

    NaN in a resample without a truth or an exhaustive image.
    """
    matches = match(images, detections, concept)
    row = {patient: index for index, patient in enumerate(patients_of(images))}
    exhaustive_P = np.zeros(len(row))
    for image in images:
        exhaustive_P[row[image.patient_id]] += concept in image.exhaustive_for
    if not (matches.truths_P.any() and exhaustive_P.any()):
        return None
    ends = np.flatnonzero(np.diff(matches.score_D, append=-np.inf))

    def some(weights_NP: Floats) -> Floats:
        each_ND = weights_NP[:, matches.patient_D]
        true_ND = np.cumsum(each_ND * matches.hit_D, axis=1)[:, ends]
        false_ND = np.cumsum(each_ND * (~matches.hit_D & matches.exhaustive_D), axis=1)[:, ends]
        truths_N, films_N = weights_NP @ matches.truths_P, weights_NP @ exhaustive_P
        found = [
            np.where(false_ND <= allowed * films_N[:, None], true_ND, 0.0).max(axis=1, initial=0.0)
            for allowed in FP_PER_IMAGE
        ]
        defined_N = (truths_N > 0) & (films_N > 0)
        return np.where(defined_N, np.mean(found, axis=0) / np.maximum(truths_N, 1e-300), np.nan)

    return _in_parts(some)


def ece_statistic(
    images: Sequence[ImageTruth], questions: Mapping[str, Sequence[Asked]], concept: str | None, *, bins: int = 10
) -> tuple[Statistic, int]:
    """Expected calibration error of `medground.evaluation.calibration`, and the number of questions with a probability.

    Args:
        images: the labelled images.
        questions: by image.
        concept: of which to take the questions; None takes all.
        bins: of equal width.
    """
    patient_Q, asked = _by_patient(images, questions, concept)
    rated = [(p, q.presence, q.present) for p, q in zip(patient_Q, asked, strict=True) if q.presence is not None]
    patients = len(patients_of(images))
    count_P, gap_PB = np.zeros(patients), np.zeros((patients, bins))
    edges = np.linspace(0, 1, bins + 1)
    # Gaps are whole numbers of a small unit, so that their sums are exact in whatever order a processor takes them.
    most = max(1, patients * max(Counter(patient for patient, _, _ in rated).values(), default=1))
    unit = 2.0 ** (math.ceil(math.log2(most)) - 52)
    for patient, presence, present in rated:
        index = min(max(int(np.searchsorted(edges, presence, side="right")) - 1, 0), bins - 1)
        count_P[patient] += 1
        gap_PB[patient, index] += round((presence - present) / unit)

    def statistic(weights_NP: Floats) -> Floats:
        count_N = weights_NP @ count_P
        total_N = np.abs(weights_NP @ gap_PB).sum(axis=1) * unit
        return np.where(count_N > 0, total_N / np.maximum(count_N, 1e-300), np.nan)

    return statistic, len(rated)


def auroc_statistic(
    images: Sequence[ImageTruth], questions: Mapping[str, Sequence[Asked]], concept: str | None
) -> tuple[Statistic, int]:
    """AUROC of the presence probability of `medground.evaluation.verdicts`, and the questions with a probability.

    NaN in a resample whose questions are all about findings that are there, or all about such that are not.

    Args:
        images: the labelled images.
        questions: by image.
        concept: of which to take the questions; None takes all.
    """
    patient_Q, asked = _by_patient(images, questions, concept)
    rated = [(p, q.presence, q.present) for p, q in zip(patient_Q, asked, strict=True) if q.presence is not None]
    levels, level_Q = np.unique([presence for _, presence, _ in rated], return_inverse=True)
    present_PL, absent_PL = (np.zeros((len(patients_of(images)), len(levels))) for _ in range(2))
    for (patient, _, present), level in zip(rated, level_Q, strict=True):
        (present_PL if present else absent_PL)[patient, level] += 1

    def some(weights_NP: Floats) -> Floats:
        present_NL, absent_NL = weights_NP @ present_PL, weights_NP @ absent_PL
        below_NL = np.cumsum(absent_NL, axis=1) - absent_NL / 2  # ties count half
        pairs_N = present_NL.sum(axis=1) * absent_NL.sum(axis=1)
        return np.where(pairs_N > 0, (present_NL * below_NL).sum(axis=1) / np.maximum(pairs_N, 1e-300), np.nan)

    return _in_parts(some), len(rated)


def absent_error_statistic(
    images: Sequence[ImageTruth], questions: Mapping[str, Sequence[Asked]]
) -> tuple[Statistic, int]:
    """Share of supported questions about absent findings that were answered `found`, and their number."""
    patient_Q, asked = _by_patient(images, questions, None)
    absent_P, wrong_P = np.zeros(len(patients_of(images))), np.zeros(len(patients_of(images)))
    for patient, question in zip(patient_Q, asked, strict=True):
        if not question.present and question.verdict != Verdict.UNSUPPORTED:
            absent_P[patient] += 1
            wrong_P[patient] += question.verdict == Verdict.FOUND

    def statistic(weights_NP: Floats) -> Floats:
        absent_N = weights_NP @ absent_P
        return np.where(absent_N > 0, weights_NP @ wrong_P / np.maximum(absent_N, 1e-300), np.nan)

    return statistic, int(absent_P.sum())


def difference(first: Statistic, other: Statistic) -> Statistic:
    """How much `other` lies above `first` on the same resamples."""
    return lambda weights_NP: other(weights_NP) - first(weights_NP)


def _in_parts(some: Statistic) -> Statistic:
    """The same statistic, computed for a few resamples at a time."""

    def statistic(weights_NP: Floats) -> Floats:
        starts = range(0, len(weights_NP), RESAMPLES_AT_ONCE)
        return np.concatenate([some(weights_NP[start : start + RESAMPLES_AT_ONCE]) for start in starts])

    return statistic


def _by_patient(
    images: Sequence[ImageTruth], questions: Mapping[str, Sequence[Asked]], concept: str | None
) -> tuple[list[int], list[Asked]]:
    row = {patient: index for index, patient in enumerate(patients_of(images))}
    pairs = [
        (row[image.patient_id], question)
        for image in images
        for question in questions.get(image.image_id, ())
        if concept in (None, question.concept)
    ]
    return [patient for patient, _ in pairs], [question for _, question in pairs]
