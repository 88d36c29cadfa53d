"""Starts a training from the weights of a finished bundle instead of random ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from medground.model.backbones.compact import CompactBackbone
from medground.model.bundle import Bundle
from medground.model.network import GroundingNetwork
from medground.schema.errors import UsageError

ANEW = ("prototypes.",)  # statistics of embeddings that are going to move


@dataclass(frozen=True, slots=True)
class Taken:
    """How many of the network's tensors came from the bundle, and how many there are that could have."""

    tensors: int
    of: int


@torch.no_grad()
def take_weights(network: GroundingNetwork, bundle: Bundle) -> Taken:
    """Copies every tensor of a bundle that has the name and shape of one of the network's; the others stay as they are.

    Args:
        network: not yet trained; modified in place.
        bundle: of a network with the same kind of backbone.

    Raises:
        UsageError: if nothing fits, or the text encoders were made for different tokens.
    """
    mine, given = network.learned_state(), bundle.network.learned_state()
    if _tokens(network.backbone) != _tokens(bundle.network.backbone):
        raise UsageError(
            f"{bundle.info.name} {bundle.info.version} reads words by another tokenizer; start from a bundle that was "
            "trained with this vocabulary"
        )
    names = [name for name in mine if not name.startswith(ANEW)]
    fitting = {name: given[name] for name in names if name in given and given[name].shape == mine[name].shape}
    if not fitting:
        raise UsageError(f"no weight of {bundle.info.name} {bundle.info.version} fits this recipe's network")
    network.load_learned_state(mine | {name: value.to(mine[name].dtype) for name, value in fitting.items()})
    return Taken(len(fitting), len(names))


def _tokens(backbone: nn.Module) -> str:
    """The compact backbone's tokenizer as text; others bring their own with their pretrained weights."""
    return str(backbone.tokenizer.to_str()) if isinstance(backbone, CompactBackbone) else ""
