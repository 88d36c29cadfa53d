"""Average precision as COCO defines it, on images whose labels may be incomplete.

A label set is *exhaustive* for a concept when every region of it is drawn. On other images a box that overlaps no
truth may be right, so it is neither a true nor a false positive. A second box on a truth that is already taken is
a false positive everywhere. Where a size is asked for, what is of another size is ignored as COCO does it.

Shape suffixes: D detections, best score first; G truths of one image; K true positives; N resamples; P patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medground.evaluation.overlap import BoxPx, assign, iou_matrix
from medground.evaluation.size_range import SizeRange
from medground.schema.errors import UsageError

Floats = NDArray[np.float64]
# Weight of each patient in N resamples (N, P) to the N values of a statistic; NaN where it is undefined.
Statistic = Callable[[Floats], Floats]

COCO_IOUS = tuple(float(iou) for iou in np.linspace(0.5, 0.95, 10))
RECALLS = np.linspace(0.0, 1.0, 101)


def _check_box(box_xyxy_px: BoxPx) -> None:
    x1, y1, x2, y2 = box_xyxy_px
    if not (all(map(math.isfinite, box_xyxy_px)) and x1 < x2 and y1 < y2):
        raise UsageError(f"a box to score needs finite x1 < x2 and y1 < y2 in pixels, got {box_xyxy_px}")


@dataclass(frozen=True, slots=True)
class Detection:
    """A box that a system proposes; `score` is any finite number, higher is surer."""

    image_id: str
    concept: str
    box_xyxy_px: BoxPx
    score: float

    def __post_init__(self) -> None:
        """Refuses a box without area and a score that cannot be ranked."""
        _check_box(self.box_xyxy_px)
        if not math.isfinite(self.score):
            raise UsageError(f"a detection's score must be finite, got {self.score}")


@dataclass(frozen=True, slots=True)
class Truth:
    """A labelled box."""

    image_id: str
    concept: str
    box_xyxy_px: BoxPx

    def __post_init__(self) -> None:
        """Refuses a box without area."""
        _check_box(self.box_xyxy_px)


@dataclass(frozen=True, slots=True)
class ImageTruth:
    """Everything labelled on one image.

    Attributes:
        image_id: unique among the images scored together.
        patient_id: what resampling is made by.
        truths: labelled boxes of this image.
        exhaustive_for: concepts of which every region is labelled here.
        columns_rows_px: size of the stored image; None where unknown.
    """

    image_id: str
    patient_id: str
    truths: tuple[Truth, ...] = ()
    exhaustive_for: frozenset[str] = frozenset()
    columns_rows_px: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuses truths of another image, and an image without extent."""
        if self.columns_rows_px is not None and min(self.columns_rows_px) < 1:
            raise UsageError(f"image {self.image_id!r} needs columns and rows above 0, got {self.columns_rows_px}")
        for truth in self.truths:
            if truth.image_id != self.image_id:
                raise UsageError(f"image {self.image_id!r} was given a truth of image {truth.image_id!r}")

    def counts_for(self, concept: str) -> bool:
        """Whether the image says anything about `concept`: a box of it, or that there are no others."""
        return concept in self.exhaustive_for or any(truth.concept == concept for truth in self.truths)


@dataclass(frozen=True, slots=True)
class Matches:
    """Detections of one concept that count, best score first, and what became of them.

    Attributes:
        score_D: scores, falling.
        hit_D: True for a true positive, False for a false positive.
        patient_D: row of the patient in `patients_of(images)`.
        exhaustive_D: True where the image is exhaustively labelled for the concept.
        truths_P: number of truths of each patient.
        n_exhaustive: number of exhaustively labelled images.
    """

    score_D: Floats
    hit_D: NDArray[np.bool_]
    patient_D: NDArray[np.int64]
    exhaustive_D: NDArray[np.bool_]
    truths_P: Floats
    n_exhaustive: int


def patients_of(images: Iterable[ImageTruth]) -> tuple[str, ...]:
    """The patients of the images, sorted: the order of every P axis."""
    return tuple(sorted({image.patient_id for image in images}))


def match(
    images: Sequence[ImageTruth],
    detections: Iterable[Detection],
    concept: str,
    *,
    iou: float = 0.5,
    max_per_image: int = 100,
    size: SizeRange | None = None,
) -> Matches:
    """Gives each truth of one concept to the best-scoring detection that overlaps it enough.

    Of a size: truths of other sizes are not to be found, a detection that takes one is left out, and so is one of
    another size that takes none.

    Args:
        images: the labelled images; on those that say nothing about `concept` no detection counts.
        detections: a system's boxes, in any order and of any concept.
        concept: vocabulary key.
        iou: least overlap of a true positive, 0..1.
        max_per_image: boxes of the concept that count on one image, best first (COCO: 100).
        size: of the truths to be found; None takes all.

    Returns:
        The detections that count.

    Raises:
        UsageError: on a repeated image, or a detection on an image that is not among `images`.

    Source: the greedy matching of pycocotools, `COCOeval.evaluateImg`.
    """
    by_image: dict[str, list[Detection]] = {image.image_id: [] for image in images}
    if len(by_image) != len(images):
        raise UsageError(f"{len(images)} images carry only {len(by_image)} different ids; make image ids unique")
    for detection in detections:
        if detection.image_id not in by_image:
            raise UsageError(f"a detection names image {detection.image_id!r}, which is not among those scored")
        if detection.concept == concept:
            by_image[detection.image_id].append(detection)

    row = {patient: index for index, patient in enumerate(patients_of(images))}
    truths_P = np.zeros(len(row))
    counted: list[tuple[float, bool, int, bool]] = []
    for image in images:
        truths = [truth.box_xyxy_px for truth in image.truths if truth.concept == concept]
        found = sorted(by_image[image.image_id], key=lambda detection: -detection.score)[:max_per_image]
        boxes = [detection.box_xyxy_px for detection in found]
        sought_G, sized_D = (
            size.holds(some, image.columns_rows_px) if size else np.ones(len(some), dtype=np.bool_)
            for some in (truths, boxes)
        )
        truths_P[row[image.patient_id]] += sought_G.sum()
        exhaustive, least, iou_DG = concept in image.exhaustive_for, min(iou, 1 - 1e-10), iou_matrix(boxes, truths)
        for d, g in enumerate(assign(iou_DG, least, sought_G)):
            judged = sought_G[g] if g >= 0 else sized_D[d] and (exhaustive or (iou_DG[d] >= least).any())
            if judged:
                counted.append((found[d].score, bool(g >= 0), row[image.patient_id], exhaustive))
    counted.sort(key=lambda entry: -entry[0])  # stable, as COCO's merge sort: ties stay in image order
    score, hit, patient, exhaustive_at = zip(*counted, strict=True) if counted else ((), (), (), ())
    return Matches(
        score_D=np.array(score, dtype=np.float64),
        hit_D=np.array(hit, dtype=np.bool_),
        patient_D=np.array(patient, dtype=np.int64),
        exhaustive_D=np.array(exhaustive_at, dtype=np.bool_),
        truths_P=truths_P,
        n_exhaustive=sum(concept in image.exhaustive_for for image in images),
    )


def weighted_average_precision(matches: Matches, weights_NP: Floats) -> Floats:
    """COCO's 101-point average precision with each patient counted as often as its weight says.

    Precision need only be known where recall rises, at the true positives. The false positives before each of them
    are summed by patient once, so that a thousand resamples are one matrix product.

    Args:
        matches: from `match`.
        weights_NP: non-negative weights, one row for each resample; ones for the data as they are.

    Returns:
        N values, 0..1; NaN where the weighted data hold no truth.
    """
    truths_N = weights_NP @ matches.truths_P
    hits_K = np.flatnonzero(matches.hit_D)
    next_hit_D = np.cumsum(matches.hit_D)
    misses = ~matches.hit_D & (next_hit_D < len(hits_K))
    misses_PK = np.zeros((len(matches.truths_P), len(hits_K)))
    np.add.at(misses_PK, (matches.patient_D[misses], next_hit_D[misses]), 1)

    false_NK = np.cumsum(weights_NP @ misses_PK, axis=1)
    true_NK = np.cumsum(weights_NP[:, matches.patient_D[hits_K]], axis=1)
    precision_NK = true_NK / np.maximum(true_NK + false_NK, 1e-300)
    envelope_NK = np.maximum.accumulate(precision_NK[:, ::-1], axis=1)[:, ::-1]
    recall_NK = true_NK / np.maximum(truths_N, 1e-300)[:, None]
    # How many of the 101 recall levels are first reached at each true positive.
    levels_NK = np.diff(np.searchsorted(RECALLS, recall_NK, side="right"), axis=1, prepend=0)
    return np.where(truths_N > 0, (envelope_NK * levels_NK).sum(axis=1) / len(RECALLS), np.nan)


def average_precision_statistic(
    images: Sequence[ImageTruth],
    detections: Sequence[Detection],
    concept: str,
    *,
    ious: Sequence[float] = (0.5,),
    size: SizeRange | None = None,
) -> Statistic:
    """The average precision of one concept, averaged over overlaps, as a function of patient weights."""
    of_concept = [detection for detection in detections if detection.concept == concept]
    matches = [match(images, of_concept, concept, iou=iou, size=size) for iou in ious]
    return lambda weights_NP: np.mean([weighted_average_precision(m, weights_NP) for m in matches], axis=0)


def mean_statistic(statistics: Sequence[Statistic]) -> Statistic:
    """The mean of statistics over those that are defined, NaN where none is."""

    def mean(weights_NP: Floats) -> Floats:
        values = np.array([statistic(weights_NP) for statistic in statistics]).reshape(-1, len(weights_NP))
        defined_N = (~np.isnan(values)).sum(axis=0)
        return np.where(defined_N > 0, np.nansum(values, axis=0) / np.maximum(defined_N, 1), np.nan)

    return mean


def value_of(statistic: Statistic, images: Iterable[ImageTruth]) -> float | None:
    """The statistic on the data as they are, None where it is undefined."""
    value = float(statistic(np.ones((1, len(patients_of(images)))))[0])
    return None if math.isnan(value) else value


def average_precision(
    images: Sequence[ImageTruth],
    detections: Sequence[Detection],
    concept: str,
    *,
    iou: float | Sequence[float] = 0.5,
    size: SizeRange | None = None,
) -> float | None:
    """COCO average precision of one concept.

    Args:
        images: the labelled images.
        detections: a system's boxes, in any order.
        concept: vocabulary key.
        iou: least overlap, or several to average over (`COCO_IOUS` for AP@[.5:.95]).
        size: of the truths to be found; None takes all.

    Returns:
        0..1, or None where no image has a truth of the concept and size.

    Source: Lin et al., Microsoft COCO, 2014; pycocotools `COCOeval.accumulate`.
    """
    ious = (iou,) if isinstance(iou, float | int) else tuple(iou)
    return value_of(average_precision_statistic(images, detections, concept, ious=ious, size=size), images)


def ap_by_concept(
    images: Sequence[ImageTruth],
    detections: Sequence[Detection],
    concepts: Iterable[str],
    *,
    iou: float | Sequence[float] = 0.5,
) -> dict[str, float | None]:
    """Average precision of each concept; None where there is no truth of it."""
    return {concept: average_precision(images, detections, concept, iou=iou) for concept in concepts}


def mean_average_precision(by_concept: dict[str, float | None]) -> float | None:
    """Mean over the concepts that have a value, None where none has."""
    values = [value for value in by_concept.values() if value is not None]
    return sum(values) / len(values) if values else None
