"""One training sample: an image in the model frame with its truth.

Legend: G boxes, C channels or trained concepts, H W rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

LOW, HIGH = -3.0, 3.0  # range of standardised pixels


@dataclass(frozen=True, slots=True)
class Held:
    """An image kept in memory between epochs, small: pixels are quantised to 8 bits.

    Attributes:
        pixels_HW: uint8; 0 is -3 and 255 is +3 of the standardised scale.
        boxes_G4: xyxy pixels of this frame.
        concepts: vocabulary key of each box.
        exhaustive_for: concepts whose every box is there.
        domain: index in `schema.anatomy.DOMAINS`.
        appearance: appearance words of each box, empty where unknown.
        real: False for a phantom.
        beside_2HW: of a slice, the slices below and above, on the same scale; None for an image on its own.
        copied: True for another image with lesions pasted in: it shows no new one.
    """

    pixels_HW: NDArray[np.uint8]
    boxes_G4: NDArray[np.float32]
    concepts: tuple[str, ...]
    exhaustive_for: frozenset[str]
    domain: int
    appearance: tuple[tuple[str, ...], ...]
    real: bool
    beside_2HW: NDArray[np.uint8] | None = None
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """An augmented image with its truth.

    Attributes:
        image_CHW: standardised pixels; three channels where slices lie beside: below, itself, above.
        boxes_G4: xyxy pixels of the same frame.
        concept_G: index of each box's concept in the recipe's list.
        exhaustive_C: True where every box of that concept is there.
        domain: index in `DOMAINS`.
        appearance_G: appearance words of each box; empty where unknown.
        opposite_23: map of points of the view to those on the other side of the film's middle; None where it shows more
            than one film.
    """

    image_CHW: Tensor
    boxes_G4: Tensor
    concept_G: Tensor
    exhaustive_C: Tensor
    domain: int
    appearance_G: tuple[tuple[str, ...], ...]
    opposite_23: Tensor | None = None


def quantise(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Standardised pixels to 8 bits, error at most half of 6/255."""
    steps: NDArray[np.uint8] = np.clip(np.rint((pixels - LOW) / (HIGH - LOW) * 255), 0, 255).astype(np.uint8)
    return steps


def restore(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The inverse of `quantise`, up to its error."""
    return pixels.astype(np.float32) * np.float32((HIGH - LOW) / 255) + np.float32(LOW)
