"""Gaussian mixtures that share one covariance, and their log density ratios: the arithmetic behind `prototypes`.

Raw cosine fails here, because most directions of an embedding are noise that every location shares. Whitening by the
pooled within-prototype covariance makes those directions count little. With one covariance for all prototypes, the
quadratic term of the densities is the same everywhere and cancels, so a ratio is dot products and logsumexps.

Legend: N rows, D width, S prototypes (slots) of all groups, C classes, G = C + 1 groups (the last is the background),
    K slots per class, P class columns asked for, R locations.
Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2009, eq. 4.9 and 4.10 (discriminant
functions with one covariance) and section 12.7 (mixtures); Ledoit and Wolf, 2004 (shrinkage to a multiple of identity).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SETTLED = 8.0  # a prototype is split once it has seen this many times what a step adds
NUDGE = 0.1  # how far the two halves start from their parent, in standard deviations of its rows
LLOYD_ROUNDS = 20
_LEAST_SHRINKAGE = 1e-10  # keeps the factorisation possible where the rows span fewer than D directions


def whitener(scatter_DD: Tensor, shrinkage: float) -> Tensor:
    """Cholesky factor (D, D), lower, float64, of the shrunk covariance; the identity where nothing varies yet.

    Args:
        scatter_DD: mean outer product of the rows' offsets from their prototype.
        shrinkage: share, 0..1, of a sphere of the same total variance.
    """
    scatter_DD = scatter_DD.double()
    identity_DD = torch.eye(len(scatter_DD), dtype=torch.float64, device=scatter_DD.device)
    variance = scatter_DD.diagonal().mean()
    if not bool(variance > 0):
        return identity_DD
    share = max(shrinkage, _LEAST_SHRINKAGE)
    factor: Tensor = torch.linalg.cholesky((1 - share) * scatter_DD + share * variance * identity_DD)
    return factor


def whiten(rows_ND: Tensor, factor_DD: Tensor) -> Tensor:
    """Rows (N, D), float64, in which the shared covariance is the identity."""
    white_DN: Tensor = torch.linalg.solve_triangular(factor_DD, rows_ND.double().T, upper=False)
    return white_DN.T


def or_one(weight: Tensor) -> Tensor:
    """The weight, or 1 where it is 0, to divide by."""
    return torch.where(weight > 0, weight, 1.0)


def step_rate(count: Tensor, weight: Tensor, keep: float) -> Tensor:
    """Step of a running mean: the new weight's share of all, never below 1 - keep; 0 where nothing is new."""
    return (count / or_one(count + weight)).clamp(min=1 - keep) * (count > 0)


def usable_rows(
    embeddings_ND: Tensor, class_N: Tensor, weight_N: Tensor, background_ND: Tensor, classes: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Finite rows (N, D) with a weight, float64, of lesions and background, with their group (N,) and weight (N,)."""
    rows_ND = torch.cat([embeddings_ND, background_ND]).double()
    group_N = torch.cat([class_N, class_N.new_full((len(background_ND),), classes)])
    mass_N = torch.cat([weight_N.double(), rows_ND.new_ones(len(background_ND))])
    kept_N = rows_ND.isfinite().all(1) & mass_N.isfinite() & (mass_N > 0)
    return rows_ND[kept_N], group_N[kept_N], mass_N[kept_N]


def nearest_slots(
    rows_ND: Tensor, group_N: Tensor, means_SD: Tensor, groups_S: Tensor, used_S: Tensor, factor_DD: Tensor
) -> Tensor:
    """Used slot (N,) of its own group that is nearest to each row, whitened; the group's first where none is used."""
    distance_NS = torch.cdist(whiten(rows_ND, factor_DD), whiten(means_SD, factor_DD))
    distance_NS = distance_NS.masked_fill(~used_S, torch.finfo(torch.float64).max)
    return distance_NS.masked_fill(group_N[:, None] != groups_S, torch.inf).argmin(1)


def ripe_slots(weight_S: Tensor, count_S: Tensor, groups_S: Tensor) -> list[int]:
    """Slots to split: the heaviest of each group that has a free slot, if it has new rows and has settled.

    Args:
        weight_S: seen before this step.
        count_S: seen in this step.
        groups_S: group of each slot.
    """
    ripe = []
    for group in range(int(groups_S.max()) + 1):
        slots = torch.nonzero(groups_S == group)[:, 0]
        heaviest = int(slots[weight_S[slots].argmax()])
        weight, count = float(weight_S[heaviest]), float(count_S[heaviest])
        if bool((weight_S[slots] == 0).any()) and 0 < SETTLED * count <= weight:
            ripe.append(heaviest)
    return ripe


def halves(mean_D: Tensor, scatter_DD: Tensor, factor_DD: Tensor) -> Tensor:
    """Where the two prototypes (2, D) start that one is split into: on both sides of it.

    The direction is the one in which its rows spread most, compared with the shared covariance.

    Args:
        mean_D: prototype to split.
        scatter_DD: mean outer product of the offsets of its rows.
        factor_DD: of `whitener`.
    """
    half_DD = torch.linalg.solve_triangular(factor_DD, scatter_DD, upper=False)
    relative_DD = torch.linalg.solve_triangular(factor_DD, half_DD.T, upper=False)
    values_D, vectors_DD = torch.linalg.eigh((relative_DD + relative_DD.T) / 2)
    step_D = NUDGE * factor_DD @ vectors_DD[:, -1] * values_D[-1].clamp(min=0).sqrt()
    step_D = step_D * step_D[step_D.abs().argmax()].sign()  # an eigenvector has no sign of its own
    return torch.stack([mean_D + step_D, mean_D - step_D])


def split_rows(rows_ND: Tensor, factor_DD: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """Means (slots, D) and row counts (slots,) of k-means in the whitened metric, always the same for the same rows.

    The start is the row nearest to the mean, then each time the row farthest from those chosen; then `LLOYD_ROUNDS`
    rounds. A slot that loses its last row keeps its place with a count of 0.
    """
    white_ND = whiten(rows_ND, factor_DD)
    chosen = [int((white_ND - white_ND.mean(0)).square().sum(1).argmin())]
    while len(chosen) < slots:
        chosen.append(int(torch.cdist(white_ND, white_ND[chosen]).amin(1).argmax()))
    centres_KD, count_K = white_ND[chosen], torch.zeros(slots)
    for _ in range(LLOYD_ROUNDS):
        member_NK = torch.nn.functional.one_hot(torch.cdist(white_ND, centres_KD).argmin(1), slots).double()
        count_K = member_NK.sum(0)
        means_KD = member_NK.T @ white_ND / count_K.clamp(min=1)[:, None]
        centres_KD = torch.where(count_K[:, None] > 0, means_KD, centres_KD)
    return centres_KD @ factor_DD.T, count_K


def contrast_weights(used_C: Tensor, background: bool) -> Tensor:
    """Weights (C, C + 1) of the groups that each class is held against; each row sums to one, or is zero.

    The background has half, the other classes that have prototypes share the other half evenly; where only one kind
    is there, it has all.
    """
    others_CC = used_C.double().expand(len(used_C), -1) * (1 - torch.eye(len(used_C), device=used_C.device))
    count_C1 = others_CC.sum(1, keepdim=True)
    others_share_C1 = (count_C1 > 0) * (0.5 if background else 1.0)
    background_C1 = (1 - others_share_C1) * float(background)
    return torch.cat([others_CC / count_C1.clamp(min=1) * others_share_C1, background_C1], 1)


def group_log_densities(
    embeddings_RD: Tensor, means_SD: Tensor, weight_S: Tensor, groups_S: Tensor, factor_DD: Tensor
) -> Tensor:
    """Log density (G, R) of each group's mixture, float32, without the terms that all of them have in common.

    Args:
        embeddings_RD: locations to score.
        means_SD: prototypes.
        weight_S: of each in its own group's mixture, up to a factor; 0 = unused.
        groups_S: group of each, ascending.
        factor_DD: of `whitener`.
    """
    used_S = weight_S > 0
    groups = int(groups_S.max()) + 1
    group_weight_G = weight_S.new_zeros(groups).index_add(0, groups_S, weight_S)
    centre_D = means_SD[used_S].sum(0) / used_S.sum().clamp(min=1)
    offsets_DS = torch.where(used_S, (means_SD - centre_D).T, 0.0)  # smaller numbers, less rounding
    directions_DS = torch.cholesky_solve(offsets_DS, factor_DD)
    log_share_S = (weight_S / or_one(group_weight_G)[groups_S]).log()
    bias_S = log_share_S - 0.5 * (offsets_DS * directions_DS).sum(0)
    with torch.autocast(embeddings_RD.device.type, enabled=False):
        scores_SR = directions_DS.T.float() @ (embeddings_RD.float() - centre_D.float()).T + bias_S.float()[:, None]
    return torch.stack([scores_SR[groups_S == group].logsumexp(0) for group in range(groups)])


def log_ratios(densities_GR: Tensor, columns: Sequence[int], weights_CG: Tensor) -> Tensor:
    """Log of a class's density over the weighted sum of the groups it is held against, (R, P).

    Args:
        densities_GR: of `group_log_densities`.
        columns: P classes, each 0 <= column < C.
        weights_CG: of `contrast_weights`.
    """
    log_weights_CG = weights_CG.log().to(densities_GR.dtype)
    against = [(densities_GR + log_weights_CG[column][:, None]).logsumexp(0) for column in columns]
    return torch.stack([densities_GR[column] - rest for column, rest in zip(columns, against, strict=True)], 1)
