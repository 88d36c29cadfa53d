"""Whether a probability means what it says: reliability bins, expected calibration error, Brier score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.schema.result import Probability


class ReliabilityBin(StrictConfig):
    """Answers whose probability lies in [low, high), the last bin closed; the means are None in an empty bin."""

    low: float
    high: float
    n: int
    mean_probability: Probability | None
    observed: Probability | None


class Calibration(StrictConfig):
    """Calibration of n probabilities: expected calibration error and Brier score, 0 is best."""

    n: int
    ece: float
    brier: float
    bins: tuple[ReliabilityBin, ...]


def calibration(probabilities: Sequence[float], outcomes: Sequence[bool], *, bins: int = 10) -> Calibration | None:
    """Compares probabilities with what happened, in bins of equal width.

    Args:
        probabilities: 0..1 each.
        outcomes: what was true, one for each probability.
        bins: number of bins, at least 1.

    Returns:
        The calibration, or None of nothing.

    Raises:
        UsageError: on unequal lengths, no bins, or a probability outside 0..1.

    Source: Guo et al., On Calibration of Modern Neural Networks, 2017, equation 3; Brier, 1950.
    """
    p = np.array(probabilities, dtype=np.float64)
    y = np.array(outcomes, dtype=np.float64)
    if len(p) != len(y) or bins < 1:
        raise UsageError(f"calibration needs one outcome per probability and a bin, got {len(p)}, {len(y)} and {bins}")
    if not ((p >= 0) & (p <= 1)).all():
        raise UsageError(f"probabilities lie in 0..1, got values from {p.min()} to {p.max()}")
    if not len(p):
        return None
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, bins - 1)
    table, ece = [], 0.0
    for k in range(bins):
        inside = index == k
        n = int(inside.sum())
        said, observed = (float(p[inside].mean()), float(y[inside].mean())) if n else (None, None)
        if said is not None and observed is not None:
            ece += n / len(p) * abs(said - observed)
        table.append(
            ReliabilityBin(low=float(edges[k]), high=float(edges[k + 1]), n=n, mean_probability=said, observed=observed)
        )
    return Calibration(n=len(p), ece=ece, brier=float(((p - y) ** 2).mean()), bins=tuple(table))
