"""Verdict shares against a table counted by hand; AUROC against every pair."""

from __future__ import annotations

import numpy as np
import pytest

from medground.evaluation.verdicts import Asked, auroc, score_verdicts
from medground.schema.result import Verdict

F, U, N, X = Verdict.FOUND, Verdict.UNCERTAIN, Verdict.NOT_FOUND, Verdict.UNSUPPORTED


def test_counts_and_rates_of_a_table_counted_by_hand() -> None:
    present = [(F, 0.9), (F, 0.8), (U, 0.5), (N, 0.1), (X, None)]
    absent = [(F, 0.7), (U, 0.4), (N, 0.2), (N, 0.1), (N, 0.05), (X, None), (X, None)]
    questions = [Asked("nodule", True, verdict, p) for verdict, p in present]
    questions += [Asked("nodule", False, verdict, p) for verdict, p in absent]
    score = score_verdicts(questions)
    assert score.present.model_dump() == {"found": 2, "uncertain": 1, "not_found": 1, "unsupported": 1}
    assert score.absent.model_dump() == {"found": 1, "uncertain": 1, "not_found": 3, "unsupported": 2}
    assert (score.present.total, score.absent.supported) == (5, 5)
    assert (score.sensitivity, score.specificity) == (2 / 4, 3 / 5)
    # 20 pairs: 0.9 and 0.8 beat 5 each, 0.5 beats 4, 0.1 beats 0.05 and ties with 0.1.
    assert score.auroc == pytest.approx((5 + 5 + 4 + 1.5) / 20)
    assert score.calibration is not None
    assert score.calibration.n == 9
    answered = [(0.9, 1), (0.8, 1), (0.5, 1), (0.1, 1), (0.7, 0), (0.4, 0), (0.2, 0), (0.1, 0), (0.05, 0)]
    assert score.calibration.brier == pytest.approx(sum((p - y) ** 2 for p, y in answered) / 9)


def test_empty_cases() -> None:
    nothing = score_verdicts([])
    assert nothing.present.total == nothing.absent.total == 0
    assert (nothing.sensitivity, nothing.specificity, nothing.auroc, nothing.calibration) == (None,) * 4
    unsupported = score_verdicts([Asked("nodule", True, X, None)])
    assert unsupported.present.unsupported == 1
    assert unsupported.sensitivity is None


@pytest.mark.parametrize("seed", range(3))
def test_auroc_equals_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outcomes = (rng.random(80) < 0.3).tolist()
    scores = np.round(rng.random(80) + 0.3 * np.array(outcomes), 1).tolist()
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a, is_a in zip(scores, outcomes, strict=True)
        for b, is_b in zip(scores, outcomes, strict=True)
        if is_a and not is_b
    ]
    assert auroc(scores, outcomes) == pytest.approx(sum(pairs) / len(pairs))
    assert auroc([0.1, 0.2], [True, True]) is None
