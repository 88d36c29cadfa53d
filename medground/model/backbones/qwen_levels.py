"""The trained parts between Qwen's towers and the heads: three levels of one width, and phrase vectors.

Legend: B images, C channels, H W rows and columns, P phrases, T tokens, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Level(nn.Module):
    """Normalises each token, then a 1x1 convolution to the common width.

    The norm has no affine part and comes first: large vision towers have a few channels hundreds of times the size of
    the rest (Darcet et al., Vision Transformers Need Registers, 2023), which a plain projection would follow.
    """

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(inside, width, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """(B, inside, H, W) of any precision to (B, width, H, W) in float32."""
        mean_B1HW = x_BCHW.float().mean(1, keepdim=True)
        spread_B1HW = x_BCHW.float().var(1, keepdim=True, unbiased=False)
        level: Tensor = self.project((x_BCHW.float() - mean_B1HW) * torch.rsqrt(spread_B1HW + 1e-6))
        return level


class QwenLevels(nn.Module):
    """Merged tokens, a late and an early block to strides of two patches, one and a half, with a top-down path.

    The finest level unfolds each early token into two by two cells (sub-pixel convolution, Shi et al., 2016): what is
    smaller than a patch is in the token's channels, where interpolation would not find it.
    """

    def __init__(self, vision_width: int, merged_width: int, width: int) -> None:
        super().__init__()
        self.coarse = Level(merged_width, width)
        self.middle = Level(vision_width, width)
        self.fine = Level(vision_width, 4 * width)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1) for _ in range(3))

    def forward(self, early_BCHW: Tensor, late_BCHW: Tensor, merged_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Three levels (B, width, H, W), finest first; each is twice the size of the next."""
        coarse = self.coarse(merged_BCHW)
        middle = self.middle(late_BCHW) + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = F.pixel_shuffle(self.fine(early_BCHW), 2) + F.interpolate(middle, scale_factor=2.0, mode="nearest")
        return self.smooth[0](fine), self.smooth[1](middle), self.smooth[2](coarse)


class QwenPhrases(nn.Module):
    """The mean of the language model's last hidden states over a phrase, projected to a unit vector."""

    def __init__(self, language_width: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(language_width)
        self.project = nn.Linear(language_width, width)

    def forward(self, states_PTD: Tensor, keep_PT: Tensor) -> Tensor:
        """Phrase vectors (P, D).

        Args:
            states_PTD: hidden states of any precision.
            keep_PT: 1 for tokens, 0 for padding; every phrase has a token.
        """
        keep_PT1 = keep_PT.unsqueeze(-1).float()
        mean_PD = (self.norm(states_PTD.float()) * keep_PT1).sum(1) / keep_PT1.sum(1)
        return F.normalize(self.project(mean_PD), dim=-1)
