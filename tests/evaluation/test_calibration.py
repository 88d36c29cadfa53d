"""Calibration against a loop over the answers, and the cases known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from medground.evaluation.calibration import calibration
from medground.schema.errors import UsageError


@pytest.mark.parametrize("bins", [1, 7, 10])
def test_equals_a_loop(bins: int) -> None:
    rng = np.random.default_rng(bins)
    p = [*rng.random(300).tolist(), 0.0, 1.0]
    y = [bool(rng.random() < q**2) for q in p]
    fit = calibration(p, y, bins=bins)
    assert fit is not None
    ece = 0.0
    for k in range(bins):
        inside = [i for i, q in enumerate(p) if min(int(q * bins), bins - 1) == k]
        assert fit.bins[k].n == len(inside)
        if inside:
            said = sum(p[i] for i in inside) / len(inside)
            seen = sum(y[i] for i in inside) / len(inside)
            assert (fit.bins[k].mean_probability, fit.bins[k].observed) == pytest.approx((said, seen))
            ece += len(inside) / len(p) * abs(said - seen)
    assert fit.ece == pytest.approx(ece)
    assert fit.ece > 0.05
    assert fit.brier == pytest.approx(sum((q - t) ** 2 for q, t in zip(p, y, strict=True)) / len(p))


def test_known_cases() -> None:
    sure = calibration([0.0, 1.0, 1.0], [False, True, True])
    wrong = calibration([0.0, 1.0], [True, False])
    coin = calibration([0.5] * 4, [True, False, True, False])
    assert sure is not None
    assert wrong is not None
    assert coin is not None
    assert (sure.ece, sure.brier) == (0.0, 0.0)
    assert (wrong.ece, wrong.brier) == (1.0, 1.0)
    assert (coin.ece, coin.brier) == (0.0, 0.25)
    # A value on an edge belongs to the bin above.
    assert [row.n for row in coin.bins] == [0, 0, 0, 0, 0, 4, 0, 0, 0, 0]
    assert coin.bins[0].observed is None
    assert calibration([], []) is None


@pytest.mark.parametrize(
    ("p", "y", "bins", "message"),
    [
        ([0.5], [], 10, "got 1, 0 and 10"),
        ([0.5], [True], 0, "got 1, 1 and 0"),
        ([1.5], [True], 10, "from 1.5 to 1.5"),
        ([float("nan")], [True], 10, "nan"),
    ],
)
def test_bad_input_is_refused(p: list[float], y: list[bool], bins: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        calibration(p, y, bins=bins)
