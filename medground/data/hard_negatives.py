"""Hard negatives: boxes near to an answer, or to its looks, that are none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from medground.data.pairs.facts import Facts
from medground.schema.box import Box
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

LEAST_IOU, MOST_IOU = 0.3, 0.6
FREE = 0.1
"""A background box shares no more than this with any region, of whatever kind: of the smaller of the two areas, so that
it neither lies in a large region nor holds a small one."""
_REACH = 1.5
_TRIES = 20


class NegativeKind(StrEnum):
    """Why a box is a hard negative."""

    OVERLAPPING = "overlapping"
    BACKGROUND = "background"
    CONFUSABLE = "confusable"


@dataclass(frozen=True, slots=True)
class HardNegative:
    """A box that does not answer.

    Attributes:
        kind: why it is hard.
        box: pixels of the image.
        concept: what it shows, or None for background.
        iou: with the target.
    """

    kind: NegativeKind
    box: Box
    concept: str | None
    iou: float


def hard_negatives(
    record: ImageRecord, index: int, rng: np.random.Generator, vocabulary: Vocabulary, *, background: int = 4
) -> tuple[HardNegative, ...]:
    """The hard negatives of one region.

    Regions of another class with an IoU of 0.3 to 0.6 with it; boxes of its size beside it that hold nothing; regions
    elsewhere of a class that it is taken for, or that is taken for it.

    Args:
        record: the image.
        index: of the region.
        rng: places the background boxes.
        vocabulary: has every concept of the record.
        background: at most so many background boxes.

    Returns:
        The negatives; none where the image is not labelled exhaustively for the region's concept, since then any box
        might show it, or where the region itself is doubtful.
    """
    target = record.regions[index]
    facts = Facts(record, vocabulary)
    if target.uncertain or not facts.is_exhaustive(target.concept):
        return ()
    alike = vocabulary[target.concept].confusable_with
    found: list[HardNegative] = []
    for region in record.regions:
        key = region.concept
        if region.uncertain or key in facts.narrower(target.concept) or target.concept in facts.narrower(key):
            continue
        iou = target.box.iou(region.box)
        if LEAST_IOU <= iou <= MOST_IOU:
            found.append(HardNegative(NegativeKind.OVERLAPPING, region.box, key, iou))
        elif iou < LEAST_IOU and (key in alike or target.concept in vocabulary[key].confusable_with):
            found.append(HardNegative(NegativeKind.CONFUSABLE, region.box, key, iou))
    return (*found, *_background(record, target.box, rng, background))


def _background(record: ImageRecord, target: Box, rng: np.random.Generator, count: int) -> list[HardNegative]:
    """Boxes about as large as the target whose middles lie within a box and a half of its own."""
    found: list[HardNegative] = []
    for _ in range(_TRIES if count else 0):
        width, height = (length * float(rng.uniform(0.7, 1.3)) for length in (target.width_px, target.height_px))
        x = target.centre_px[0] + target.width_px * float(rng.uniform(-_REACH, _REACH))
        y = target.centre_px[1] + target.height_px * float(rng.uniform(-_REACH, _REACH))
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if min(corners[:2]) < 0 or corners[2] > record.columns or corners[3] > record.rows:
            continue
        box = Box(x1=corners[0], y1=corners[1], x2=corners[2], y2=corners[3])
        taken = [*(region.box for region in record.regions), *(negative.box for negative in found)]
        if all(_shared(box, other) <= FREE for other in taken):
            found.append(HardNegative(NegativeKind.BACKGROUND, box, None, box.iou(target)))
            if len(found) == count:
                break
    return found


def _shared(one: Box, other: Box) -> float:
    """Common area as a share of the smaller box."""
    width = min(one.x2, other.x2) - max(one.x1, other.x1)
    height = min(one.y2, other.y2) - max(one.y1, other.y1)
    return max(0.0, width) * max(0.0, height) / min(one.area_px2, other.area_px2)
