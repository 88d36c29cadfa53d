"""Losses by name. Each is finite, and differentiable, with empty targets.

Legend: N matched pairs, A locations, P phrases, K distance bins, Q queries.
"""

from __future__ import annotations

import torch
from monai.data.box_utils import box_pair_giou
from torch import Tensor
from torch.nn import functional as F


def soft_bce_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Sum of binary cross-entropy with soft targets, each element times its weight (0 = not to be judged)."""
    return (F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * weights).sum()


def giou_loss(predicted_N4: Tensor, truth_N4: Tensor, weights_N: Tensor) -> Tensor:
    """Weighted sum of 1 - GIoU over pairs of xyxy boxes (Rezatofighi et al., 2019, algorithm 1)."""
    if predicted_N4.shape[0] == 0:
        return predicted_N4.sum() * 0.0
    overlap_N: Tensor = box_pair_giou(predicted_N4, truth_N4)
    return ((1 - overlap_N) * weights_N).sum()


def distribution_focal_loss(distances_N4K: Tensor, target_N4: Tensor, weights_N: Tensor) -> Tensor:
    """Weighted sum of the distribution focal loss, averaged over the four sides (Li et al., 2020, eq. 6).

    Args:
        distances_N4K: logits over K integer distances.
        target_N4: true distances in strides; cut to [0, K - 1.01].
        weights_N: weight of each pair.
    """
    if distances_N4K.shape[0] == 0:
        return distances_N4K.sum() * 0.0
    target_N4 = target_N4.clamp(0, distances_N4K.shape[-1] - 1.01)
    low_N4 = target_N4.floor().long()
    share_N4 = target_N4 - low_N4
    log_N4K = distances_N4K.log_softmax(-1)
    left_N4 = log_N4K.gather(-1, low_N4[..., None]).squeeze(-1)
    right_N4 = log_N4K.gather(-1, low_N4[..., None] + 1).squeeze(-1)
    loss_N4 = -(left_N4 * (1 - share_N4) + right_N4 * share_N4)
    return (loss_N4.mean(-1) * weights_N).sum()


def varifocal_loss(logits: Tensor, targets: Tensor, weights: Tensor, *, alpha: float = 0.75) -> Tensor:
    """Weighted sum of the varifocal loss: IoU as target, easy negatives faded (Zhang et al., 2021, eq. 2, gamma 2)."""
    probability = logits.sigmoid().detach()
    focus = torch.where(targets > 0, targets, alpha * probability**2)
    return (F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * focus * weights).sum()


def sequence_loss(logits_NTV: Tensor, words_NT: Tensor, *, ignore: int) -> Tensor:
    """Sum of the cross-entropy over words that are not `ignore`; 0 where there are none."""
    return F.cross_entropy(logits_NTV.flatten(0, 1), words_NT.flatten(), ignore_index=ignore, reduction="sum")
