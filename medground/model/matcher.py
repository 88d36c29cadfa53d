"""One-to-one matching of queries to boxes; every query left over learns "no object".

Legend: Q queries, G ground-truth boxes.
"""

from __future__ import annotations

import torch
from monai.data.box_utils import box_giou
from scipy.optimize import linear_sum_assignment
from torch import Tensor

COST_SCORE, COST_L1, COST_GIOU = 2.0, 5.0, 2.0


def match(scores_Q: Tensor, boxes_Q4: Tensor, truth_G4: Tensor, size_px: float) -> tuple[Tensor, Tensor]:
    """The assignment of least total cost.

    Args:
        scores_Q: probabilities of "object".
        boxes_Q4: predicted boxes, xyxy pixels.
        truth_G4: true boxes, xyxy pixels; may be empty.
        size_px: long side of the model frame; the L1 cost is in shares of it.

    Returns:
        Query indices and box indices, both of length min(Q, G).

    Source: DETR, Carion et al., 2020, eq. 1 and appendix A.2, with the score cost of Deformable DETR left linear.
    """
    if truth_G4.shape[0] == 0 or boxes_Q4.shape[0] == 0:
        empty = torch.zeros(0, dtype=torch.int64)
        return empty, empty
    cost_QG = (
        -COST_SCORE * scores_Q[:, None]
        + COST_L1 * torch.cdist(boxes_Q4, truth_G4, p=1) / size_px
        - COST_GIOU * box_giou(boxes_Q4, truth_G4)
    )
    queries, boxes = linear_sum_assignment(cost_QG.detach().double().cpu().numpy())
    return torch.as_tensor(queries, dtype=torch.int64), torch.as_tensor(boxes, dtype=torch.int64)
