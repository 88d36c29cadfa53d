"""Which locations learn which boxes: task-aligned assignment, one box to many locations.

Legend: A locations, G ground-truth boxes of one image, P phrases.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.data.box_utils import box_iou
from torch import Tensor

TOP, ALPHA, BETA = 10, 0.5, 6.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """The result for one image.

    Attributes:
        locations_N: indices of the assigned locations.
        boxes_N: index of the ground-truth box each of them learns.
        quality_N: soft target of its score, 0..1, the aligned IoU.
    """

    locations_N: Tensor
    boxes_N: Tensor
    quality_N: Tensor


def assign(scores_AP: Tensor, boxes_A4: Tensor, centres_A2: Tensor, truth_G4: Tensor, phrase_G: Tensor) -> Assignment:
    """Chooses for each box the locations inside it that score and overlap best.

    Args:
        scores_AP: probabilities, detached.
        boxes_A4: predicted boxes, xyxy pixels, detached.
        centres_A2: location centres, pixels.
        truth_G4: ground-truth boxes, xyxy pixels; may be empty.
        phrase_G: index of the phrase each box answers.

    Returns:
        An `Assignment`; empty if there is no box. A box too small to hold a centre learns at the nearest one.

    Source: TOOD, Feng et al., 2021, eq. 1 and 2: t = s^alpha * u^beta, top m, targets normalised to the largest IoU.
    """
    if truth_G4.shape[0] == 0:
        empty = torch.zeros(0, dtype=torch.int64)
        return Assignment(empty, empty, torch.zeros(0))
    overlap_GA = box_iou(truth_G4, boxes_A4).clamp(0)
    alignment_GA = scores_AP[:, phrase_G].T.clamp(1e-9) ** ALPHA * overlap_GA**BETA
    inside_GA = _inside(centres_A2, truth_G4)
    candidates_GA = torch.where(inside_GA, alignment_GA + 1e-12, torch.zeros_like(alignment_GA))
    top_GT, index_GT = candidates_GA.topk(min(TOP, candidates_GA.shape[1]), dim=1)
    chosen_GA = torch.zeros_like(inside_GA)
    chosen_GA.scatter_(1, index_GT, top_GT > 0)
    best_overlap_GA = torch.where(chosen_GA, overlap_GA, torch.full_like(overlap_GA, -1.0))
    owner_A = best_overlap_GA.argmax(0)
    taken_A = chosen_GA.any(0)
    locations_N = taken_A.nonzero().squeeze(1)
    boxes_N = owner_A[locations_N]
    aligned_N = alignment_GA[boxes_N, locations_N]
    mine_GA = torch.zeros_like(chosen_GA)
    mine_GA[boxes_N, locations_N] = True
    largest_G = torch.where(mine_GA, alignment_GA, torch.zeros_like(alignment_GA)).amax(1).clamp(1e-12)
    best_G = torch.where(mine_GA, overlap_GA, torch.zeros_like(overlap_GA)).amax(1)
    return Assignment(locations_N, boxes_N, (aligned_N / largest_G[boxes_N] * best_G[boxes_N]).clamp(0, 1))


def _inside(centres_A2: Tensor, truth_G4: Tensor) -> Tensor:
    """(G, A) mask of centres inside each box; at least the nearest one per box."""
    offsets_GA4 = torch.cat([centres_A2[None] - truth_G4[:, None, :2], truth_G4[:, None, 2:] - centres_A2[None]], -1)
    inside_GA = offsets_GA4.amin(-1) > 0
    middle_G2 = (truth_G4[:, :2] + truth_G4[:, 2:]) / 2
    nearest_G = torch.cdist(middle_G2, centres_A2).argmin(1)
    inside_GA[torch.arange(len(nearest_G)), nearest_G] = True
    return inside_GA
