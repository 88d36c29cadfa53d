"""A plain dense convolutional detector: what our compact model is without text, prototypes, mining and queries.

The pyramid is the compact model's own, with full convolutions where that has separable ones, so that both have about
the same number of parameters in what finds boxes.

Legend: B images, A locations of all levels, C concepts, G boxes of one image, N assigned locations, K distance bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.peers.peer import Found, Peer, Size
from medground.imaging.boxes import nms
from medground.model.assigner import assign
from medground.model.backbones.compact import CompactPyramid
from medground.model.config import CompactConfig
from medground.model.dense_head import boxes_from_distances, locations
from medground.model.layers import convolution
from medground.model.losses import distribution_focal_loss, giou_loss, soft_bce_loss
from medground.training.batch import Batch

BINS = 16
PRIOR = 0.01  # of a location holding a concept (RetinaNet, Lin et al., 2017, section 4.1)
GIOU, DISTRIBUTION = 2.5, 0.5  # weights of the losses beside the score's 1, as our recipe has them
PRE_NMS, NMS_IOU, KEPT = 300, 0.5, 100  # of each concept


@dataclass(frozen=True, slots=True)
class Everywhere:
    """What the detector says at every location.

    Attributes:
        logits_BAC: score of each concept before the sigmoid.
        distances_BA4K: logits of the distance distribution of each box side, in strides.
        boxes_BA4: xyxy pixels of the model frame.
        centres_A2: x, y of the locations, pixels of the model frame.
        strides_A: stride of the level of each location, pixels.
    """

    logits_BAC: Tensor
    distances_BA4K: Tensor
    boxes_BA4: Tensor
    centres_A2: Tensor
    strides_A: Tensor


class DenseDetector(Peer):
    """Pyramid, two branches of three convolutions shared by all levels, a sigmoid for each concept.

    Targets are assigned as ours are (task-aligned: TOOD, Feng et al., 2021), box sides are distributions (Generalized
    Focal Loss, Li et al., 2020), doubles are dropped by non-maximum suppression within a concept.
    """

    def __init__(self, concepts: int, backbone: CompactConfig) -> None:
        super().__init__()
        width, act = backbone.pyramid_width, backbone.activation
        self.pyramid = CompactPyramid(backbone)
        self.score = nn.Sequential(*(convolution(width, width, activation=act) for _ in range(3)))
        self.box = nn.Sequential(*(convolution(width, width, activation=act) for _ in range(3)))
        self.concept, self.side = nn.Conv2d(width, concepts, 1), nn.Conv2d(width, 4 * BINS, 1)
        if self.concept.bias is not None:
            nn.init.constant_(self.concept.bias, -math.log(1 / PRIOR - 1))

    def forward(self, images_BCHW: Tensor) -> Everywhere:
        """Scores and boxes at every location; sides must be multiples of 32 pixels."""
        pyramid = self.pyramid(images_BCHW)
        levels = pyramid.levels_BCHW
        logits_BAC = torch.cat([self.concept(self.score(level)).flatten(2) for level in levels], 2).transpose(1, 2)
        sides = torch.cat([self.side(self.box(level)).flatten(2) for level in levels], 2).transpose(1, 2)
        distances_BA4K = torch.unflatten(sides, 2, (4, BINS))
        sizes = [(level.shape[2], level.shape[3]) for level in levels]
        centres_A2, strides_A = (part.to(sides.device) for part in locations(sizes, pyramid.strides_px))
        boxes_BA4 = boxes_from_distances(distances_BA4K, centres_A2, strides_A)
        return Everywhere(logits_BAC, distances_BA4K, boxes_BA4, centres_A2, strides_A)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Score, GIoU and distribution losses.

        As ours, a location off every box is judged only for concepts that the image was labelled exhaustively for.
        """
        seen: Everywhere = self(batch.images_BCHW)
        scores_BAC, boxes_BA4 = seen.logits_BAC.detach().sigmoid(), seen.boxes_BA4.detach()
        target_BAC = torch.zeros_like(seen.logits_BAC)
        judged_BAC = batch.exhaustive_BC[:, None, :].float().expand_as(target_BAC).clone()
        boxes_N4, sides_N4K, truth_N4, reach_N4, quality_N = [], [], [], [], []
        for image, (truth_G4, concept_G) in enumerate(zip(batch.boxes, batch.concepts, strict=True)):
            found = assign(scores_BAC[image], boxes_BA4[image], seen.centres_A2, seen.strides_A, truth_G4, concept_G)
            where, which = found.locations_N, found.boxes_N
            target_BAC[image, where, concept_G[which]] = found.quality_N
            judged_BAC[image, where, concept_G[which]] = 1.0
            boxes_N4.append(seen.boxes_BA4[image, where])
            sides_N4K.append(seen.distances_BA4K[image, where])
            truth_N4.append(truth_G4[which])
            centre_N2 = seen.centres_A2[where]
            reach_px_N4 = torch.cat([centre_N2 - truth_G4[which, :2], truth_G4[which, 2:] - centre_N2], 1)
            reach_N4.append(reach_px_N4 / seen.strides_A[where, None])
            quality_N.append(found.quality_N)
        weights_N = torch.cat(quality_N)
        total = weights_N.sum().clamp(min=1.0)
        giou = giou_loss(torch.cat(boxes_N4), torch.cat(truth_N4), weights_N)
        distribution = distribution_focal_loss(torch.cat(sides_N4K), torch.cat(reach_N4), weights_N)
        return {
            "score": soft_bce_loss(seen.logits_BAC, target_BAC, judged_BAC) / total,
            "giou": GIOU * giou / total,
            "distribution": DISTRIBUTION * distribution / total,
        }

    def detect(self, images_BCHW: Tensor) -> list[Found]:
        """At most `KEPT` boxes of each concept on each image."""
        seen: Everywhere = self(images_BCHW)
        return [
            thinned(logits_AC.sigmoid(), boxes_A4)
            for logits_AC, boxes_A4 in zip(seen.logits_BAC, seen.boxes_BA4, strict=True)
        ]


def thinned(scores_AC: Tensor, boxes_A4: Tensor) -> Found:
    """Non-maximum suppression within each concept."""
    boxes, scores, concepts = [], [], []
    for concept, score_A in enumerate(scores_AC.unbind(1)):
        top_score, top = score_A.topk(min(PRE_NMS, len(score_A)))
        kept = nms(boxes_A4[top], top_score, NMS_IOU, KEPT)
        boxes.append(boxes_A4[top[kept]])
        scores.append(top_score[kept])
        concepts.append(torch.full_like(kept, concept))
    return Found(torch.cat(boxes), torch.cat(scores), torch.cat(concepts))


def conv(concepts: int, size: Size) -> DenseDetector:
    """The detector at the size of our compact model, or tiny."""
    backbone = CompactConfig(separable=False)
    if size is Size.TINY:
        backbone = CompactConfig(channels=(16, 16, 24, 32), blocks=(1, 1, 1, 1), pyramid_width=24, separable=False)
    return DenseDetector(concepts, backbone)
