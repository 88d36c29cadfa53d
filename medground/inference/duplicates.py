"""Duplicates: which boxes of one answer are one lesion, by where they lie and by what they are called.

A reader thins the boxes of each phrase on each image alone. What is left to tell apart here is one lesion boxed twice
under one name, and one lesion read under two names; what merely lies close together stays apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

from medground.inference.sighting import Sighting
from medground.schema.result import BoxPx
from medground.schema.vocabulary import Vocabulary

# Above it a box counts as found (PASCAL VOC, and AP50 of every evaluation here), so two such boxes claim one truth.
SAME_NAME_IOU = 0.5
# A tight and a loose box of one lesion overlap less than that. A fifth may stick out: the edges of lesions are vague.
INSIDE_SHARE = 0.8
# A box much smaller than the one around it is a lesion of its own, e.g. one nodule of a cluster that was boxed whole.
SIMILAR_SIZE = 3.0
# Different findings often share a place, e.g. an effusion and the lung collapsed above it: another name needs more.
OTHER_NAME_IOU = 0.6

_Slice = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Survivor:
    """A sighting that stands for a lesion.

    Attributes:
        sighting: the one with the best score.
        also: other concepts the lesion was read as, each with its best score, best first.
    """

    sighting: Sighting
    also: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _Body:
    """The boxes of a sighting slice by slice, and their summed area.

    Slices of a series are equally thick, so that shares of areas are shares of volumes.
    """

    boxes: dict[_Slice, BoxPx]
    size_px2: float


def merge(sightings: Sequence[Sighting], vocabulary: Vocabulary) -> tuple[Survivor, ...]:
    """Joint suppression of duplicates by box and by meaning, greedily in the order of score.

    A sighting is compared with those that stand, not with those that fell: where A meets B and B meets C, C stands.

    Args:
        sightings: of one answer; each concept is one of the vocabulary.
        vocabulary: what is broader than what, and what looks alike.

    Returns:
        What stands, in the order given. Which do, does not depend on that order.
    """
    bodies = [_body(sighting) for sighting in sightings]
    alike = cache(partial(can_name_one_lesion, vocabulary=vocabulary))
    order = sorted(range(len(sightings)), key=lambda index: _rank(sightings[index]))
    also: dict[int, dict[str, float]] = {}  # of those that stand, best score first
    standing: dict[_Slice, list[int]] = {}
    for index in order:
        concept = sightings[index].concept
        nearby = {other for place in bodies[index].boxes for other in standing.get(place, ())}
        for other in (one for one in also if one in nearby):
            name = sightings[other].concept
            if _is_one(bodies[index], bodies[other], same_name=concept == name) and (
                concept == name or alike(concept, name)
            ):
                if concept != name:
                    also[other].setdefault(concept, sightings[index].score)
                break
        else:
            also[index] = {}
            for place in bodies[index].boxes:
                standing.setdefault(place, []).append(index)
    return tuple(Survivor(sightings[index], tuple(also[index].items())) for index in sorted(also))


def can_name_one_lesion(a: str, b: str, vocabulary: Vocabulary) -> bool:
    """Whether two findings can be names of one lesion.

    Args:
        a: vocabulary key.
        b: another.
        vocabulary: holds both.

    Returns:
        True where one is broader than the other, or either is listed as looking like the other; the likeness of two
        findings holds both ways, whichever of them lists it.
    """
    look_alike = b in vocabulary[a].confusable_with or a in vocabulary[b].confusable_with
    return look_alike or b in vocabulary.descendants(a) or a in vocabulary.descendants(b)


def _rank(sighting: Sighting) -> tuple[float, str, int, BoxPx, str]:
    view = sighting.view
    return (-sighting.score, view.key, view.frame, sighting.candidate.box_xyxy_px, sighting.concept)


def _body(sighting: Sighting) -> _Body:
    slices = sighting.extent.slices if sighting.extent else ()
    if slices and all(part.sop_instance_uid for part in slices):
        boxes = {(part.sop_instance_uid, part.frame): part.box_xyxy_px for part in slices}
    else:  # one image, or slices that no UID tells apart
        boxes = {(sighting.view.key, sighting.view.frame): sighting.candidate.box_xyxy_px}
    return _Body(boxes, sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes.values()))


def _is_one(a: _Body, b: _Body, *, same_name: bool) -> bool:
    """Whether two sightings lie where one lesion lies, as far as their boxes say."""
    shared = sum(_shared(box, b.boxes[place]) for place, box in a.boxes.items() if place in b.boxes)
    small, large = sorted((a.size_px2, b.size_px2))
    iou = shared / (small + large - shared)
    if not same_name:
        return iou >= OTHER_NAME_IOU
    return iou >= SAME_NAME_IOU or (shared / small >= INSIDE_SHARE and large < SIMILAR_SIZE * small)


def _shared(a: BoxPx, b: BoxPx) -> float:
    """Area that two boxes share, square pixels."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
