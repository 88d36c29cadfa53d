"""Convolutions as the compact model stacks them."""

from __future__ import annotations

from torch import nn

from medground.model.shared_norm import SharedBatchNorm2d


def activated(name: str) -> nn.Module:
    """The activation of that name: `relu` or `silu`."""
    return nn.ReLU() if name == "relu" else nn.SiLU()


def convolution(
    inside: int, outside: int, kernel: int = 3, stride: int = 1, *, activation: str = "silu"
) -> nn.Sequential:
    """Convolution, batch norm, activation; keeps the size when stride is 1."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        SharedBatchNorm2d(outside),
        activated(activation),
    )


def separable(inside: int, outside: int, *, activation: str = "silu") -> nn.Sequential:
    """Depthwise 3x3 then pointwise convolution, each with batch norm and activation."""
    return nn.Sequential(
        nn.Conv2d(inside, inside, 3, 1, 1, groups=inside, bias=False),
        SharedBatchNorm2d(inside),
        activated(activation),
        nn.Conv2d(inside, outside, 1, bias=False),
        SharedBatchNorm2d(outside),
        activated(activation),
    )
