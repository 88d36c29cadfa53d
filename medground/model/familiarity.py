"""How typical an image is of those a model was trained on.

Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples, 2018, eq. 2 (Mahalanobis
distance of penultimate features), with the distances of development images as the yardstick.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

SLACK = 1.5


@dataclass(frozen=True, slots=True)
class Familiarity:
    """One Gaussian per kind of image.

    Legend: M kinds of image, C feature width, R development images.

    Attributes:
        means_MC: mean feature.
        precisions_MCC: inverse covariance.
        distances_MR: sorted squared distances of development images; infinite padding at the end.
    """

    means_MC: Tensor
    precisions_MCC: Tensor
    distances_MR: Tensor

    def distance(self, image_C: Tensor, domain: int) -> float:
        """Squared Mahalanobis distance of one image vector from a kind of image."""
        offset_C = image_C - self.means_MC[domain]
        return float(offset_C @ self.precisions_MCC[domain] @ offset_C)

    def share_less_typical(self, image_C: Tensor, domain: int) -> float:
        """Share of development images of that kind that lie farther out than this one, 0..1.

        Their squared distances count `SLACK` times: a few dozen real films do not reach the edge of what is ordinary.
        """
        known = self.distances_MR[domain][self.distances_MR[domain].isfinite()]
        if len(known) == 0:
            return 0.0
        return float((known * SLACK >= self.distance(image_C, domain)).float().mean())
