"""What a peer is: a network with its own losses, and boxes by concept.

Legend: B images, N boxes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor, nn

from medground.training.batch import Batch


class Size(StrEnum):
    """How large a peer is built: `small` for figures, `tiny` for tests."""

    SMALL = "small"
    TINY = "tiny"


@dataclass(frozen=True, slots=True)
class Found:
    """What a peer sees on one image.

    Attributes:
        boxes_N4: xyxy pixels of the model frame, not clipped.
        scores_N: 0..1.
        concept_N: index in the list of concepts.
    """

    boxes_N4: Tensor
    scores_N: Tensor
    concept_N: Tensor


class Peer(nn.Module, ABC):
    """A detector of a closed list of concepts.

    Attributes:
        any_frame: it reads a frame of any size as it read its views, since boxes are told in pixels. One that tells
            them as shares of what it is shown can only be shown as much as it learned from; a frame is cut into tiles.
    """

    any_frame = True

    @abstractmethod
    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Losses by name, each with its weight in it: their sum is what is minimised."""

    @abstractmethod
    def detect(self, images_BCHW: Tensor) -> list[Found]:
        """Boxes on each image; call it in evaluation mode and without gradients."""
