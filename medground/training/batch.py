"""How samples become a batch.

Legend: B images, C channels or trained concepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medground.data.sample import Sample
from medground.imaging.preprocess import stacked

NO_OTHER_SIDE = torch.full((2, 3), torch.nan)


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one size, stacked; truth stays per image.

    Images have three channels if any of them has: an image on its own is its own neighbour. `opposite_B23` maps the
    points of each to those on the other side of the film's middle; it is no number where there is no such side.
    """

    images_BCHW: Tensor
    boxes: tuple[Tensor, ...]
    concepts: tuple[Tensor, ...]
    exhaustive_BC: Tensor
    domain_B: Tensor
    appearance: tuple[tuple[tuple[str, ...], ...], ...]
    opposite_B23: Tensor

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Batch:
        """Stacks samples of equal image size."""
        return cls(
            stacked([s.image_CHW for s in samples]).contiguous(memory_format=torch.channels_last),
            tuple(s.boxes_G4 for s in samples),
            tuple(s.concept_G for s in samples),
            torch.stack([s.exhaustive_C for s in samples]),
            torch.tensor([s.domain for s in samples]),
            tuple(s.appearance_G for s in samples),
            torch.stack([NO_OTHER_SIDE if s.opposite_23 is None else s.opposite_23 for s in samples]),
        )

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        return Batch(
            self.images_BCHW.to(device),
            tuple(boxes.to(device) for boxes in self.boxes),
            tuple(concepts.to(device) for concepts in self.concepts),
            self.exhaustive_BC.to(device),
            self.domain_B.to(device),
            self.appearance,
            self.opposite_B23.to(device),
        )

    @property
    def own_B1HW(self) -> Tensor:  # noqa: N802 - shape suffix
        """The images without their neighbours."""
        middle = self.images_BCHW.shape[1] // 2
        return self.images_BCHW[:, middle : middle + 1]

    def present_BC(self) -> Tensor:  # noqa: N802 - shape suffix
        """True where the image has a box of the concept."""
        present = torch.zeros_like(self.exhaustive_BC)
        for row, concept_G in enumerate(self.concepts):
            present[row, concept_G] = True
        return present
