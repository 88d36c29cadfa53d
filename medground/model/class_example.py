"""An image that shows a class, and what a network that never learned the class makes of it.

Legend: N rows, D embedding width, G boxes, F features of a region, A locations.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medground.imaging.preprocess import ModelImage
from medground.model.assigner import assign
from medground.model.bundle import Bundle
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.errors import UsageError

LEAST_QUALITY = 0.3  # as in training: a location whose box overlaps the true one less is no example of it


@dataclass(frozen=True, slots=True)
class Example:
    """An image that shows the class.

    Attributes:
        image: in the model frame.
        boxes_xyxy_px: every region of the class, pixels of the stored image.
        domain: kind of image by its source; `OTHER` where the source does not say.
        synthetic: whether it was generated.
    """

    image: ModelImage
    boxes_xyxy_px: tuple[tuple[float, float, float, float], ...]
    domain: Domain = Domain.OTHER
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What the network makes of an example.

    Attributes:
        embeddings_ND: of the locations that fit its boxes, on the CPU.
        regions_GF: features (G, F) of its boxes, as cases are compared by, on the CPU.
        boxes: how many boxes it has.
        domain: kind of image by its source, else the one that the network takes it for.
        taken_for: what the network takes it for: at a question, this decides.
        synthetic: whether it was generated.
    """

    embeddings_ND: Tensor
    regions_GF: Tensor
    boxes: int
    domain: Domain
    taken_for: Domain
    synthetic: bool


@torch.no_grad()
def see(bundle: Bundle, example: Example) -> Seen:
    """Looks at an example, where the network is.

    Locations are chosen as training chooses them: inside the box, on a level for its size, those whose predicted boxes
    fit the true one best. Where none fits well, the best one stands for the box.

    Raises:
        UsageError: if the example has no box, or one does not lie on the image.
    """
    network = bundle.network
    device = network.prototypes.scatter_DD.device
    truth_G4 = _frame_boxes(example).to(device)
    with device:
        pixels = example.image.pixels_HW[None, None].to(device).contiguous(memory_format=torch.channels_last)
        pyramid = network.backbone.look(pixels)
        dense = network.dense(pyramid, pixels.new_zeros(0, network.backbone.text_width))
        every_A1 = torch.ones(len(dense.centres_A2), 1)
        one_phrase_G = torch.zeros(len(truth_G4), dtype=torch.int64)
        found = assign(every_A1, dense.boxes_BA4[0], dense.centres_A2, dense.strides_A, truth_G4, one_phrase_G)
        chosen_N = found.quality_N >= LEAST_QUALITY
        for box in set(found.boxes_N[~chosen_N].tolist()) - set(found.boxes_N[chosen_N].tolist()):
            chosen_N[found.quality_N.masked_fill(found.boxes_N != box, -1.0).argmax()] = True
        regions_GF = network.to_describe(pyramid, truth_G4, one_phrase_G).flatten(1).float().cpu()
        taken_for = DOMAINS[int(network.kind(pyramid.image_BC)[0].argmax())]
    embeddings_ND = dense.embedding_BAD[0, found.locations_N[chosen_N]].cpu()
    domain = taken_for if example.domain is Domain.OTHER else example.domain
    return Seen(embeddings_ND, regions_GF, len(truth_G4), domain, taken_for, example.synthetic)


def _frame_boxes(example: Example) -> Tensor:
    """Boxes (G, 4), float32, xyxy pixels of the model frame."""
    letterbox = example.image.letterbox
    stored_G4 = torch.tensor(example.boxes_xyxy_px, dtype=torch.float64).reshape(-1, 4)
    if len(stored_G4) == 0:
        raise UsageError("an example needs at least one box")
    for x1, y1, x2, y2 in stored_G4.tolist():
        if not (0 <= x1 < x2 <= letterbox.columns and 0 <= y1 < y2 <= letterbox.rows):  # also refuses NaN
            raise UsageError(
                f"box {x1:g},{y1:g},{x2:g},{y2:g} does not lie on its image of {letterbox.columns}x{letterbox.rows} "
                "pixels: give xyxy pixels of the stored image"
            )
    return torch.from_numpy(letterbox.to_frame(stored_G4.numpy())).float()
