"""What answers come to: shares of verdicts for present and absent findings, and how well presence separates them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medground.evaluation.calibration import Calibration, calibration
from medground.schema.config import StrictConfig
from medground.schema.result import Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """A question whose answer is known, and what the system said.

    Attributes:
        concept: vocabulary key asked for.
        present: whether it is there.
        verdict: the system's verdict.
        presence: its probability of being there, 0..1; None where unsupported.
    """

    concept: str
    present: bool
    verdict: Verdict
    presence: float | None


class VerdictCounts(StrictConfig):
    """How many questions got each verdict."""

    found: int
    uncertain: int
    not_found: int
    unsupported: int

    @property
    def total(self) -> int:
        """All questions."""
        return self.supported + self.unsupported

    @property
    def supported(self) -> int:
        """Questions that were answered at all."""
        return self.found + self.uncertain + self.not_found


class VerdictScore(StrictConfig):
    """Verdicts on questions about present and about absent findings.

    `uncertain` is never right: it counts against sensitivity and against specificity. `unsupported` counts in neither.

    Attributes:
        present, absent: verdicts where the finding is there, and where it is not.
        sensitivity: `found` among supported present questions, None where there are none.
        specificity: `not_found` among supported absent questions, None where there are none.
        auroc: of the presence probability, None where all are present or all absent.
        calibration: of the presence probability, None where there is none.
    """

    present: VerdictCounts
    absent: VerdictCounts
    sensitivity: float | None
    specificity: float | None
    auroc: float | None
    calibration: Calibration | None


def score_verdicts(questions: Iterable[Asked], *, bins: int = 10) -> VerdictScore:
    """Scores the verdicts and presence probabilities of questions with known answers.

    Args:
        questions: of one concept, or of several to score them together.
        bins: reliability bins.

    Returns:
        The score; of no questions, zero counts and None.
    """
    asked = list(questions)
    present, absent = (_counts(question for question in asked if question.present is there) for there in (True, False))
    rated = [(question.presence, question.present) for question in asked if question.presence is not None]
    probabilities, outcomes = [p for p, _ in rated], [there for _, there in rated]
    return VerdictScore(
        present=present,
        absent=absent,
        sensitivity=present.found / present.supported if present.supported else None,
        specificity=absent.not_found / absent.supported if absent.supported else None,
        auroc=auroc(probabilities, outcomes),
        calibration=calibration(probabilities, outcomes, bins=bins),
    )


def _counts(questions: Iterable[Asked]) -> VerdictCounts:
    tally = Counter(question.verdict for question in questions)
    return VerdictCounts(**{verdict.value: tally[verdict] for verdict in Verdict})


def auroc(scores: Sequence[float], outcomes: Sequence[bool]) -> float | None:
    """Probability that a positive scores above a negative, ties counting half; None without both kinds.

    Source: Hanley and McNeil, Radiology 143 (1982): the Wilcoxon statistic.
    """
    positive = np.array(outcomes, dtype=np.bool_)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not (n_positive and n_negative):
        return None
    _, index, count = np.unique(np.array(scores, dtype=np.float64), return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[index]
    return float((rank[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
