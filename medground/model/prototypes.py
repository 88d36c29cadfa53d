"""Prototypes of rare classes: what their locations look like, held against the background and the other classes.

Text alone is learned poorly from a handful of images. A bank keeps a few mean embeddings per class and scores a
location by a likelihood ratio; its share of the score shrinks as the images of the class grow in number. A class that
was added after training is held against the common run of locations instead (`ground_statistics`): the network learned
nothing that sets it apart from lesions.

Legend: C classes, K prototypes per class, M background prototypes, S = C K + M slots, D embedding width, N rows,
    B images, A locations, P phrases.
Source: Snell et al., Prototypical Networks for Few-shot Learning, 2017, eq. 1 and 2 (class means as classifier), here
with a covariance, several means per class and a background. Splitting: Linde, Buzo and Gray, An Algorithm for Vector
Quantizer Design, 1980, section III.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from medground.model.ground_statistics import GroundStatistics
from medground.model.prototype_scores import (
    contrast_weights,
    group_log_densities,
    halves,
    log_ratios,
    nearest_slots,
    or_one,
    ripe_slots,
    split_rows,
    step_rate,
    usable_rows,
    whitener,
)
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError

ABSENT = -20.0  # log ratio of a class that has no prototypes, or nothing to be held against


class PrototypeConfig(StrictConfig):
    """How prototypes are kept, and how much they say.

    Attributes:
        per_class: most prototypes of a class.
        background: most prototypes of what is no class at all.
        keep: share of a prototype that a step leaves as it was, once enough has been seen.
        shrinkage: share of a sphere in the shared covariance, 0..1.
        images_half: training images at which a class's prototypes have half of `max_share`.
        max_share: share of the score that the prototypes of a class without training images would have.
    """

    per_class: int = Field(default=3, ge=1, le=64)
    background: int = Field(default=8, ge=1, le=256)
    keep: float = Field(default=0.99, ge=0, lt=1)
    shrinkage: float = Field(default=0.1, ge=0, le=1)
    images_half: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    max_share: float = Field(default=0.5, ge=0, le=1)


def alone(sums: Tensor) -> Tensor:
    """The sum over processes where there is only one."""
    return sums


class PrototypeBank(nn.Module):
    """Prototypes of C classes and of the background, with one shared covariance. Nothing in it is trained by gradient.

    Statistics are float64, so that a bundle, which stores float32 matrices in half precision, keeps them as they are.

    Attributes:
        means_CKD, weight_CK: prototypes, and the weight of the rows that each has seen; 0 = unused.
        background_MD, background_weight_M: the same for the background.
        scatter_DD, scatter_weight: mean outer product of the rows' offsets from their prototype, and the weight seen.
        images_C: training images that hold the class.
        added_C: whether the class was added after training, so that its text was never trained.
        slope, offset: from the log ratio to the scale of text logits.
        added_slope, added_offset: the same for the log ratio of an added class.
        ground: statistics of all locations.
    """

    means_CKD: Tensor
    weight_CK: Tensor
    background_MD: Tensor
    background_weight_M: Tensor
    scatter_DD: Tensor
    scatter_weight: Tensor
    images_C: Tensor
    added_C: Tensor
    slope: Tensor
    offset: Tensor
    added_slope: Tensor
    added_offset: Tensor

    def __init__(self, classes: int, width: int, config: PrototypeConfig) -> None:
        super().__init__()
        self.config = config
        zeros = partial(torch.zeros, dtype=torch.float64)
        self.register_buffer("means_CKD", zeros(classes, config.per_class, width))
        self.register_buffer("weight_CK", zeros(classes, config.per_class))
        self.register_buffer("background_MD", zeros(config.background, width))
        self.register_buffer("background_weight_M", zeros(config.background))
        self.register_buffer("scatter_DD", zeros(width, width))
        self.register_buffer("scatter_weight", zeros(()))
        for name in ("", "added_"):
            self.register_buffer(f"{name}slope", torch.ones((), dtype=torch.float64))
            self.register_buffer(f"{name}offset", zeros(()))
        self.register_buffer("images_C", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("added_C", torch.zeros(classes, dtype=torch.bool))
        self.ground = GroundStatistics(width)

    @torch.no_grad()
    def set_images(self, images_C: Tensor) -> None:
        """Sets in how many training images (C,) each class is found.

        Raises:
            UsageError: if there is not one count, zero or more, for each class.
        """
        if images_C.shape != self.images_C.shape or bool((images_C < 0).any()):
            raise UsageError(f"image counts {images_C.tolist()}: give {len(self.images_C)}, one per class, each >= 0")
        self.images_C.copy_(images_C)

    @torch.no_grad()
    def update(
        self,
        embeddings_ND: Tensor,
        class_N: Tensor,
        weight_N: Tensor,
        background_ND: Tensor,
        *,
        total: Callable[[Tensor], Tensor] = alone,
    ) -> None:
        """Takes in the rows of one training step.

        Each row goes to the nearest prototype of its class. The first prototype of a class starts as the mean of its
        first rows. While a class has unused slots, its heaviest prototype is split once it has seen `SETTLED` times
        what the step adds: along the direction in which the step's rows spread most about it (whitened), into two of
        half its weight. Everything is made of sums that `total` reduces, so it does not matter how rows are spread
        over processes; each process must call this, with or without rows. Rows that are not finite are left out:
        one overflow must not spoil the bank for good.

        Args:
            embeddings_ND: embeddings of locations on lesions.
            class_N: int64, class column of each.
            weight_N: weight of each, >= 0.
            background_ND: embeddings of locations on nothing; each weighs 1.
            total: sums a tensor over all processes.

        Raises:
            UsageError: for a class column that is not there.
        """
        classes = len(self.images_C)
        if wrong := set(class_N.tolist()) - set(range(classes)):
            raise UsageError(f"class columns {sorted(wrong)} are not there: give 0 to {classes - 1}")
        rows_ND, group_N, mass_N = usable_rows(embeddings_ND, class_N, weight_N, background_ND, classes)
        (means_SD, weight_S), groups_S = self._slots(), self._groups()
        factor_DD = whitener(self.scatter_DD, self.config.shrinkage)
        slot_N = nearest_slots(rows_ND, group_N, means_SD, groups_S, weight_S > 0, factor_DD)

        mass_NS = nn.functional.one_hot(slot_N, len(weight_S)) * mass_N[:, None]
        sums = total(torch.cat([mass_NS.sum(0)[:, None], mass_NS.T @ rows_ND], 1))
        count_S, sum_SD = sums[:, 0], sums[:, 1:]
        rate_S1 = step_rate(count_S, weight_S, self.config.keep)[:, None]
        means_SD += rate_S1 * (sum_SD / or_one(count_S)[:, None] - means_SD)

        ripe = ripe_slots(weight_S, count_S, groups_S)
        offsets_ND = rows_ND - means_SD[slot_N]
        masses = [mass_N] + [mass_N * (slot_N == slot) for slot in ripe]
        scatters = total(torch.stack([(mass[:, None] * offsets_ND).T @ offsets_ND for mass in masses]))
        seen = count_S.sum()
        change_DD = scatters[0] / or_one(seen) - self.scatter_DD
        self.scatter_DD += step_rate(seen, self.scatter_weight, self.config.keep) * change_DD
        self.scatter_weight += seen

        weight_S += count_S
        factor_DD = whitener(self.scatter_DD, self.config.shrinkage)
        for slot, scatter_DD in zip(ripe, scatters[1:], strict=True):
            free = int(torch.nonzero((groups_S == groups_S[slot]) & (weight_S == 0))[0])
            means_SD[[slot, free]] = halves(means_SD[slot], scatter_DD / count_S[slot], factor_DD)
            weight_S[[slot, free]] = weight_S[slot] / 2
        self._put(means_SD, weight_S)

    @torch.no_grad()
    def log_ratio(self, embeddings: Tensor, columns: Sequence[int]) -> Tensor:
        """How much likelier each location is under a class than under the background and all other classes.

        An added class is held against the ground; see `ground_ratio`.

        Args:
            embeddings: (..., D).
            columns: P class columns; -1 = no class.

        Returns:
            Natural log of the ratio of densities, (..., P), float32; `ABSENT` for no class, and for a class without
            prototypes or with nothing to be held against. No gradient flows.

        Raises:
            UsageError: for a column that is not there.
        """
        self._check(columns)
        if not columns:
            return embeddings.new_zeros((*embeddings.shape[:-1], 0), dtype=torch.float32)
        means_SD, weight_S = self._slots()
        factor_DD = whitener(self.scatter_DD, self.config.shrinkage)
        rows_RD = embeddings.reshape(-1, embeddings.shape[-1])
        densities_GR = group_log_densities(rows_RD, means_SD, weight_S, self._groups(), factor_DD)
        weights_CG = contrast_weights(self.weight_CK.sum(1) > 0, bool(self.background_weight_M.any()))
        asked = [max(column, 0) for column in columns]
        ratio = log_ratios(densities_GR, asked, weights_CG).view(*embeddings.shape[:-1], len(columns))
        if bool(self.added_C[asked].any()):
            ratio = torch.where(self.added_C[asked], self.ground_ratio(embeddings, columns), ratio)
        known_P = self._ready()[asked] & torch.tensor([column >= 0 for column in columns], device=ratio.device)
        return torch.where(known_P, ratio, ABSENT)

    @torch.no_grad()
    def ground_ratio(self, embeddings: Tensor, columns: Sequence[int]) -> Tensor:
        """How much likelier each location is under a class than under the common run of locations.

        Args:
            embeddings: (..., D).
            columns: P class columns; -1 = no class.

        Returns:
            Natural log of the ratio, (..., P), float32; `ABSENT` for no class and for a class without prototypes.
        """
        rows_RD = embeddings.reshape(-1, embeddings.shape[-1])
        scores_RP = rows_RD.new_full((len(rows_RD), len(columns)), ABSENT, dtype=torch.float32)
        for place, column in enumerate(columns):
            if column >= 0 and bool(self.weight_CK[column].any()):
                known = self.means_CKD[column], self.weight_CK[column], self.scatter_DD
                scores_RP[:, place] = self.ground.log_ratio(rows_RD, *known, self.config.shrinkage)
        return scores_RP.view(*embeddings.shape[:-1], len(columns))

    @torch.no_grad()
    def share_C(self) -> Tensor:  # noqa: N802 - shape suffix
        """Share (C,), 0..1, of the prototypes in each class's score: 1 for an added class, 0 without prototypes.

        It is 0, too, for a class whose images were not counted (`set_images`): that is done when training has ended and
        slope and offset are fitted; until then the ratios are on no scale, and would drown the text.
        """
        half = self.config.images_half
        share_C = self.config.max_share * half / (half + self.images_C.double()) * (self.images_C > 0)
        return torch.where(self.added_C, 1.0, share_C) * self._ready()

    def blend(self, text_logits_BAP: Tensor, embeddings_BAD: Tensor, columns: Sequence[int]) -> Tensor:
        """Scores (B, A, P) of text and prototypes, mixed by `share_C`; a column of -1 leaves the text alone.

        Gradient flows through the text only.

        Raises:
            UsageError: for a column that is not there.
        """
        self._check(columns)
        share_P = torch.cat([self.share_C(), self.slope.new_zeros(1)])[list(columns)].to(text_logits_BAP.dtype)
        if not bool(share_P.any()):
            return text_logits_BAP
        added_P = torch.cat([self.added_C, self.added_C.new_zeros(1)])[list(columns)]
        slope_P = torch.where(added_P, self.added_slope, self.slope).float()
        offset_P = torch.where(added_P, self.added_offset, self.offset).float()
        scores_BAP = slope_P * self.log_ratio(embeddings_BAD, columns) + offset_P
        return (1 - share_P) * text_logits_BAP + share_P * scores_BAP.to(text_logits_BAP.dtype)

    @torch.no_grad()
    def with_class(self, embeddings_ND: Tensor, images: int) -> PrototypeBank:
        """A new bank with one more class, the last column, known from a few examples only.

        Its prototypes are `split_rows` of the examples, at most one for two rows. Covariance, background, ground and
        the other prototypes stay; the other classes are held against the new class too.

        Args:
            embeddings_ND: embeddings of locations on the examples.
            images: images that they come from, >= 1.

        Raises:
            UsageError: if the rows cannot be used, or the bank has seen nothing to hold the class against.
        """
        classes, per_class, width = self.means_CKD.shape
        if embeddings_ND.ndim != 2 or embeddings_ND.shape[1] != width:
            raise UsageError(f"examples have shape {tuple(embeddings_ND.shape)}: give rows of {width} numbers")
        if len(embeddings_ND) == 0 or images < 1:
            raise UsageError(f"{len(embeddings_ND)} rows of {images} images: give at least one example of the class")
        bad = int((~embeddings_ND.isfinite()).any(1).sum())
        if bad:
            raise UsageError(f"{bad} of {len(embeddings_ND)} example rows are not finite: leave those images out")
        if not self.ground.known:
            raise UsageError("this bank knows no ground to hold a new class against: let it see locations of images")
        slots = max(1, min(per_class, len(embeddings_ND) // 2))
        factor_DD = whitener(self.ground.covariance_DD, self.config.shrinkage)
        means_KD, count_K = split_rows(embeddings_ND, factor_DD, slots)
        bank = PrototypeBank(classes + 1, width, self.config).to(self.scatter_DD.device)
        for name, value in self.named_buffers():
            grown = bank.get_buffer(name)
            (grown if grown.shape == value.shape else grown[:classes]).copy_(value)
        bank.means_CKD[-1, :slots], bank.weight_CK[-1, :slots] = means_KD, count_K
        bank.images_C[-1], bank.added_C[-1] = images, True
        return bank

    def _check(self, columns: Sequence[int]) -> None:
        classes = len(self.images_C)
        for column in columns:
            if not -1 <= column < classes:
                raise UsageError(f"class column {column} is not there: give 0 to {classes - 1}, or -1 for no class")

    def _slots(self) -> tuple[Tensor, Tensor]:
        """Copies of all prototypes (S, D) and weights (S,), class by class, then the background."""
        means_SD = torch.cat([self.means_CKD.flatten(0, 1), self.background_MD]).double()
        return means_SD, torch.cat([self.weight_CK.flatten(), self.background_weight_M]).double()

    def _put(self, means_SD: Tensor, weight_S: Tensor) -> None:
        own = self.weight_CK.numel()
        self.means_CKD.copy_(means_SD[:own].view_as(self.means_CKD))
        self.weight_CK.copy_(weight_S[:own].view_as(self.weight_CK))
        self.background_MD.copy_(means_SD[own:])
        self.background_weight_M.copy_(weight_S[own:])

    def _groups(self) -> Tensor:
        """Group (S,) of each slot: its class, or C for the background."""
        own = torch.arange(self.weight_CK.numel(), device=self.weight_CK.device) // self.weight_CK.shape[1]
        return torch.cat([own, own.new_full((len(self.background_weight_M),), len(self.images_C))])

    def _ready(self) -> Tensor:
        """Whether (C,) a class has prototypes, a covariance, and something to be held against."""
        used_C = self.weight_CK.sum(1) > 0
        others_C = used_C.sum() - used_C.long() + (self.background_weight_M.sum() > 0)
        trained_C = (others_C > 0) & (self.scatter_DD.diagonal().sum() > 0)
        return used_C & torch.where(self.added_C, self.ground.known, trained_C)
