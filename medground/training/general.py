"""What general data says of the network: labels drawn from its own answer, for the Fisher information.

Legend: B images (one), A locations, C concepts.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from medground.model.network import GroundingNetwork
from medground.training.batch import Batch
from medground.training.ewc import Outcomes


def drawn_outcome(network: GroundingNetwork, batch: Batch, text_CD: Tensor, generator: torch.Generator) -> Outcomes:
    """One draw of everything that the dense head says of an image, and its log-likelihood.

    The Fisher information is an expectation over the model's own answer; with the truth in its place it would be the
    empirical one, which vanishes where the model is already right (Kunstner et al., 2019).

    Args:
        network: with the parameters to be anchored open.
        batch: of a single image.
        text_CD: text vectors of the concepts, with their graph where the text encoder is open.
        generator: source of the draw.
    """
    pyramid = network.backbone.look(batch.images_BCHW)
    dense = network.dense(pyramid, text_CD)
    score_BAC = dense.logits_BAP
    with torch.no_grad():
        drawn_BAC = torch.bernoulli(score_BAC.sigmoid(), generator=generator)
        kind_B = torch.multinomial(network.kind(pyramid.image_BC).softmax(1), 1, generator=generator).squeeze(1)
        sides = dense.distances_BA4K.softmax(-1)
        bins = torch.multinomial(sides.flatten(0, -2), 1, generator=generator).view(sides.shape[:-1])
        answered_BA = drawn_BAC.amax(2)  # a location without an answer has no box
    likely = -F.binary_cross_entropy_with_logits(score_BAC, drawn_BAC, reduction="sum")
    likely = likely - F.cross_entropy(network.kind(pyramid.image_BC), kind_B, reduction="sum")
    boxed = dense.distances_BA4K.log_softmax(-1).gather(-1, bins[..., None]).squeeze(-1).sum(-1)
    return [(1.0, likely + (boxed * answered_BA).sum())]
