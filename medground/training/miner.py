"""Online mining: which samples the model just got wrong, and how, so that they are shown again.

Legend: B images, C concepts, A locations, K boxes kept, G ground-truth boxes.
Source: Shrivastava et al., Training Region-based Object Detectors with Online Hard Example Mining, CVPR 2016, kept here
to images that can prove the mistake.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from monai.data.box_utils import box_iou
from torch import Tensor

from medground.data.midline import carried
from medground.imaging.boxes import nms
from medground.model.dense_head import Dense
from medground.schema.config import StrictConfig
from medground.training.batch import Batch

_PRE_NMS = 100
_NMS_IOU = 0.6
LEAST_POOL = 8  # samples that the replay pool holds before it is drawn from


class Mistake(StrEnum):
    """What kind of mistake a box is.

    `NEAR_MISS`: the best box on a lesion overlaps it by 0.3 to 0.5. `CONFIDENT`: a scored box on nothing, where the
    image is labelled exhaustively. `CONFUSED`: such a box on a lesion of a concept that looks alike. `MIRRORED`: such a
    box where the lesion lies on the other side of the chest, mirrored about the middle of the film.
    """

    NEAR_MISS = "near_miss"
    CONFIDENT = "confident"
    CONFUSED = "confused"
    MIRRORED = "mirrored"


class MinerConfig(StrictConfig):
    """What counts as a mistake, and how mistakes are replayed.

    Attributes:
        min_score: a box below it is no answer, hence no mistake.
        near: overlap from which a box belongs to a lesion.
        hit: overlap from which it finds the lesion.
        boxes: most boxes looked at for each image and concept.
        capacity: most samples in the pool.
        every: each so many steps one is made of mined samples; 0 mines nothing.
        batch: mined samples in such a step, at most: the pool may hold fewer.
    """

    min_score: float = 0.15
    near: float = 0.3
    hit: float = 0.5
    boxes: int = 10
    capacity: int = 512
    every: int = 0
    batch: int = 32

    @property
    def least(self) -> int:
        """Mined samples in the smallest batch: below that, the pool is not drawn from."""
        return min(self.batch, LEAST_POOL)


@dataclass(frozen=True, slots=True)
class Hard:
    """A mistake on one sample: the sample's number, the kind, the concept's column, and the score of the box."""

    sample: int
    kind: Mistake
    concept: int
    score: float

    def told(self) -> list[Any]:
        """As JSON holds it."""
        return [self.sample, self.kind.value, self.concept, self.score]

    @classmethod
    def of(cls, told: Sequence[Any]) -> Hard:
        """The inverse of `told`."""
        sample, kind, concept, score = told
        return cls(int(sample), Mistake(kind), int(concept), float(score))


def mine(
    dense: Dense,
    batch: Batch,
    numbers: Sequence[int],
    confusable: Mapping[int, frozenset[int]],
    config: MinerConfig,
    *,
    mirrored_domains: frozenset[int] = frozenset(),
) -> list[Hard]:
    """Compare the dense boxes of a batch with its truth.

    Args:
        dense: what the head said; nothing of it is changed, and no gradient is used.
        batch: with its truth.
        numbers: of the samples of the batch.
        confusable: column of a concept to the columns of those that look alike.
        config: what counts.
        mirrored_domains: kinds of image (index in `DOMAINS`) whose halves mirror each other.

    Returns:
        The mistakes, at most one of each kind for an image and concept.
    """
    found: list[Hard] = []
    with torch.no_grad():
        scores_BAC = dense.logits_BAP.sigmoid()
        for image, number in enumerate(numbers):
            truth_G4, concept_G = batch.boxes[image], batch.concepts[image]
            opposite_23 = _opposite(batch, image, mirrored_domains)
            for concept in range(scores_BAC.shape[2]):
                boxes_K4, score_K = _best(dense.boxes_BA4[image], scores_BAC[image, :, concept], config)
                if not len(score_K):
                    continue
                own_G4 = truth_G4[concept_G == concept]
                alike = torch.tensor([int(c) in confusable.get(concept, ()) for c in concept_G], dtype=torch.bool)
                mistakes = _near_misses(boxes_K4, score_K, own_G4, config)
                if bool(batch.exhaustive_BC[image, concept]):
                    mistakes |= _false_boxes(boxes_K4, score_K, own_G4, truth_G4[alike], opposite_23, config)
                found += [Hard(number, kind, concept, score) for kind, score in mistakes.items()]
    return found


def _opposite(batch: Batch, image: int, mirrored_domains: frozenset[int]) -> Tensor | None:
    """The map of an image to its other side, if it has one."""
    opposite_23 = batch.opposite_B23[image]
    two_sided = int(batch.domain_B[image]) in mirrored_domains and not bool(opposite_23.isnan().any())
    return opposite_23 if two_sided else None


def _best(boxes_A4: Tensor, score_A: Tensor, config: MinerConfig) -> tuple[Tensor, Tensor]:
    """The best boxes of one concept without their duplicates, best first."""
    top = score_A.topk(min(_PRE_NMS, len(score_A)))
    chosen = top.indices[top.values >= config.min_score]
    kept = chosen[nms(boxes_A4[chosen], score_A[chosen], _NMS_IOU, config.boxes)] if len(chosen) else chosen
    return boxes_A4[kept], score_A[kept]


def _overlap(boxes_K4: Tensor, truth_G4: Tensor) -> Tensor:
    """(K, G) IoU; (K, 0) where there is no truth."""
    if not len(truth_G4):
        return boxes_K4.new_zeros((len(boxes_K4), 0))
    overlap_KG: Tensor = torch.as_tensor(box_iou(boxes_K4, truth_G4))
    return overlap_KG


def _near_misses(boxes_K4: Tensor, score_K: Tensor, own_G4: Tensor, config: MinerConfig) -> dict[Mistake, float]:
    overlap_KG = _overlap(boxes_K4, own_G4)
    missed = []
    for lesion in range(overlap_KG.shape[1]):
        touching = (overlap_KG[:, lesion] >= config.near).nonzero().squeeze(1)
        if len(touching) and float(overlap_KG[touching[0], lesion]) < config.hit:  # boxes come best first
            missed.append(float(score_K[touching[0]]))
    return {Mistake.NEAR_MISS: max(missed)} if missed else {}


def _false_boxes(
    boxes_K4: Tensor,
    score_K: Tensor,
    own_G4: Tensor,
    alike_G4: Tensor,
    opposite_23: Tensor | None,
    config: MinerConfig,
) -> dict[Mistake, float]:
    """Boxes on no lesion of the concept, by what they are on instead."""
    off_K = (_overlap(boxes_K4, own_G4) >= config.near).sum(1) == 0
    mirrored_K = torch.zeros_like(off_K)
    if opposite_23 is not None and len(own_G4):
        mirrored_K = (_overlap(carried(boxes_K4, opposite_23), own_G4) >= config.near).any(1)
    mistakes: dict[Mistake, float] = {}
    for index in off_K.nonzero().squeeze(1).tolist():
        box_14 = boxes_K4[index : index + 1]
        kind = Mistake.CONFIDENT
        if bool((_overlap(box_14, alike_G4) >= config.hit).any()):
            kind = Mistake.CONFUSED
        elif bool(mirrored_K[index]):
            kind = Mistake.MIRRORED
        mistakes.setdefault(kind, float(score_K[index]))
    return mistakes


class ReplayPool:
    """Samples that were got wrong, worst first; what is got right again leaves.

    Args:
        capacity: most samples held.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._severity: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._severity)

    def update(self, numbers: Sequence[int], mistakes: Sequence[Hard]) -> None:
        """Take in how a batch went.

        Args:
            numbers: of its samples.
            mistakes: made on them; a sample without any leaves the pool.
        """
        worst: dict[int, float] = {}
        for mistake in mistakes:
            worst[mistake.sample] = max(worst.get(mistake.sample, 0.0), mistake.score)
        for number in numbers:
            self._severity.pop(number, None)
        self._severity |= worst
        if len(self._severity) > self.capacity:
            ranked = sorted(self._severity.items(), key=lambda item: (-item[1], item[0]))
            self._severity = dict(ranked[: self.capacity])

    def draw(self, count: int, rng: np.random.Generator) -> list[int]:
        """Draw different samples, the worse the likelier; fewer where the pool holds fewer."""
        numbers = sorted(self._severity)
        if not numbers:
            return []
        odds = np.array([self._severity[number] for number in numbers])
        chosen = rng.choice(numbers, min(count, len(numbers)), replace=False, p=odds / odds.sum())
        return [int(number) for number in chosen]

    def state(self) -> str:
        """Everything, as text for a checkpoint."""
        return json.dumps(sorted(self._severity.items()))

    def restore(self, state: str) -> None:
        """The inverse of `state`."""
        self._severity = {int(number): float(severity) for number, severity in json.loads(state)}


def counts(mistakes: Sequence[Hard]) -> dict[str, int]:
    """How many mistakes of each kind, for the log."""
    tally = Counter(mistake.kind for mistake in mistakes)
    return {f"mined/{kind.value}": tally[kind] for kind in Mistake}
