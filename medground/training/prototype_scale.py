"""Fits on the development part how a prototype's log ratio maps to the scale of text logits.

Legend: N locations or boxes of all classes.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import Tensor

_INVERSE_PENALTY = 10.0


def fit_scale(log_ratio_N: Tensor, hit_N: Tensor, weight_N: Tensor | None = None) -> tuple[float, float]:
    """Slope and offset of a logistic regression, pooled over classes, with a light penalty on the standardised slope.

    Weights count relative to their mean, so that their unit does not change the penalty.

    Args:
        log_ratio_N: of `PrototypeBank.log_ratio`, only of classes that have prototypes.
        hit_N: 1 = on a true lesion of the class, 0 = not.
        weight_N: weight of each, >= 0; all the same if None.

    Returns:
        Slope >= 0 and offset; (1, 0) where there is nothing to learn from: one outcome only, or one value only.
    """
    ratio = log_ratio_N.detach().cpu().double().numpy()
    hit = hit_N.detach().cpu().numpy().astype(bool)
    weight = np.ones(len(ratio)) if weight_N is None else weight_N.detach().cpu().double().numpy()
    ratio, hit, weight = ratio[weight > 0], hit[weight > 0], weight[weight > 0]
    if len(ratio) == 0 or hit.all() or not hit.any() or np.ptp(ratio) == 0:
        return 1.0, 0.0
    weight = weight / weight.mean()
    centre = float(np.average(ratio, weights=weight))
    spread = float(np.sqrt(np.average((ratio - centre) ** 2, weights=weight)))
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000, tol=1e-8)
    fit = model.fit(((ratio - centre) / spread)[:, None], hit, sample_weight=weight)
    slope, offset = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0:  # a likelier class must never score lower: the base rate is all that is known
        share = np.average(hit, weights=weight)
        return 0.0, float(np.log(share / (1 - share)))
    return slope / spread, offset - slope * centre / spread
