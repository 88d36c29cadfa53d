"""FROC: how many lesions are found at a given number of false boxes an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from medground.evaluation.detection import Detection, ImageTruth, match
from medground.schema.config import StrictConfig

FP_PER_IMAGE = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)


class FrocPoint(StrictConfig):
    """The best sensitivity within an allowance of false positives.

    Attributes:
        fp_per_image: the allowance.
        sensitivity: share of truths found, 0..1.
        threshold: the score from which boxes are kept; None where even the best-scoring boxes exceed the allowance.
    """

    fp_per_image: float
    sensitivity: float = Field(ge=0, le=1)
    threshold: float | None


class Froc(StrictConfig):
    """FROC of one concept; `mean_sensitivity` averages the points (the LUNA16 score)."""

    points: tuple[FrocPoint, ...]
    mean_sensitivity: float
    n_exhaustive_images: int
    n_boxes: int


def froc(
    images: Sequence[ImageTruth],
    detections: Sequence[Detection],
    concept: str,
    *,
    iou: float = 0.5,
    fp_per_image: Sequence[float] = FP_PER_IMAGE,
) -> Froc | None:
    """Sensitivity at given numbers of false positives an image.

    False positives are counted on exhaustively labelled images, the only ones where they can be known; sensitivity is
    over all truths. Boxes of equal score are kept or dropped together, and nothing is interpolated.

    Args:
        images: the labelled images.
        detections: a system's boxes, in any order.
        concept: vocabulary key.
        iou: least overlap of a true positive, 0..1.
        fp_per_image: allowances.

    Returns:
        The curve, or None where there is no truth or no exhaustively labelled image.

    Source: Setio et al., LUNA16, Medical Image Analysis 42 (2017), section 3.3.
    """
    matches = match(images, detections, concept, iou=iou)
    n_boxes = int(matches.truths_P.sum())
    if not (n_boxes and matches.n_exhaustive and fp_per_image):
        return None
    true_D = np.cumsum(matches.hit_D)
    false_D = np.cumsum(~matches.hit_D & matches.exhaustive_D)
    # A threshold can only lie after the last of equal scores.
    ends = np.flatnonzero(np.diff(matches.score_D, append=-np.inf))
    points = []
    for allowance in fp_per_image:
        allowed = ends[false_D[ends] / matches.n_exhaustive <= allowance]
        last = int(allowed[-1]) if len(allowed) else None
        points.append(
            FrocPoint(
                fp_per_image=allowance,
                sensitivity=0.0 if last is None else float(true_D[last]) / n_boxes,
                threshold=None if last is None else float(matches.score_D[last]),
            )
        )
    return Froc(
        points=tuple(points),
        mean_sensitivity=sum(point.sensitivity for point in points) / len(points),
        n_exhaustive_images=matches.n_exhaustive,
        n_boxes=n_boxes,
    )
