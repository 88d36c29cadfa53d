"""From raw logits to probabilities that mean what they say.

Box scores and presence are passed through logistic curves (Platt, 1999) fitted on development images: one per concept
and kind of image where there is enough to fit, else the one of the kind of image, else the common one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from medground.schema.anatomy import Domain
from medground.schema.config import StrictConfig


class Curve(StrictConfig):
    """probability = sigmoid(weights . logits + offset); `positives` and `negatives` say what it was fitted on."""

    weights: tuple[float, ...]
    offset: float
    positives: int
    negatives: int

    def probability(self, logits: Sequence[float]) -> float:
        """The calibrated probability of raw logits.

        Raises:
            ValueError: if the number of logits differs from the number of weights.
        """
        total = self.offset + sum(w * x for w, x in zip(self.weights, logits, strict=True))
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))


class Calibration(StrictConfig):
    """Curves by `domain/concept`, by `domain`, and under the empty key the common one.

    Attributes:
        box: of boxes on whole images.
        presence: of findings on whole images.
        close: of boxes on crops of images at full resolution; empty where they were not fitted: then `box` serves.
    """

    box: dict[str, Curve]
    presence: dict[str, Curve]
    close: dict[str, Curve] = Field(default_factory=dict)

    def box_probability(self, logit: float, concept: str, domain: Domain) -> float:
        """Probability that a box holds the finding (IoU with a true box at least 0.5)."""
        return _best(self.box, concept, domain).probability((logit,))

    def close_probability(self, logit: float, concept: str, domain: Domain) -> float:
        """The same of a box that was found on a crop at full resolution."""
        return _best(self.close or self.box, concept, domain).probability((logit,))

    def presence_probability(self, presence_logit: float, best_logit: float, concept: str, domain: Domain) -> float:
        """Probability that the finding is anywhere on the image."""
        return _best(self.presence, concept, domain).probability((presence_logit, best_logit))


def _best(curves: dict[str, Curve], concept: str, domain: Domain) -> Curve:
    for key in (f"{domain.value}/{concept}", domain.value):
        if key in curves:
            return curves[key]
    return curves[""]


IDENTITY = Calibration(
    box={"": Curve(weights=(1.0,), offset=0.0, positives=0, negatives=0)},
    presence={"": Curve(weights=(1.0, 0.0), offset=0.0, positives=0, negatives=0)},
)
