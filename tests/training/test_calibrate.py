from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.schema.anatomy import DOMAINS, Domain
from medground.training.calibrate import Reading, fit_calibration, fit_familiarity, hits_of


def test_hits_are_greedy_and_once_each():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 60, 60]])
    truth = torch.tensor([[0.0, 0, 10, 10]])
    assert hits_of(boxes, truth, exhaustive=True) == (1, 0, 0)
    assert hits_of(boxes, truth, exhaustive=False) == (1, -1, -1)
    assert hits_of(boxes, torch.zeros(0, 4), exhaustive=True) == (0, 0, 0)
    assert hits_of(torch.zeros(0, 4), truth, exhaustive=True) == ()


def readings(real: bool, shift: float, n: int = 400) -> list[Reading]:
    """Logits whose true probability is sigmoid(2 x + shift)."""
    rng = np.random.default_rng(int(real))
    out = []
    for _ in range(n):
        x = float(rng.normal())
        hit = int(rng.random() < 1 / (1 + np.exp(-(2 * x + shift))))
        out.append(Reading("nodule", Domain.CHEST_RADIOGRAPH, real, bool(hit), x, (x,), (hit,)))
    return out


def test_curves_find_the_true_slope():
    calibration = fit_calibration(readings(True, -1.0) + readings(False, -1.0))
    for x in (-1.0, 0.0, 1.5):
        expected = 1 / (1 + np.exp(-(2 * x - 1)))
        assert calibration.box_probability(x, "nodule", Domain.CHEST_RADIOGRAPH) == pytest.approx(expected, abs=0.08)
        assert calibration.presence_probability(x, x, "nodule", Domain.CHEST_RADIOGRAPH) == pytest.approx(
            expected, abs=0.08
        )


def test_a_concept_with_few_examples_borrows_the_curve_of_its_kind():
    few = [Reading("mass", Domain.CHEST_RADIOGRAPH, True, True, 0.0, (0.0,), (1,))]
    calibration = fit_calibration(readings(True, 0.0) + few)
    assert "chest radiograph/nodule" in calibration.box
    assert "chest radiograph/mass" not in calibration.box
    assert calibration.box_probability(0.3, "mass", Domain.CHEST_RADIOGRAPH) == calibration.box[
        "chest radiograph"
    ].probability((0.3,))


def test_a_higher_score_never_lowers_the_probability():
    backwards = [
        Reading("nodule", Domain.CHEST_RADIOGRAPH, True, x < 0, x, (-x,), (int(x < 0),)) for x in np.linspace(-2, 2, 60)
    ]
    calibration = fit_calibration(backwards)
    for curve in (*calibration.box.values(), *calibration.presence.values()):
        assert min(curve.weights) >= 0


def test_nothing_to_judge_still_gives_a_curve():
    silent = [Reading("nodule", Domain.CHEST_RADIOGRAPH, True, None, 0.0, (0.0,), (-1,))]
    probability = fit_calibration(silent + readings(False, 0.0)).box_probability(0.0, "x", Domain.LIMB_RADIOGRAPH)
    assert 0 < probability < 1


def test_a_far_image_is_unfamiliar_and_a_near_one_is_not():
    rng = np.random.default_rng(0)

    def cloud(n: int):
        return [(Domain.CHEST_RADIOGRAPH, rng.normal(size=5).astype(np.float32)) for _ in range(n)]

    known = fit_familiarity(cloud(300), cloud(100))
    index = DOMAINS.index(Domain.CHEST_RADIOGRAPH)
    assert known.share_less_typical(torch.zeros(5), index) == 1.0
    assert known.share_less_typical(torch.full((5,), 9.0), index) == 0.0
    assert known.share_less_typical(torch.zeros(5), DOMAINS.index(Domain.CHEST_CT)) == 0.0
    with pytest.raises(ValueError, match="at least one"):
        fit_familiarity([], [])
