"""What every backbone gives, whatever it is made of: images to a pyramid, phrases to vectors, regions to words.

Heads, decoder and losses see these types only. A backbone states its strides; nothing after it may assume them.

Legend: B images, C channels, H W rows and columns of a level, P phrases, D width of phrase vectors, N regions,
S samples per side of a region.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn


def exact(values: Tensor) -> Tensor:
    """The values in float32 if they are in half precision, else as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@dataclass(frozen=True, slots=True)
class Pyramid:
    """Feature levels, and one vector per image.

    Attributes:
        levels_BCHW: tensors of equal width, finest first.
        image_BC: mean of the deepest features, which says what kind of image this is.
        strides_px: pixels of the model frame per cell of each level.
    """

    levels_BCHW: tuple[Tensor, ...]
    image_BC: Tensor
    strides_px: tuple[int, ...] = (8, 16, 32)

    def exact(self) -> Pyramid:
        """The same features, in float32 where they were computed in less."""
        return Pyramid(tuple(map(exact, self.levels_BCHW)), exact(self.image_BC), self.strides_px)

    def detached(self) -> Pyramid:
        """The same features, cut from the graph."""
        levels_BCHW = tuple(level.detach() for level in self.levels_BCHW)
        return Pyramid(levels_BCHW, self.image_BC.detach(), self.strides_px)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement about a region, and the decoder's probability of it, 0..1, given those said before."""

    text: str
    probability: float


class Backbone(nn.Module, ABC):
    """One tower for pixels and one for words, with a language decoder over regions.

    All outputs are float32, whatever the tower computes in, unless it is called within an autocast.
    """

    @property
    @abstractmethod
    def strides_px(self) -> tuple[int, ...]:
        """Strides of the pyramid, finest first."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Channels of every level."""

    @property
    @abstractmethod
    def image_width(self) -> int:
        """Length of the image vector."""

    @property
    @abstractmethod
    def text_width(self) -> int:
        """Length of a phrase vector."""

    @abstractmethod
    def given(self) -> frozenset[str]:
        """Names of parameters that stay as they were given, whatever a stage opens."""

    @abstractmethod
    def look(self, images_BCHW: Tensor) -> Pyramid:
        """Images in the model frame, standardised as by `imaging.preprocess`, to a pyramid.

        An image has one channel, or three: the slice below, itself, the slice above.

        A side that is no multiple of the coarsest stride is padded at the right or bottom, so that pixel coordinates
        of the frame hold as they are.
        """

    @abstractmethod
    def read(self, phrases: Sequence[str]) -> Tensor:
        """Phrases to (P, D) vectors of unit length; (0, D) where there are none."""

    @abstractmethod
    def description_loss(self, regions_NCSS: Tensor, statements: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Teacher-forced loss of saying each region's statements in order, to the end: sum over tokens, and how many.

        Args:
            regions_NCSS: `roi.region_features` of this backbone's pyramid.
            statements: for each region, what is to be said.
        """

    @abstractmethod
    def describe(self, regions_NCSS: Tensor, *, allowed: Sequence[str] | None = None) -> list[tuple[Statement, ...]]:
        """What is said about each region.

        Args:
            regions_NCSS: as in `description_loss`.
            allowed: closed list of statements; free text if None.
        """

    @abstractmethod
    def liken(self, regions_NCSS: Tensor, groups: Sequence[Sequence[str]]) -> list[Tensor]:
        """How well statements fit each region, by what the decoder would rather say of it.

        Args:
            regions_NCSS: as in `description_loss`.
            groups: statements of which one is true each, in the order in which they are said.

        Returns:
            For each group a table (N, number of its statements) of probabilities; each row adds up to 1.
        """

    def pretrained(self) -> Path | None:
        """Folder of the pretrained weights; None where everything is learned from nothing."""
        return None

    def save_pretrained(self, folder: Path) -> None:
        """Writes the pretrained weights as they stand now; nothing where there are none."""
