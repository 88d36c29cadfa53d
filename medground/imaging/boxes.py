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


def clip(boxes_N4: Tensor, columns: float, rows: float) -> Tensor:
    """Boxes cut to the image (0, 0, columns, rows)."""
    high = torch.tensor([columns, rows, columns, rows], dtype=boxes_N4.dtype, device=boxes_N4.device)
    return torch.minimum(boxes_N4.clamp(min=0), high)
