"""The figures of drift, by hand and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from medground.cards.drift_figures import BINS, Z_999, edges_from, histogram, psi_by_chance, stability_index, wilson


@pytest.mark.parametrize(("part", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (3, 20), (50, 100), (999, 1000), (7, 9)])
def test_wilson_is_that_of_scipy(part: int, n: int) -> None:
    rate, judge = wilson(part, n), binomtest(part, n).proportion_ci(0.95, method="wilson")
    assert rate is not None
    assert (rate.low, rate.high) == pytest.approx((judge.low, judge.high), abs=1e-12)
    assert (rate.value, rate.n) == (part / n, n)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    wide, judge = wilson(part, n, Z_999), binomtest(part, n).proportion_ci(0.999, method="wilson")
    assert wide is not None
    assert (wide.low, wide.high) == pytest.approx((judge.low, judge.high), abs=1e-12)


def test_of_nothing_there_is_no_share() -> None:
    assert wilson(0, 0) is None


def test_the_index_by_hand() -> None:
    observed, expected = (10, 20), (20, 10)
    by_hand = (10.5 / 31 - 20.5 / 31) * math.log(10.5 / 20.5) + (20.5 / 31 - 10.5 / 31) * math.log(20.5 / 10.5)
    assert stability_index(observed, expected) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(2 * 10 / 31 * math.log(20.5 / 10.5))
    assert stability_index((3, 4, 5), (3, 4, 5)) == 0
    assert stability_index((0, 0), (3, 4)) is None
    assert stability_index((3, 4), (0, 0)) is None
    assert stability_index((9, 0), (0, 9)) == pytest.approx(2 * 9 / 10 * math.log(9.5 / 0.5))


def test_the_edge_of_a_bin_belongs_to_the_one_above_and_the_last_to_the_last() -> None:
    edges = edges_from(0.2)
    assert edges == pytest.approx((0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
    assert histogram([0.2, 0.29, edges[1], 0.95, 1.0], edges) == (2, 1, 0, 0, 0, 0, 0, 2)
    assert histogram([], edges) == (0,) * 8


def test_what_chance_gives() -> None:
    assert psi_by_chance(50, 200) == pytest.approx(chi2.ppf(0.999, BINS - 1) * (1 / 50 + 1 / 200))
    rng = np.random.default_rng(0)
    shares = np.full(BINS, 1 / BINS)
    pairs = [(rng.multinomial(200, shares), rng.multinomial(800, shares)) for _ in range(4000)]
    above = sum((stability_index(a.tolist(), b.tolist()) or 0) > psi_by_chance(200, 800) for a, b in pairs)
    assert above <= 12  # 4 of 4000 are expected
