"""How much boxes overlap, and which box takes which truth.

Shape suffixes: D detections, best score first; G truths of one image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BoxPx = tuple[float, float, float, float]


def iou_matrix(boxes: Sequence[BoxPx], truths: Sequence[BoxPx]) -> NDArray[np.float64]:
    """Intersection over union of each box (rows) with each truth (columns), 0..1."""
    a_D14 = np.array(boxes, dtype=np.float64).reshape(-1, 1, 4)
    b_1G4 = np.array(truths, dtype=np.float64).reshape(1, -1, 4)
    sides_DG2 = np.minimum(a_D14[..., 2:], b_1G4[..., 2:]) - np.maximum(a_D14[..., :2], b_1G4[..., :2])
    shared_DG = sides_DG2.clip(min=0).prod(-1)
    area_D1, area_1G = ((box[..., 2:] - box[..., :2]).prod(-1) for box in (a_D14, b_1G4))
    overlap_DG: NDArray[np.float64] = shared_DG / (area_D1 + area_1G - shared_DG)
    return overlap_DG


def assign(iou_DG: NDArray[np.float64], least: float, counts_G: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Gives each truth to the first detection that overlaps it enough.

    Args:
        iou_DG: from `iou_matrix`; rows come best score first.
        least: overlap from which a truth can be taken, above 0.
        counts_G: False for truths to be ignored; a detection takes one only where it finds no other.

    Returns:
        The truth that each detection takes (D,), -1 where it takes none.

    Source: the greedy matching of pycocotools, `COCOeval.evaluateImg`.
    """
    taken_D = np.full(len(iou_DG), -1, dtype=np.int64)
    free_DG = iou_DG.copy()
    for d in np.flatnonzero(np.any(iou_DG >= least, axis=1)):
        for group_G in (counts_G, ~counts_G):
            offered_G = np.where(group_G, free_DG[d], -1.0)
            # Of equal overlaps COCO takes the last truth.
            g = len(offered_G) - 1 - int(offered_G[::-1].argmax())
            if offered_G[g] >= least:
                taken_D[d] = g
                free_DG[:, g] = -1
                break
    return taken_D
