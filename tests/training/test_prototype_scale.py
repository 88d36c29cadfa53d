from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from medground.training.prototype_scale import fit_scale


def sample(n: int = 400) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log ratios of wide range whose true log-odds are 0.2 x - 1, and weights."""
    rng = np.random.default_rng(0)
    ratio = rng.normal(5, 20, n)
    hit = rng.random(n) < 1 / (1 + np.exp(-(0.2 * ratio - 1)))
    return torch.tensor(ratio), torch.tensor(hit), torch.tensor(rng.uniform(0.5, 3.0, n))


def test_equals_the_penalised_likelihood_minimised_by_hand():
    ratio, hit, weight = sample()
    x, y, w = ratio.numpy(), hit.numpy() * 1.0, (weight / weight.mean()).numpy()
    spread = np.sqrt(np.average((x - np.average(x, weights=w)) ** 2, weights=w))

    def loss(parameters: np.ndarray) -> float:
        logit = parameters[0] * x + parameters[1]
        return float((w * (np.logaddexp(0, logit) - y * logit)).sum() + (parameters[0] * spread) ** 2 / 20)

    slow = minimize(loss, [0.1, 0.0], tol=1e-12).x
    assert fit_scale(ratio, hit, weight) == pytest.approx(tuple(slow), rel=1e-3)
    assert fit_scale(ratio, hit, weight * 1000) == pytest.approx(tuple(slow), rel=1e-3)


def test_finds_the_true_scale():
    slope, offset = fit_scale(*sample(20_000)[:2])
    assert slope == pytest.approx(0.2, rel=0.05)
    assert offset == pytest.approx(-1, abs=0.1)


def test_a_weight_of_two_is_a_row_twice():
    ratio, hit, _ = sample(60)
    weight = torch.ones(60)
    weight[::3] = 2
    twice = torch.cat([torch.arange(60), torch.arange(0, 60, 3)])
    weighted, repeated = fit_scale(ratio, hit, weight), fit_scale(ratio[twice], hit[twice])
    assert weighted == pytest.approx(repeated, rel=0.05)  # the penalty differs by the number of rows


def test_a_ratio_that_misleads_gives_the_base_rate():
    ratio, hit, _ = sample()
    slope, offset = fit_scale(-ratio, hit)
    assert slope == 0
    assert offset == pytest.approx(float(torch.logit(hit.double().mean())))


@pytest.mark.parametrize(
    ("ratio", "hit", "weight"),
    [
        ([], [], None),
        ([1.0, 2.0], [1, 1], None),
        ([1.0, 2.0], [0, 0], None),
        ([3.0, 3.0], [0, 1], None),
        ([1.0, 2.0], [0, 1], [1.0, 0.0]),
    ],
)
def test_nothing_to_learn_from_changes_nothing(ratio, hit, weight):
    given = None if weight is None else torch.tensor(weight)
    assert fit_scale(torch.tensor(ratio), torch.tensor(hit), given) == (1.0, 0.0)
