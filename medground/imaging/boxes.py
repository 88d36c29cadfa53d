"""Operations on boxes, xyxy pixels, as tensors.

IoU, GIoU and their pairwise forms come from `monai.data.box_utils`; what stands here is what MONAI lacks or does
box by box.
"""

from __future__ import annotations

import torch
from monai.data.box_utils import box_iou
from torch import Tensor


def nms(boxes_N4: Tensor, scores_N: Tensor, iou: float, limit: int) -> Tensor:
    """Greedy non-maximum suppression over one IoU matrix.

    Args:
        boxes_N4: xyxy pixels.
        scores_N: higher is better.
        iou: boxes that overlap a better one by more than this are dropped.
        limit: at most so many are kept.

    Returns:
        Indices of the kept boxes, best first.
    """
    order_N = scores_N.argsort(descending=True, stable=True)
    overlap = (box_iou(boxes_N4[order_N], boxes_N4[order_N]) > iou).cpu().numpy()
    alive = torch.ones(len(order_N), dtype=torch.bool, device="cpu").numpy()
    kept: list[int] = []
    for row in range(len(order_N)):
        if not alive[row]:
            continue
        kept.append(row)
        if len(kept) == limit:
            break
        alive &= ~overlap[row]
    return order_N[kept]


def fuse(boxes_N4: Tensor, scores_N: Tensor, views: int, iou: float, limit: int) -> tuple[Tensor, Tensor]:
    """Boxes of several views of one image as one: those that overlap a better one are averaged with it by score.

    A box that some views do not have counts as one of score 0 in these, so that what only one view sees is doubted.

    Args:
        boxes_N4: xyxy pixels, of all views.
        scores_N: 0..1.
        views: how many there are.
        iou: boxes that overlap a better one by more than this are the same.
        limit: at most so many are kept.

    Returns:
        Boxes and scores, best first.

    Source: Solovyev et al., Weighted boxes fusion, 2021, section 3; here a score is the sum of at most `views` over
    `views`.
    """
    order_N = scores_N.argsort(descending=True, stable=True)
    boxes_N4, scores_N = boxes_N4[order_N], scores_N[order_N]
    same_NN = (
        (box_iou(boxes_N4, boxes_N4) > iou).fill_diagonal_(True) if len(boxes_N4) else boxes_N4.new_zeros(0, 0).bool()
    )
    free_N = torch.ones(len(boxes_N4), dtype=torch.bool, device=boxes_N4.device)
    fused, scores = [], []
    for row in range(len(boxes_N4)):
        if free_N[row]:
            mine_N = same_NN[row] & free_N
            free_N &= ~mine_N
            weight_M = scores_N[mine_N]
            fused.append((boxes_N4[mine_N] * weight_M[:, None]).sum(0) / weight_M.sum().clamp(min=1e-12))
            scores.append(weight_M[:views].sum() / views)
    if not fused:
        return boxes_N4, scores_N
    found_M = torch.stack(scores)
    best = found_M.argsort(descending=True, stable=True)[:limit]
    return torch.stack(fused)[best], found_M[best]


def clip(boxes_N4: Tensor, columns: float, rows: float) -> Tensor:
    """Boxes cut to the image (0, 0, columns, rows)."""
    high = torch.tensor([columns, rows, columns, rows], dtype=boxes_N4.dtype, device=boxes_N4.device)
    return torch.minimum(boxes_N4.clamp(min=0), high)
