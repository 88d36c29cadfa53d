"""Which locations learn which boxes: task-aligned assignment, one box to many locations.

Legend: A locations, G ground-truth boxes of one image, P phrases.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from monai.data.box_utils import box_iou
from torch import Tensor

TOP, ALPHA, BETA = 10, 0.5, 6.0
SMALL_PX, TINY_PX = 32.0, 8.0  # side below which the Wasserstein distance comes in, and below which it stands alone
REACH = 1.5  # strides around the centre of a small box within which locations may learn it
SMALLEST, LARGEST = 1.5, 14.0  # long side of the boxes that a level learns, in its strides


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


def assign(
    scores_AP: Tensor, boxes_A4: Tensor, centres_A2: Tensor, strides_A: Tensor, truth_G4: Tensor, phrase_G: Tensor
) -> Assignment:
    """Chooses for each box the locations that score and overlap best, on the levels that are there for its size.

    A box of one or two cells is overlapped by hardly any prediction at first, so IoU gives it hardly any target and it
    starves. Below `SMALL_PX` the overlap is therefore blended with a similarity that falls with distance instead
    (NWD), and locations just around the box may learn it.

    Args:
        scores_AP: probabilities, detached.
        boxes_A4: predicted boxes, xyxy pixels, detached.
        centres_A2: location centres, pixels.
        strides_A: stride of the level of each location, pixels.
        truth_G4: ground-truth boxes, xyxy pixels; may be empty.
        phrase_G: index of the phrase each box answers.

    Returns:
        An `Assignment`; empty if there is no box.

    Source: TOOD, Feng et al., 2021, eq. 1 and 2: t = s^alpha * u^beta, top m, targets normalised to the largest IoU;
    Wang et al., A Normalized Gaussian Wasserstein Distance for Tiny Object Detection, 2021, eq. 8.
    """
    if truth_G4.shape[0] == 0:
        empty = torch.zeros(0, dtype=torch.int64)
        return Assignment(empty, empty, torch.zeros(0))
    overlap_GA = closeness(truth_G4, boxes_A4)
    alignment_GA = scores_AP[:, phrase_G].T.clamp(1e-9) ** ALPHA * overlap_GA**BETA
    allowed_GA = _allowed(centres_A2, strides_A, truth_G4)
    candidates_GA = torch.where(allowed_GA, alignment_GA + 1e-12, torch.zeros_like(alignment_GA))
    top_GT, index_GT = candidates_GA.topk(min(TOP, candidates_GA.shape[1]), dim=1)
    chosen_GA = torch.zeros_like(allowed_GA)
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


def closeness(truth_G4: Tensor, boxes_A4: Tensor) -> Tensor:
    """(G, A) similarity in 0..1: IoU for boxes from `SMALL_PX` on, NWD up to `TINY_PX`, a blend between."""
    overlap_GA: Tensor = torch.as_tensor(box_iou(truth_G4, boxes_A4)).clamp(0)
    side_G = ((truth_G4[:, 2] - truth_G4[:, 0]) * (truth_G4[:, 3] - truth_G4[:, 1])).clamp(0).sqrt()
    share_G = ((SMALL_PX - side_G) / (SMALL_PX - TINY_PX)).clamp(0, 1)
    small_G = (share_G > 0).nonzero().squeeze(1)
    if len(small_G):
        apart_SA = torch.cdist(_gaussian(truth_G4[small_G]), _gaussian(boxes_A4))
        near_SA = (-apart_SA / side_G[small_G, None].clamp(TINY_PX)).exp()
        share_S1 = share_G[small_G, None]
        overlap_GA[small_G] = (1 - share_S1) * overlap_GA[small_G] + share_S1 * near_SA
    return overlap_GA


def _gaussian(boxes_N4: Tensor) -> Tensor:
    """Centre and half sides: the Euclidean distance of these is the Wasserstein distance of the boxes' Gaussians."""
    return torch.cat([(boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2, (boxes_N4[:, 2:] - boxes_N4[:, :2]) / 2], 1)


def _allowed(centres_A2: Tensor, strides_A: Tensor, truth_G4: Tensor) -> Tensor:
    """(G, A) mask: inside the box, or near the centre of a small one, on a level for its size; at least one per box."""
    offsets_GA4 = torch.cat([centres_A2[None] - truth_G4[:, None, :2], truth_G4[:, None, 2:] - centres_A2[None]], -1)
    middle_G2, long_G1 = (truth_G4[:, :2] + truth_G4[:, 2:]) / 2, (truth_G4[:, 2:] - truth_G4[:, :2]).amax(1)[:, None]
    near_GA = (centres_A2[None] - middle_G2[:, None]).abs().amax(-1) <= REACH * strides_A
    inside_GA = (offsets_GA4.amin(-1) > 0) | (near_GA & (long_G1 < SMALL_PX))
    finest, coarsest = strides_A.amin(), strides_A.amax()
    fits_GA = ((long_G1 >= SMALLEST * strides_A) | (strides_A == finest)) & (
        (long_G1 <= LARGEST * strides_A) | (strides_A == coarsest)
    )
    allowed_GA = inside_GA & fits_GA
    distance_GA = torch.cdist(middle_G2, centres_A2) + torch.where(fits_GA, 0.0, 1e6)
    allowed_GA[torch.arange(len(truth_G4)), distance_GA.argmin(1)] = True
    return allowed_GA
