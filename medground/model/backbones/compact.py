"""A small convolutional pyramid that answers on a laptop CPU.

Legend: B images, C channels, H W rows and columns of a level.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medground.model.backbones.interface import Pyramid as Pyramid
from medground.model.config import CompactConfig

STRIDES_PX = (8, 16, 32)


def convolution(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, SiLU; keeps the size when stride is 1."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outside), nn.SiLU()
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity (He et al., Deep Residual Learning, 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(width, width // 2), convolution(width // 2, width))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Returns a tensor of the same shape."""
        change: Tensor = self.body(x_BCHW)
        return x_BCHW + change


class PooledContext(nn.Module):
    """Repeated 5x5 max pooling, concatenated: a wide view at little cost (SPPF; Jocher, YOLOv5, 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = convolution(width, width // 2, 1)
        self.merge = convolution(width * 2, width, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Returns a tensor of the same shape."""
        views = [self.squeeze(x_BCHW)]
        for _ in range(3):
            views.append(F.max_pool2d(views[-1], 5, 1, 2))
        merged: Tensor = self.merge(torch.cat(views, 1))
        return merged


class CompactBackbone(nn.Module):
    """Strided convolutions, residual blocks, pooled context and a top-down pyramid (Lin et al., FPN, 2017)."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        two, *rest = config.channels
        self.stem = convolution(1, two, 3, 2)
        stages: list[nn.Module] = []
        before = two
        for width, blocks in zip(rest, config.blocks, strict=True):
            stages.append(
                nn.Sequential(convolution(before, width, 3, 2), *(ResidualBlock(width) for _ in range(blocks)))
            )
            before = width
        self.stages = nn.ModuleList(stages)
        self.context = PooledContext(before)
        self.lateral = nn.ModuleList(nn.Conv2d(width, config.pyramid_width, 1) for width in config.channels[2:])
        self.smooth = nn.ModuleList(convolution(config.pyramid_width, config.pyramid_width) for _ in STRIDES_PX)

    def forward(self, images_B1HW: Tensor) -> Pyramid:
        """Computes the pyramid.

        Args:
            images_B1HW: standardised images, sides multiples of 32 pixels.
        """
        x = self.stem(images_B1HW)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        deepest = self.context(features[-1])
        below = [*features[1:-1], deepest]
        top = self.lateral[-1](below[-1])
        levels = [self.smooth[-1](top)]
        for index in (1, 0):
            top = self.lateral[index](below[index]) + F.interpolate(top, scale_factor=2.0, mode="nearest")
            levels.insert(0, self.smooth[index](top))
        return Pyramid(tuple(levels), deepest.mean((2, 3)), STRIDES_PX)
