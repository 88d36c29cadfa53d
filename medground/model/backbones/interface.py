"""What every backbone gives, whatever it is made of: images to a pyramid, phrases to vectors, regions to words.

Heads, decoder and losses see these types only. A backbone states its strides; nothing after it may assume them.

Legend: B images, C channels, H W rows and columns of a level, P phrases, D width of phrase vectors, N regions,
S samples per side of a region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


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

    def detached(self) -> Pyramid:
        """The same features, cut from the graph."""
        levels_BCHW = tuple(level.detach() for level in self.levels_BCHW)
        return Pyramid(levels_BCHW, self.image_BC.detach(), self.strides_px)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement about a region, and the decoder's probability of it, 0..1, given those said before."""

    text: str
    probability: float


class Backbone(Protocol):
    """One tower for pixels and one for words, with a language decoder over regions.

    All outputs are float32, whatever the tower computes in.
    """

    @property
    def strides_px(self) -> tuple[int, ...]:
        """Strides of the pyramid, finest first."""
        ...

    @property
    def width(self) -> int:
        """Channels of every level."""
        ...

    @property
    def image_width(self) -> int:
        """Length of the image vector."""
        ...

    @property
    def text_width(self) -> int:
        """Length of a phrase vector."""
        ...

    def look(self, images_B1HW: Tensor) -> Pyramid:
        """Images in the model frame, standardised as by `imaging.preprocess`, to a pyramid.

        A side that is no multiple of the coarsest stride is padded at the right or bottom, so that pixel coordinates
        of the frame hold as they are.
        """
        ...

    def read(self, phrases: Sequence[str]) -> Tensor:
        """Phrases to (P, D) vectors of unit length; (0, D) where there are none."""
        ...

    def description_loss(self, regions_NCSS: Tensor, statements: Sequence[Sequence[str]]) -> Tensor:
        """Teacher-forced loss of saying each region's statements in order, to the end; 0 where there are none.

        Args:
            regions_NCSS: `roi.region_features` of this backbone's pyramid.
            statements: for each region, what is to be said.
        """
        ...

    def describe(
        self, regions_NCSS: Tensor, *, allowed: Sequence[str] | None = None, beams: int = 1
    ) -> list[tuple[Statement, ...]]:
        """What is said about each region.

        Args:
            regions_NCSS: as in `description_loss`.
            allowed: closed list of statements; free text if None.
            beams: width of the search; 1 is greedy.
        """
        ...
