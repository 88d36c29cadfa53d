"""Pretraining without labels: hide patches of a film and restore them from every level of the pyramid.

The network sees a film with some patches blanked and tells, from each level, what the blanks held. What it learns is
where anatomy goes on, which is what a localiser needs before it has seen a box.

Batch norms: a film with blanks has other means and variances than a whole one, so the running statistics of this
pretraining are wrong for whole films. A stage that sees whole films with the pyramid open replaces them; do not freeze,
calibrate or serve the pyramid before one has.

Legend: B images, H W rows and columns of the image (of the patch grid in `hidden_BHW`), C channels, h w rows and
columns of a level, V values along a side of a level's cell, P pixels along a side of a patch.
Source: He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, section 3 (patches normalised one by
one; loss on hidden patches only). Here a convolutional pyramid sees blanks in place, and every level is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError

BLANK = 0.0  # the middle of the standardised range: unlike padding and air, which are black


class RestorationConfig(StrictConfig):
    """What is hidden and what is asked.

    Attributes:
        patch_px: side of a patch; the sides of the images are multiples of it.
        hidden: share of the patches that is hidden, of those that are not flat.
        values: what is predicted for a level of stride s: `values` x `values` means of (s / `values`)-pixel squares in
            each cell.
        flat: a patch whose standard deviation is not above it (standardised units, a display's grey level is about
            0.016) is padding or air: it is never hidden.
        softening: added to a patch's standard deviation before division (standardised units).
    """

    patch_px: int = Field(default=32, ge=1)
    hidden: float = Field(default=0.5, ge=0, lt=1)
    values: int = Field(default=4, ge=1)
    flat: float = Field(default=0.01, ge=0)
    softening: float = Field(default=0.01, gt=0)


class RestorationHead(nn.Module):
    """One 1x1 convolution per level, from features to the content of its cells; thrown away after pretraining.

    Args:
        width: channels of every level.
        strides_px: stride of each level.
        config: of the patches.

    Raises:
        UsageError: if a value would not be a whole number of pixels, or would lie in two patches.
    """

    def __init__(self, width: int, strides_px: Sequence[int], config: RestorationConfig) -> None:
        super().__init__()
        self.config, self.strides_px = config, tuple(strides_px)
        for stride in self.strides_px:
            if stride % config.values:
                raise UsageError(f"stride {stride} px is no multiple of {config.values} values; change `values`")
            if config.patch_px % (stride // config.values):
                size = stride // config.values
                raise UsageError(f"patch of {config.patch_px} px is no multiple of {size} px; change `patch_px`")
        self.project = nn.ModuleList(nn.Conv2d(width, config.values**2, 1) for _ in self.strides_px)

    def forward(self, levels_BCHW: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Predicts what `restoration_targets` gives.

        Args:
            levels_BCHW: (B, C, h, w) features of each level.

        Returns:
            For each level (B, 1, V h, V w).
        """
        return tuple(
            F.pixel_shuffle(project(level), self.config.values)
            for project, level in zip(self.project, levels_BCHW, strict=True)
        )


def hide(images_B1HW: Tensor, config: RestorationConfig, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blanks a share of the patches of each image; flat ones (padding, air) are neither hidden nor part of the share.

    Args:
        images_B1HW: standardised images, sides multiples of `config.patch_px`.
        config: which and how many patches.
        rng: decides which; the same state hides the same patches.

    Returns:
        seen_B1HW: the images with hidden patches at 0.
        hidden_BHW: bool, (B, H / patch, W / patch).

    Raises:
        UsageError: if the sides are no multiples of the patch.
    """
    uneven_BHW = _centred(images_B1HW, config.patch_px)[1] > config.flat
    uneven_BP = uneven_BHW.flatten(1)
    lot_BP = torch.rand(uneven_BP.shape, generator=rng, device=rng.device).to(images_B1HW.device)
    rank_BP = lot_BP.masked_fill(~uneven_BP, 2.0).argsort(1).argsort(1)  # flat patches come last
    count_B1 = (uneven_BP.sum(1, keepdim=True) * config.hidden).round()
    hidden_BHW = (rank_BP < count_B1).view_as(uneven_BHW)
    blank_B1HW = _spread(hidden_BHW, config.patch_px)
    return images_B1HW.masked_fill(blank_B1HW, BLANK), hidden_BHW


def restoration_targets(
    images_B1HW: Tensor, strides_px: Sequence[int], config: RestorationConfig
) -> tuple[Tensor, ...]:
    """What each level is to predict: each patch less its mean, over its deviation, then averaged to the level's scale.

    So brightness and contrast of a patch count for nothing. One deviation, that of the pixels, serves all levels:
    noise, which averages away, is not blown up at the coarse ones.

    Args:
        images_B1HW: standardised images before anything was hidden.
        strides_px: stride of each level.
        config: of the patches.

    Returns:
        For each level (B, 1, V h, V w), float32.

    Raises:
        UsageError: if the sides are no multiples of the patch.
    """
    centred_BHPWP, deviation_BHW = _centred(images_B1HW, config.patch_px)
    scale_BHPWP = deviation_BHW[:, :, None, :, None] + config.softening
    even_B1HW = (centred_BHPWP / scale_BHPWP).view_as(images_B1HW)
    return tuple(F.avg_pool2d(even_B1HW, stride // config.values) for stride in strides_px)


def restoration_loss(
    head: RestorationHead,
    levels_BCHW: Sequence[Tensor],
    strides_px: Sequence[int],
    images_B1HW: Tensor,
    hidden_BHW: Tensor,
) -> tuple[Tensor, Tensor]:
    """Smooth L1 over the hidden patches, averaged over levels, as a sum and a count.

    Add both over processes before dividing, with the count at least 1: the mean is then that of one process.

    Args:
        head: predicts the content.
        levels_BCHW: (B, C, h, w) features of each level, computed from what `hide` left to see.
        strides_px: stride of each level, as the pyramid says.
        images_B1HW: standardised images before anything was hidden.
        hidden_BHW: bool patch grid from `hide`.

    Returns:
        sum: over hidden patches, of the mean over levels of the mean over a patch's values. 0 if nothing is hidden.
        count: hidden patches, in the type of the sum so that both travel in one tensor.

    Raises:
        UsageError: if the levels are not those of the head, or sides are no multiples of the patch.
    """
    if tuple(strides_px) != head.strides_px:
        raise UsageError(f"levels of strides {tuple(strides_px)} px, but the head restores {head.strides_px}")
    config = head.config
    targets = restoration_targets(images_B1HW, strides_px, config)
    per_level = []
    for stride, target, said in zip(strides_px, targets, head(levels_BCHW), strict=True):
        side = config.patch_px * config.values // stride  # values along a patch
        error = F.smooth_l1_loss(said.float(), target, reduction="none")
        per_level.append((error * _spread(hidden_BHW, side)).sum() / side**2)
    return torch.stack(per_level).mean(), hidden_BHW.sum().to(torch.float32)


def _centred(images_B1HW: Tensor, patch_px: int) -> tuple[Tensor, Tensor]:
    """Each patch less its mean, (B, patch rows, rows in a patch, patch columns, columns in a patch); its deviation."""
    count, _, rows, columns = images_B1HW.shape
    if rows % patch_px or columns % patch_px:
        raise UsageError(f"image of {rows} x {columns} px: pad the sides to multiples of the {patch_px}-pixel patch")
    grid = (count, rows // patch_px, patch_px, columns // patch_px, patch_px)
    patches_BHPWP = images_B1HW.float().reshape(grid)
    centred_BHPWP = patches_BHPWP - patches_BHPWP.mean((2, 4), keepdim=True)
    return centred_BHPWP, centred_BHPWP.square().mean((2, 4)).sqrt()


def _spread(grid_BHW: Tensor, side: int) -> Tensor:
    """Each cell of a grid as a square of `side` x `side`, (B, 1, side rows, side columns)."""
    return grid_BHW.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, None]
