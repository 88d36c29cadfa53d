from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

from medground.model.ground_statistics import GroundStatistics
from medground.model.prototypes import PrototypeBank, PrototypeConfig


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_parts_give_the_same_as_the_whole():
    rows = random(90, 5) @ random(5, 5, seed=1) + 3
    ground = GroundStatistics(5)
    assert not ground.known
    for part in (rows[:1], rows[1:1], rows[1:40], rows[40:]):
        ground.see(part)
    assert ground.known
    assert float(ground.count) == 90
    assert torch.allclose(ground.mean_D, rows.mean(0))
    assert torch.allclose(ground.covariance_DD, torch.cov(rows.T, correction=0))
    ground.see(torch.full((3, 5), torch.nan))
    assert float(ground.count) == 90
    ground.forget()
    assert not ground.known


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
def test_ratio_is_that_of_whole_densities(shrinkage):
    ground = GroundStatistics(4)
    ground.see(random(50, 4, seed=2) @ random(4, 4, seed=3))
    means, weight, rows = random(3, 4, seed=4), torch.tensor([2.0, 0, 6], dtype=torch.float64), random(7, 4, seed=5)
    covariance = ground.covariance_DD.numpy()
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 4 * np.eye(4)

    def density(mean):
        return multivariate_normal(mean.numpy(), shrunk).pdf(rows.numpy())

    noise = random(4, 4, seed=6)
    scatter = noise @ noise.T
    lift = np.exp(np.trace(np.linalg.solve(shrunk, scatter.numpy())) / 2 / np.array([2, 6]))
    mixture = 0.25 * lift[0] * density(means[0]) + 0.75 * lift[1] * density(means[2])
    expected = np.log(mixture / density(ground.mean_D))
    ratio = ground.log_ratio(rows, means, weight, scatter, shrinkage)
    assert ratio.dtype == torch.float32
    assert ratio.numpy() == pytest.approx(expected, abs=1e-3)


def test_few_rows_are_not_held_against_a_class():
    """The mean ratio over the class's own rows is what it is with the mean known, however few rows the mean is from."""
    width, away = 24, torch.zeros(24, dtype=torch.float64)
    away[:3] = 2
    ground = GroundStatistics(width)
    ground.see(random(4000, width))
    scatter, probe = torch.eye(width, dtype=torch.float64), random(2000, width, seed=1) + away
    sure = ground.log_ratio(probe, away[None], torch.tensor([1e9]), scatter, 0.0).mean()
    for rows in (2, 8):
        guesses = [
            ground.log_ratio(
                probe, (random(rows, width, seed=100 + trial) + away).mean(0)[None], torch.tensor([rows]), scatter, 0.0
            ).mean()
            for trial in range(60)
        ]
        assert float(torch.stack(guesses).mean()) == pytest.approx(float(sure), abs=0.8)


@pytest.mark.parametrize("examples", [2, 5, 20])
def test_a_few_examples_do_where_cosine_fails(examples):
    """Noise in a quarter of the directions is all that cosine sees; and the new class needs no scale of its own."""
    width = 64
    scale = torch.where(torch.arange(width) < 16, 5.0, 0.3)
    means = torch.zeros(3, width)
    for column in range(3):
        means[column, 40 + 6 * column : 46 + 6 * column] = 1
    bank = PrototypeBank(2, width, PrototypeConfig(shrinkage=0.01))
    for step in range(60):
        noise = random(90, width, seed=step).float() * scale
        label = torch.arange(30) % 2
        bank.update(noise[:30] + means[label], label, torch.ones(30), noise[30:])
        bank.ground.see(noise)
    few = random(examples, width, seed=100).float() * scale + means[2]
    positive = random(300, width, seed=101).float() * scale + means[2]
    negative = random(300, width, seed=102).float() * scale
    rows, truth = torch.cat([positive, negative]), [1] * 300 + [0] * 300
    cosine = torch.cosine_similarity(rows, few.mean(0)[None], 1)
    ratio = bank.with_class(few, examples).log_ratio(rows, [2])[:, 0]
    assert roc_auc_score(truth, cosine) < 0.8
    assert roc_auc_score(truth, ratio) > 0.95
    assert ((ratio > 0) == torch.tensor(truth).bool()).float().mean() > 0.9
