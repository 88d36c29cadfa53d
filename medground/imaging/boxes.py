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


def fuse(boxes_N4: Tensor, scores_N: Tensor, view_N: Tensor, iou: float, limit: int) -> tuple[Tensor, Tensor]:
    """Boxes of two or more views of one image as one: each with the best that overlaps it in every other view.

    They are averaged by score. A view that has none counts as one of score 0, so that what only one view sees is
    doubted.

    Args:
        boxes_N4: xyxy pixels, of all views.
        scores_N: 0..1.
        view_N: which view each is of, 0 to one less than there are.
        iou: boxes that overlap by more than this are the same, and of those averaged only the better one stays.
        limit: at most so many are kept.

    Returns:
        Boxes and scores, best first.

    Source: Solovyev et al., Weighted boxes fusion, 2021, section 3; here with one box of a view at most.
    """
    if not len(boxes_N4):
        return boxes_N4, scores_N
    order_N = scores_N.argsort(descending=True, stable=True)
    boxes_N4, scores_N, view_N = boxes_N4[order_N], scores_N[order_N], view_N[order_N]
    overlap_NN = torch.as_tensor(box_iou(boxes_N4, boxes_N4))
    views = int(view_N.max()) + 1
    free_N = torch.ones(len(boxes_N4), dtype=torch.bool)
    fused, scores = [], []
    for row in range(len(boxes_N4)):
        if not free_N[row]:
            continue
        mine = [row]
        for view in range(views):
            same_N = free_N & (view_N == view) & (overlap_NN[row] > iou)
            if view != int(view_N[row]) and bool(same_N.any()):
                mine.append(int(same_N.nonzero()[0]))  # the best: they are in the order of score
        free_N[mine] = False
        weight_M = scores_N[mine]
        fused.append((boxes_N4[mine] * weight_M[:, None]).sum(0) / weight_M.sum().clamp(min=1e-12))
        scores.append(weight_M.sum() / views)
    found_M4, score_M = torch.stack(fused), torch.stack(scores)
    best = nms(found_M4, score_M, iou, limit)
    return found_M4[best], score_M[best]


def clip(boxes_N4: Tensor, columns: float, rows: float) -> Tensor:
    """Boxes cut to the image (0, 0, columns, rows)."""
    high = torch.tensor([columns, rows, columns, rows], dtype=boxes_N4.dtype, device=boxes_N4.device)
    return torch.minimum(boxes_N4.clamp(min=0), high)
