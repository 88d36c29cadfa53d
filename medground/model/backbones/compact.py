"""A small convolutional pyramid, text encoder and describer that answer on a laptop CPU.

Legend: B images, C channels, H W rows and columns of a level, P phrases, N regions, S samples per side of a region.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from medground.imaging.preprocess import BLACK
from medground.model.backbones.interface import Backbone, Pyramid, Statement
from medground.model.config import CompactConfig
from medground.model.describer import IGNORE, Describer
from medground.model.layers import convolution, separable
from medground.model.losses import sequence_loss
from medground.model.roi import SAMPLES
from medground.model.text_encoder import TextEncoder
from medground.model.tokenizer import encode

STRIDES_PX = (8, 16, 32)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity (He et al., Deep Residual Learning, 2016)."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(width, width // 2, activation=activation), convolution(width // 2, width, activation=activation)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Returns a tensor of the same shape."""
        change: Tensor = self.body(x_BCHW)
        return x_BCHW + change


class PooledContext(nn.Module):
    """Repeated 5x5 max pooling, concatenated: a wide view at little cost (SPPF; Jocher, YOLOv5, 2020)."""

    def __init__(self, width: int, activation: str) -> None:
        super().__init__()
        self.squeeze = convolution(width, width // 2, 1, activation=activation)
        self.merge = convolution(width * 2, width, 1, activation=activation)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Returns a tensor of the same shape."""
        views = [self.squeeze(x_BCHW)]
        for _ in range(3):
            views.append(F.max_pool2d(views[-1], 5, 1, 2))
        merged: Tensor = self.merge(torch.cat(views, 1))
        return merged


class CompactPyramid(nn.Module):
    """Strided convolutions, residual blocks, pooled context and a top-down pyramid (Lin et al., FPN, 2017)."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        act, stem, width = config.activation, config.stem_width, config.pyramid_width
        self.stem = convolution(1, stem, 3, 2, activation=act) if stem else nn.PixelUnshuffle(4)
        stages: list[nn.Module] = []
        before, stride = (stem, 2) if stem else (16, 1)
        for channels, blocks in zip(config.channels, config.blocks, strict=True):
            body = (ResidualBlock(channels, act) for _ in range(blocks))
            stages.append(nn.Sequential(convolution(before, channels, 3, stride, activation=act), *body))
            before, stride = channels, 2
        self.stages = nn.ModuleList(stages)
        self.beside = nn.Conv2d(32, config.channels[0], 3, 1, 1, bias=False) if config.beside else None
        if self.beside is not None:
            nn.init.zeros_(self.beside.weight)  # slices beside say nothing until it is learned what they say
        self.context = PooledContext(before, act)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in config.channels[1:])
        smooth = separable if config.separable else convolution
        self.smooth = nn.ModuleList(smooth(width, width, activation=act) for _ in STRIDES_PX)

    def forward(self, images_BCHW: Tensor) -> Pyramid:
        """Computes the pyramid.

        Args:
            images_BCHW: standardised images, sides multiples of 32 pixels.
        """
        x = self._first(images_BCHW)
        features = [x]
        for stage in self.stages[1:]:
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

    def _first(self, images_BCHW: Tensor) -> Tensor:
        """The first stage; by how much the slices beside differ from the image is added to its first convolution."""
        middle = images_BCHW.shape[1] // 2
        own_B1HW, (first, *blocks) = images_BCHW[:, middle : middle + 1], self.stages[0].children()
        kernel, *after = first.children()
        x: Tensor = kernel(self.stem(own_B1HW))
        if middle and self.beside is not None:
            x = x + self.beside(
                torch.cat([self.stem(images_BCHW[:, side : side + 1] - own_B1HW) for side in (0, 2)], 1)
            )
        for layer in (*after, *blocks):
            x = layer(x)
        return x


class CompactBackbone(Backbone):
    """A `Backbone` that is learned from nothing; see `interface`.

    Args:
        config: sizes.
        tokenizer: of the text encoder.
    """

    def __init__(self, config: CompactConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.pyramid = CompactPyramid(config)
        self.text = TextEncoder(config.text)
        region = config.pyramid_width * SAMPLES**2
        self.describer_region = nn.Sequential(
            nn.Linear(region, 2 * self.width), nn.SiLU(), nn.Linear(2 * self.width, self.width)
        )
        self.describer = Describer(self.width, config.describer)

    @property
    def strides_px(self) -> tuple[int, ...]:
        """8, 16 and 32."""
        return STRIDES_PX

    @property
    def width(self) -> int:
        """Channels of every level."""
        return self.config.pyramid_width

    @property
    def image_width(self) -> int:
        """Length of the image vector."""
        return self.config.channels[-1]

    @property
    def text_width(self) -> int:
        """Length of a phrase vector."""
        return self.config.text.width

    def given(self) -> frozenset[str]:
        """Nothing is pretrained."""
        return frozenset()

    def look(self, images_BCHW: Tensor) -> Pyramid:
        """Images to a pyramid; sides are padded to multiples of 32 at the right and bottom."""
        rows, columns = images_BCHW.shape[2:]
        extra = (0, -columns % STRIDES_PX[-1], 0, -rows % STRIDES_PX[-1])
        if any(extra):
            images_BCHW = F.pad(images_BCHW, extra, value=BLACK)
        pyramid: Pyramid = self.pyramid(images_BCHW)
        return pyramid

    def read(self, phrases: Sequence[str]) -> Tensor:
        """Phrases to (P, D) unit vectors."""
        if not phrases:
            return self.text.position.new_zeros(0, self.text_width)
        ids_PT = encode(self.tokenizer, phrases, self.config.text.max_tokens).to(self.text.position.device)
        vectors_PD: Tensor = self.text(ids_PT)
        return vectors_PD

    def description_loss(self, regions_NCSS: Tensor, statements: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Teacher-forced loss of the appearance words of each region; each statement is one word."""
        if not len(statements):
            return regions_NCSS.sum() * 0.0, regions_NCSS.new_zeros(())
        target_NT = self.describer.targets(statements)
        vector_ND = self.describer_region(regions_NCSS.flatten(1))
        loss = sequence_loss(self.describer(vector_ND, target_NT), target_NT, ignore=IGNORE)
        return loss, (target_NT != IGNORE).sum().to(loss.dtype)

    def liken(self, regions_NCSS: Tensor, groups: Sequence[Sequence[str]]) -> list[Tensor]:
        """How well the words of each group fit each region."""
        return self.describer.liken(self.describer_region(regions_NCSS.flatten(1)), groups)

    def describe(self, regions_NCSS: Tensor, *, allowed: Sequence[str] | None = None) -> list[tuple[Statement, ...]]:
        """Appearance words of each region, greedily to the end."""
        if not len(regions_NCSS):
            return []
        return self.describer.decode(self.describer_region(regions_NCSS.flatten(1)), allowed=allowed)
