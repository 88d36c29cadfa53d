"""How far a figure can be trusted: intervals by resampling patients, never boxes or images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import Field

from medground.evaluation.detection import ImageTruth, Statistic, patients_of, value_of
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError


class Interval(StrictConfig):
    """A figure, its interval, and how much data is behind it.

    Attributes:
        value: on the data as they are.
        low, high: limits of the percentile interval.
        n_images: images that say something about the concepts measured.
        n_boxes: labelled boxes of those concepts.
    """

    value: float
    low: float
    high: float
    n_images: int = Field(ge=0)
    n_boxes: int = Field(ge=0)


def bootstrap_by_patient(
    statistic: Statistic,
    images: Sequence[ImageTruth],
    concepts: Iterable[str],
    *,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval | None:
    """Percentile interval of a statistic over resamples of patients, drawn with replacement.

    The same images, `n` and `seed` give the same resamples for every statistic, so figures can be compared pairwise.
    Resamples in which the statistic is undefined (no truth was drawn) are left out.

    Args:
        statistic: value for each row of patient weights, whose columns follow `patients_of(images)`.
        images: the labelled images.
        concepts: what the statistic is about; they only settle `n_images` and `n_boxes`.
        n: number of resamples, at least 1.
        seed: of the resamples.
        level: share of resamples inside the interval, 0..1 exclusive.

    Returns:
        The interval, or None where the statistic is undefined on the data as they are.

    Raises:
        UsageError: when `n` or `level` is out of range, or `n` so small that no resample holds a truth.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    if n < 1 or not 0 < level < 1:
        raise UsageError(f"a bootstrap needs n >= 1 and 0 < level < 1, got n={n} and level={level}")
    value = value_of(statistic, images)
    if value is None:
        return None
    patients = len(patients_of(images))
    weights_NP = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=n)
    values = statistic(weights_NP.astype(np.float64))
    defined = values[~np.isnan(values)]
    tail = (1 - level) / 2
    if not len(defined):
        raise UsageError(f"the statistic is undefined in all of n={n} resamples; raise n")
    low, high = np.quantile(defined, [tail, 1 - tail])
    about = frozenset(concepts)
    return Interval(
        value=value,
        low=float(low),
        high=float(high),
        n_images=sum(any(image.counts_for(concept) for concept in about) for image in images),
        n_boxes=sum(truth.concept in about for image in images for truth in image.truths),
    )
