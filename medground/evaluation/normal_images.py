"""False boxes on images without the finding: what a reader has to wave away where there is nothing.

Shape suffixes: D detections, best score first; N resamples; P patients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medground.evaluation.detection import Detection, Floats, ImageTruth, Statistic, match, patients_of

FOUND = 0.5  # share of the findings that are found at the score where false boxes are counted


def false_boxes_statistic(
    images: Sequence[ImageTruth], detections: Sequence[Detection], concept: str, *, found: float = FOUND
) -> Statistic | None:
    """Mean number of boxes on an image without the finding, at the highest score where so many findings are found.

    Args:
        images: the labelled images.
        detections: a system's boxes, in any order and of any concept.
        concept: vocabulary key.
        found: share of the findings, 0..1, hit at an overlap of 0.5.

    Returns:
        The number as a function of patient weights, NaN where so many are never found or no image is normal; None
        where there is no truth, or no image that was labelled exhaustively and shows none.
    """
    matches = match(images, detections, concept)
    row = {patient: index for index, patient in enumerate(patients_of(images))}
    normal = {
        image.image_id: row[image.patient_id]
        for image in images
        if concept in image.exhaustive_for and not any(truth.concept == concept for truth in image.truths)
    }
    if not (normal and matches.truths_P.any()):
        return None
    normals_P = np.bincount(list(normal.values()), minlength=len(row)).astype(np.float64)
    false = sorted(
        ((d.score, normal[d.image_id]) for d in detections if d.concept == concept and d.image_id in normal),
        key=lambda pair: -pair[0],
    )
    falling_D = -np.array([score for score, _ in false])
    patient_D = np.array([patient for _, patient in false], dtype=np.int64)

    def one(weights_P: Floats) -> float:
        truths, normals = weights_P @ matches.truths_P, weights_P @ normals_P
        hits_D = np.cumsum(weights_P[matches.patient_D] * matches.hit_D)
        enough = np.flatnonzero(hits_D >= found * truths - 1e-9)
        if not (truths > 0 and normals > 0 and len(enough)):
            return float("nan")
        above = int(np.searchsorted(falling_D, -matches.score_D[enough[0]], side="right"))
        return float(weights_P[patient_D[:above]].sum() / normals)

    return lambda weights_NP: np.array([one(weights_P) for weights_P in weights_NP])
