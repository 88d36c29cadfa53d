"""The worst answers of a system: its surest false boxes and the largest lesions it missed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medground.evaluation.detection import Detection, ImageTruth
from medground.evaluation.overlap import BoxPx, assign, iou_matrix

TILES = 24
LEAST_IOU, BOXES = 0.5, 100  # as `medground.evaluation.detection.match`


@dataclass(frozen=True, slots=True)
class WorstCase:
    """One answer to look at.

    Attributes:
        kind: `false`: a box that takes no truth, on an image labelled exhaustively. `missed`: a truth that no box
            takes. `late`: the truth whose box has the lowest score, where none was missed.
        image_id, concept: of the answer.
        truths: every labelled box of the concept on the image; the one meant comes first, unless the case is `false`.
        predicted: the false box, or the box nearest to the truth; None where none touches it.
        score: of `predicted`.
        iou: of `predicted` with the truth meant; of a false box, with the truth nearest to it.
    """

    kind: Literal["false", "missed", "late"]
    image_id: str
    concept: str
    truths: tuple[BoxPx, ...]
    predicted: BoxPx | None
    score: float | None
    iou: float


def worst_cases(
    images: Sequence[ImageTruth], detections: Mapping[str, Sequence[Detection]], *, tiles: int = TILES
) -> list[WorstCase]:
    """Chooses what to look at first.

    Each concept in its turn gives its worst false box and its worst miss, then each its second, until the sheet is
    full; so a concept with many faults doesn't crowd out the others. False boxes are ranked by score, missed truths
    by the share of the image that they cover, or by area where the size of an image is not known.

    Args:
        images: the labelled images.
        detections: a system's boxes by concept, rarest concept first.
        tiles: how many cases at most.

    Returns:
        The cases by concept in the given order, false boxes before misses, worst first.
    """
    by_concept = {concept: _of_concept(images, boxes, concept) for concept, boxes in detections.items()}
    rounds = itertools.zip_longest(*(row for pair in by_concept.values() for row in pair))
    chosen = list(itertools.islice((case for each in rounds for case in each if case is not None), tiles))
    # Ranks within a row are kept, for the sort is stable.
    order = list(by_concept)
    return sorted(chosen, key=lambda case: (order.index(case.concept), case.kind != "false"))


def _of_concept(
    images: Sequence[ImageTruth], detections: Sequence[Detection], concept: str
) -> tuple[list[WorstCase], list[WorstCase]]:
    """False boxes, and missed truths or else the latest hit, each worst first."""
    by_image: dict[str, list[Detection]] = {image.image_id: [] for image in images}
    for detection in detections:
        by_image[detection.image_id].append(detection)
    cases = [case for image in images for case in _faults(image, by_image[image.image_id], concept)]
    shared = all(image.columns_rows_px for image in images)
    whole_px2 = {i.image_id: float(np.prod(i.columns_rows_px)) if shared and i.columns_rows_px else 1.0 for i in images}

    def extent(case: WorstCase) -> float:
        x1, y1, x2, y2 = case.truths[0]
        return (x2 - x1) * (y2 - y1) / whole_px2[case.image_id]

    false = [case for case in cases if case.kind == "false"]
    missed = [case for case in cases if case.kind == "missed"]
    late = [case for case in cases if case.kind == "late"]
    false.sort(key=lambda case: (-_score(case), case.image_id, case.predicted))
    missed.sort(key=lambda case: (-extent(case), case.image_id, case.truths[0]))
    late.sort(key=lambda case: (_score(case), case.image_id, case.truths[0]))
    return false, missed or late[:1]


def _score(case: WorstCase) -> float:
    return 0.0 if case.score is None else case.score


def _faults(image: ImageTruth, detections: Sequence[Detection], concept: str) -> Iterator[WorstCase]:
    """The boxes of one image that are false, and each of its truths as a miss or as a hit that may be late."""
    truths = [truth.box_xyxy_px for truth in image.truths if truth.concept == concept]
    found = sorted(detections, key=lambda detection: -detection.score)[:BOXES]
    boxes = [detection.box_xyxy_px for detection in found]
    iou_DG = iou_matrix(boxes, truths)
    taken_D = assign(iou_DG, LEAST_IOU, np.ones(len(truths), dtype=np.bool_))
    for d, box in enumerate(boxes):
        if taken_D[d] < 0 and concept in image.exhaustive_for:
            near = float(iou_DG[d].max(initial=0.0))
            yield WorstCase("false", image.image_id, concept, tuple(truths), box, found[d].score, near)
    for g, truth in enumerate(truths):
        meant_first = (truth, *truths[:g], *truths[g + 1 :])
        hits = np.flatnonzero(taken_D == g)
        if not iou_DG[:, g].any():
            yield WorstCase("missed", image.image_id, concept, meant_first, None, None, 0.0)
            continue
        # Of boxes equally near the first, which has the best score.
        d = int(hits[0] if len(hits) else iou_DG[:, g].argmax())
        kind: Literal["late", "missed"] = "late" if len(hits) else "missed"
        yield WorstCase(kind, image.image_id, concept, meant_first, boxes[d], found[d].score, float(iou_DG[d, g]))
