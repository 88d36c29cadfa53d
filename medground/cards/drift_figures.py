"""The figures of drift: scores in bins, how far two distributions lie apart, and a share with its interval."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from medground.schema.config import StrictConfig

Z_95: Final = 1.959963984540054
Z_999: Final = 3.2905267314919255
_CHI_SQUARED: Final = 24.321886347856854  # 99.9% of 7 degrees of freedom: bins - 1
_HALF: Final = 0.5  # added to each bin, so that an empty one is no infinity
BINS: Final = 8


class Rate(StrictConfig):
    """A share with its Wilson interval and the number behind it."""

    value: float
    low: float
    high: float
    n: int


def edges_from(least_score: float) -> tuple[float, ...]:
    """The edges of equal bins from the least score to 1.

    Args:
        least_score: 0..1, below 1.
    """
    return tuple(least_score + (1 - least_score) * number / BINS for number in range(BINS + 1))


def histogram(scores: Iterable[float], edges: Sequence[float]) -> tuple[int, ...]:
    """How many scores lie in each bin; the last one has both its ends.

    Args:
        scores: from the first edge to the last.
        edges: rising.
    """
    counts = Counter(min(bisect.bisect_right(edges, score), len(edges) - 1) - 1 for score in scores)
    return tuple(counts[number] for number in range(len(edges) - 1))


def stability_index(observed: Sequence[int], expected: Sequence[int]) -> float | None:
    """Population stability index: sum of (o - e) x ln(o / e) over bins, of shares with half a box added to each bin.

    Args:
        observed: counts by bin.
        expected: counts by the same bins.

    Returns:
        0 for equal shares; None where one of both has no count.
    """
    if not sum(observed) or not sum(expected):
        return None
    shares = [
        [(count + _HALF) / (sum(counts) + _HALF * len(counts)) for count in counts] for counts in (observed, expected)
    ]
    observed_shares, expected_shares = shares
    return sum((o - e) * math.log(o / e) for o, e in zip(observed_shares, expected_shares, strict=True))


def psi_by_chance(observed: int, expected: int) -> float:
    """What the index exceeds once in a thousand times where both come from one distribution.

    Args:
        observed: how many there are.
        expected: how many of the other.

    Source: Yurdakul, Statistical Properties of the Population Stability Index, 2018: about chi squared with (bins - 1)
    degrees of freedom, times (1 / observed + 1 / expected).
    """
    return _CHI_SQUARED * (1 / observed + 1 / expected)


def wilson(part: int, n: int, z: float = Z_95) -> Rate | None:
    """A share with its Wilson score interval, of 95% unless another is asked for.

    Args:
        part: how many of them.
        n: of how many; None is given for 0.
        z: of the interval.

    Source: Wilson, Journal of the American Statistical Association 22, 1927.
    """
    if n == 0:
        return None
    share, square = part / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    # At the ends the formula gives 0 and 1 but for the rounding.
    low, high = (0.0 if part == 0 else middle - half), (1.0 if part == n else middle + half)
    return Rate(value=share, low=low, high=high, n=n)
