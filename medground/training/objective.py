"""From a batch to losses: what each part of the network is taught.

Every loss comes as a sum and a count. Both are added over processes before one is divided by the other, so that two
processes with half a batch each learn what one learns from the whole.

Legend: B images, C trained concepts (each with one phrase this step), A locations, N pairs, Q queries, G boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from monai.data.box_utils import box_iou
from torch import Tensor
from torch.nn import functional as F

from medground.model.assigner import Assignment, assign
from medground.model.backbones.interface import Pyramid
from medground.model.decoder import Refined
from medground.model.dense_head import Dense
from medground.model.losses import (
    distribution_focal_loss,
    giou_loss,
    soft_bce_loss,
    varifocal_loss,
)
from medground.model.matcher import match
from medground.model.network import GroundingNetwork
from medground.schema.config import StrictConfig
from medground.training.batch import Batch


class LossWeights(StrictConfig):
    """Weights of the losses by name."""

    score: float = 1.0
    giou: float = 2.5
    distribution: float = 0.5
    presence: float = 0.3
    kind: float = 0.2
    query_score: float = 1.0
    query_giou: float = 2.0
    query_l1: float = 5.0
    denoising_giou: float = 2.0
    denoising_l1: float = 5.0
    words: float = 1.0
    restoration: float = 1.0


Terms = dict[str, tuple[Tensor, Tensor]]
"""Name of a loss to its sum, with a graph, and its count, at least 0."""
DENSE_LOSSES = ("score", "giou", "distribution", "presence", "kind")
QUERY_LOSSES = ("query_score", "query_giou", "query_l1")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Image-phrase pairs put to the decoder: `image_N`, `phrase_N`."""

    image_N: Tensor
    phrase_N: Tensor


def dense_losses(
    network: GroundingNetwork, batch: Batch, pyramid: Pyramid, dense: Dense, text_CD: Tensor
) -> tuple[Terms, list[Assignment]]:
    """Losses of the dense head, the presence head and the image kind, and which locations learned which boxes.

    A location off every box is judged only for concepts that the image was labelled exhaustively for.
    """
    target_BAC = torch.zeros_like(dense.logits_BAP)
    weight_BAC = batch.exhaustive_BC[:, None, :].float().expand_as(target_BAC).clone()
    boxes_N4, truth_N4, weight_N, side_N4K, distance_N4, learned = [], [], [], [], [], []
    scores_BAP, detached_BA4 = dense.logits_BAP.detach().sigmoid(), dense.boxes_BA4.detach()
    for image, (truth_G4, concept_G) in enumerate(zip(batch.boxes, batch.concepts, strict=True)):
        found = assign(scores_BAP[image], detached_BA4[image], dense.centres_A2, dense.strides_A, truth_G4, concept_G)
        learned.append(found)
        where, which = found.locations_N, found.boxes_N
        target_BAC[image, where, concept_G[which]] = found.quality_N
        weight_BAC[image, where, concept_G[which]] = 1.0
        boxes_N4.append(dense.boxes_BA4[image, where])
        truth_N4.append(truth_G4[which])
        weight_N.append(found.quality_N)
        side_N4K.append(dense.distances_BA4K[image, where])
        centre_N2, stride_N1 = dense.centres_A2[where], dense.strides_A[where, None]
        reach = torch.cat([centre_N2 - truth_G4[which, :2], truth_G4[which, 2:] - centre_N2], 1)
        distance_N4.append(reach / stride_N1)
    weights = torch.cat(weight_N)
    total = weights.sum()
    present_BC = batch.present_BC()
    judged_BC = (batch.exhaustive_BC | present_BC).float()
    presence_BC = network.presence(pyramid.image_BC, text_CD, dense.logits_BAP.amax(1))
    kinds = torch.tensor(float(len(batch.domain_B)))
    terms = {
        "score": (soft_bce_loss(dense.logits_BAP, target_BAC, weight_BAC), total),
        "giou": (giou_loss(torch.cat(boxes_N4), torch.cat(truth_N4), weights), total),
        "distribution": (distribution_focal_loss(torch.cat(side_N4K), torch.cat(distance_N4), weights), total),
        "presence": (soft_bce_loss(presence_BC, present_BC.float(), judged_BC), judged_BC.sum()),
        "kind": (F.cross_entropy(network.kind(pyramid.image_BC), batch.domain_B, reduction="sum"), kinds),
    }
    return terms, learned


def choose_pairs(batch: Batch, per_image: int, seeds: Sequence[int]) -> Pairs:
    """For each image, concepts that are there and concepts known to be absent, in turn, `per_image` in all.

    Args:
        batch: of images.
        per_image: most pairs of an image.
        seeds: one for each image, so that its pairs do not depend on its neighbours.
    """
    present_BC = batch.present_BC()
    absent_BC = batch.exhaustive_BC & ~present_BC
    images, phrases = [], []
    for image, seed in enumerate(seeds):
        generator = torch.Generator("cpu").manual_seed(seed)
        options = [
            mask.nonzero().squeeze(1)[torch.randperm(int(mask.sum()), generator=generator, device="cpu")].tolist()
            for mask in (present_BC[image], absent_BC[image])
        ]
        turn = [concept for pair in zip(options[0], options[1], strict=False) for concept in pair]
        rest = [*options[0][len(options[1]) :], *options[1][len(options[0]) :]]
        for concept in [*turn, *rest][:per_image]:
            images.append(image)
            phrases.append(concept)
    return Pairs(torch.tensor(images, dtype=torch.int64), torch.tensor(phrases, dtype=torch.int64))


def query_losses(layers: list[Refined], batch: Batch, pairs: Pairs, size_px: float) -> Terms:
    """Set losses of every decoder layer: one query per box, all others "no object".

    On an image that is not exhaustive for the phrase, queries off every box are not judged.
    """
    score = giou = l1 = layers[0].logits_NQ.sum() * 0.0
    boxes = 0
    for pair, (image, phrase) in enumerate(zip(pairs.image_N.tolist(), pairs.phrase_N.tolist(), strict=True)):
        truth_G4 = batch.boxes[image][batch.concepts[image] == phrase]
        exhaustive = float(batch.exhaustive_BC[image, phrase])
        boxes += len(truth_G4)
        for layer in layers:
            logits_Q, boxes_Q4 = layer.logits_NQ[pair], layer.boxes_NQ4[pair]
            query, which = match(logits_Q.detach().sigmoid(), boxes_Q4.detach(), truth_G4, size_px)
            target_Q, weight_Q = torch.zeros_like(logits_Q), torch.full_like(logits_Q, exhaustive)
            if len(query):
                overlap = box_iou(boxes_Q4[query].detach(), truth_G4[which]).diagonal().clamp(0.05)
                target_Q[query], weight_Q[query] = overlap, 1.0
                ones = torch.ones(len(query))
                giou = giou + giou_loss(boxes_Q4[query], truth_G4[which], ones)
                l1 = l1 + (boxes_Q4[query] - truth_G4[which]).abs().sum() / size_px
            score = score + varifocal_loss(logits_Q, target_Q, weight_Q)
    total = torch.tensor(float(boxes * len(layers)))
    return {name: (value, total) for name, value in zip(QUERY_LOSSES, (score, giou, l1), strict=True)}


def word_loss(network: GroundingNetwork, batch: Batch, pyramid: Pyramid) -> Terms:
    """Teacher-forced loss of the describer over boxes whose appearance is known."""
    boxes, image, words = [], [], []
    for index, (truth_G4, appearance_G) in enumerate(zip(batch.boxes, batch.appearance, strict=True)):
        for row, said in enumerate(appearance_G):
            if said:
                boxes.append(truth_G4[row])
                image.append(index)
                words.append(said)
    if not words:
        return {"words": (pyramid.image_BC.sum() * 0.0, torch.zeros(()))}
    regions = network.to_describe(pyramid, torch.stack(boxes), torch.tensor(image))
    return {"words": network.backbone.description_loss(regions, words)}


def means(terms: Terms, total: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Each sum over its count in all processes, a count below 1 taken as 1; sums over processes are the batch's losses.

    Args:
        terms: sums and counts of this process.
        total: adds a tensor over processes.
    """
    counts = total(torch.stack([count for _, count in terms.values()])).clamp(min=1.0)
    return {name: value / count for (name, (value, _)), count in zip(terms.items(), counts, strict=True)}


def weighted(losses: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """The sum of losses, each times its weight."""
    table = weights.model_dump()
    return torch.stack([value * table[name] for name, value in losses.items()]).sum()
