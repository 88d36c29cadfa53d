"""What locations of any image look like: mean and covariance, against which a class known from a few images stands out.

A network's embeddings vary most along the directions that tell its own classes from the rest, whatever is shown. A
class that it never learned differs from the common run of locations along other directions, however faint. Whitening by
the covariance of all locations brings these out: one example image is then worth much, where a covariance of lesions
alone drowns it (docs/experiments.md).

Legend: N rows, D width, K prototypes of a class.
Source: Hariharan, Malik and Ramanan, Discriminative Decorrelation for Clustering and Classification, 2012, eq. 2 to 4
(one covariance of everything, shared by all classes); Chan, Golub and LeVeque, Updating Formulae for Computing Sample
Variances, 1979 (merging).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medground.model.prototype_scores import whitener


class GroundStatistics(nn.Module):
    """Mean and covariance of the embeddings of all locations, in float64; nothing in it is trained by gradient.

    Attributes:
        mean_D: of all rows seen.
        covariance_DD: of all rows seen.
        count: how many.
    """

    mean_D: Tensor
    covariance_DD: Tensor
    count: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean_D", torch.zeros(width, dtype=torch.float64))
        self.register_buffer("covariance_DD", torch.zeros(width, width, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    @property
    def known(self) -> bool:
        """Whether there is anything to stand out against."""
        return bool(self.covariance_DD.diagonal().sum() > 0)

    @torch.no_grad()
    def forget(self) -> None:
        """Starts anew."""
        for buffer in self.buffers():
            buffer.zero_()

    @torch.no_grad()
    def see(self, rows_ND: Tensor) -> None:
        """Takes in embeddings of locations, on lesions or not; rows that are not finite are left out."""
        rows_ND = rows_ND.double()
        rows_ND = rows_ND[rows_ND.isfinite().all(1)]
        if not len(rows_ND):
            return
        total = self.count + len(rows_ND)
        mean_D = rows_ND.mean(0)
        offsets_ND, shift_D = rows_ND - mean_D, mean_D - self.mean_D
        between_DD = torch.outer(shift_D, shift_D) * self.count * len(rows_ND) / total
        self.covariance_DD.copy_((self.covariance_DD * self.count + offsets_ND.T @ offsets_ND + between_DD) / total)
        self.mean_D += shift_D * len(rows_ND) / total
        self.count.copy_(total)

    @torch.no_grad()
    def log_ratio(
        self, rows_ND: Tensor, means_KD: Tensor, weight_K: Tensor, scatter_DD: Tensor, shrinkage: float
    ) -> Tensor:
        """Log of a class's density over the ground's (N,), float32, both Gaussian with the ground's covariance.

        The mean of n rows lies too far out by the noise of a row / n (squared, whitened), so a class of few rows would
        look unlikely everywhere; what that takes from its log density is given back.

        Args:
            rows_ND: embeddings to score.
            means_KD: prototypes of the class; its density is their mixture.
            weight_K: rows behind each; 0 = unused, at least one is used.
            scatter_DD: covariance of the rows of a class about their prototype: the noise of a row.
            shrinkage: share, 0..1, of a sphere in the covariance.
        """
        used_K = weight_K > 0
        factor_DD = whitener(self.covariance_DD, shrinkage)
        away_KD = (means_KD - self.mean_D)[used_K]
        direction_DK = torch.cholesky_solve(away_KD.T, factor_DD)
        log_share_K = (weight_K[used_K] / weight_K.sum()).log()
        noise = torch.cholesky_solve(scatter_DD, factor_DD).trace()
        bias_K = log_share_K - 0.5 * ((away_KD.T * direction_DK).sum(0) - noise / weight_K[used_K])
        with torch.autocast(rows_ND.device.type, enabled=False):
            scores_NK = (rows_ND.float() - self.mean_D.float()) @ direction_DK.float() + bias_K.float()
            ratio_N: Tensor = scores_NK.logsumexp(1)
        return ratio_N
