"""Denoising: the decoder is also shown true boxes, moved and stretched, and learns to put them right.

It need not find out which query is whose, so it learns from the first step on. Shown boxes and proposals do not see
each other. Source: DN-DETR, Li et al., CVPR 2022, section 4.2 (boxes only: what is asked for is in the question).

Legend: N image-phrase pairs, Q queries, X shown boxes (padded), G ground-truth boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medground.model.assigner import LARGEST
from medground.model.decoder import Refined
from medground.model.losses import giou_loss
from medground.model.network import Proposals

DENOISING_LOSSES = ("denoising_giou", "denoising_l1")
SHIFT, STRETCH = 0.4, 0.4  # most a centre moves, as a share of half the side, and most a side changes, as a share of it


@dataclass(frozen=True, slots=True)
class Shown:
    """True boxes with noise.

    Attributes:
        boxes_NX4: xyxy pixels; rows without a truth repeat a corner of the frame.
        truth_NX: index of the true box of the pair, -1 where there is none.
    """

    boxes_NX4: Tensor
    truth_NX: Tensor


def shown(truth: Sequence[Tensor], copies: int, seeds: Sequence[int]) -> Shown:
    """`copies` noised copies of each true box of each pair.

    Args:
        truth: true boxes (G, 4) of each pair, xyxy pixels; may be empty.
        copies: of each box.
        seeds: one for each pair.
    """
    longest = max((len(boxes) for boxes in truth), default=0) * copies
    device = truth[0].device if truth else torch.device("cpu")
    boxes_NX4 = torch.tensor([0.0, 0.0, 8.0, 8.0], device=device).repeat(len(truth), longest, 1)
    truth_NX = torch.full((len(truth), longest), -1, dtype=torch.int64, device=device)
    for row, (boxes_G4, seed) in enumerate(zip(truth, seeds, strict=True)):
        count = len(boxes_G4) * copies
        if not count:
            continue
        generator = torch.Generator("cpu").manual_seed(seed)
        noise = torch.rand(count, 4, generator=generator, device="cpu").to(device) * 2 - 1
        many = boxes_G4.repeat(copies, 1)
        size = (many[:, 2:] - many[:, :2]).clamp(min=1.0)
        middle = (many[:, :2] + many[:, 2:]) / 2 + noise[:, :2] * SHIFT * size / 2
        half = size * (1 + noise[:, 2:] * STRETCH) / 2
        boxes_NX4[row, :count] = torch.cat([middle - half, middle + half], 1)
        truth_NX[row, :count] = torch.arange(len(boxes_G4), device=device).repeat(copies)
    return Shown(boxes_NX4, truth_NX)


def with_shown(found: Proposals, added: Shown, strides_px: Sequence[int]) -> tuple[Proposals, Tensor]:
    """Proposals followed by the shown boxes, and the (Q + X, Q + X) mask that keeps them apart (True = not seen)."""
    long_NX = (added.boxes_NX4[..., 2:] - added.boxes_NX4[..., :2]).amax(-1)
    level_NX = torch.zeros_like(added.truth_NX)
    for stride in strides_px[:-1]:
        level_NX = level_NX + (long_NX > LARGEST * stride)
    queries, extra = found.logits_NQ.shape[1], level_NX.shape[1]
    proposals = replace(
        found,
        boxes_NQ4=torch.cat([found.boxes_NQ4, added.boxes_NX4], 1),
        logits_NQ=torch.cat([found.logits_NQ, found.logits_NQ.new_zeros(level_NX.shape)], 1),
        level_NQ=torch.cat([found.level_NQ, level_NX], 1),
    )
    group = torch.arange(queries + extra) >= queries
    return proposals, group[:, None] != group[None, :]


def split(layers: Sequence[Refined], queries: int) -> tuple[list[Refined], list[Refined]]:
    """Each layer's output for the proposals, and for the shown boxes."""
    own = [Refined(layer.logits_NQ[:, :queries], layer.boxes_NQ4[:, :queries]) for layer in layers]
    shown_ = [Refined(layer.logits_NQ[:, queries:], layer.boxes_NQ4[:, queries:]) for layer in layers]
    return own, shown_


def denoising_terms(
    layers: Sequence[Refined], added: Shown, truth: Sequence[Tensor], size_px: float
) -> dict[str, tuple[Tensor, Tensor]]:
    """GIoU and L1 between what became of each shown box and the box it was: sums over boxes and layers, and counts."""
    giou = l1 = layers[0].boxes_NQ4.sum() * 0.0
    count = 0
    for row, boxes_G4 in enumerate(truth):
        there_X = (added.truth_NX[row] >= 0).nonzero().squeeze(1)
        if not len(there_X):
            continue
        target_X4 = boxes_G4[added.truth_NX[row][there_X]]
        count += len(there_X)
        for layer in layers:
            mended_X4 = layer.boxes_NQ4[row][there_X]
            giou = giou + giou_loss(mended_X4, target_X4, torch.ones(len(there_X)))
            l1 = l1 + (mended_X4 - target_X4).abs().sum() / size_px
    total = torch.tensor(float(count * len(layers)))
    return {"denoising_giou": (giou, total), "denoising_l1": (l1, total)}
