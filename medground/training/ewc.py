"""Elastic weight consolidation: what general data needed is held near where it was, the rest is free to move.

Source: Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, PNAS 2017, equation 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
Outcomes = Sequence[tuple[float, Tensor]]
"""Possible outcomes of one sample under the model: probability (or share of draws), and log-likelihood with a graph."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A detached copy of weights, and how much general data cares about each.

    Attributes:
        weights: parameter name to its value when the copy was taken.
        fisher: parameter name to the diagonal of the Fisher information, of the same shape, at least 0.
    """

    weights: dict[str, Tensor]
    fisher: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Everything, for a checkpoint."""
        return {f"weights/{name}": value for name, value in self.weights.items()} | {
            f"fisher/{name}": value for name, value in self.fisher.items()
        }

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Anchor:
        """The inverse of `tensors`."""
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "fisher": {}}
        for name, value in tensors.items():
            part, _, parameter = name.partition("/")
            parts[part][parameter] = value
        return cls(parts["weights"], parts["fisher"])


def anchor(model: nn.Module, samples: Iterable[T], outcomes: Callable[[nn.Module, T], Outcomes]) -> Anchor:
    """Copy the open weights of a model and estimate their Fisher information, sample by sample.

    The gradient is squared for each outcome of each sample before anything is summed: the square of a batch's mean
    gradient is another, much smaller number. Normalisation layers keep their running statistics meanwhile.

    Args:
        model: its parameters with `requires_grad` are anchored.
        samples: general data, one at a time.
        outcomes: of a sample under the model; probabilities of one sample sum to 1.

    Returns:
        The anchor, detached from the model.

    Raises:
        ValueError: there are no samples.
    """
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    fisher = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    count = 0
    was_training = {name: module.training for name, module in model.named_modules()}
    model.eval()
    try:
        for sample in samples:
            possible = outcomes(model, sample)
            for number, (probability, log_likelihood) in enumerate(possible):
                gradients = torch.autograd.grad(
                    log_likelihood,
                    list(parameters.values()),
                    retain_graph=number + 1 < len(possible),
                    allow_unused=True,
                )
                for name, gradient in zip(parameters, gradients, strict=True):
                    if gradient is not None:
                        fisher[name] += probability * gradient.detach() ** 2
            count += 1
    finally:
        for name, module in model.named_modules():
            module.training = was_training[name]
    if count == 0:
        raise ValueError("the Fisher information needs at least one sample of general data")
    return Anchor(
        {name: parameter.detach().clone() for name, parameter in parameters.items()},
        {name: value / count for name, value in fisher.items()},
    )


def penalty(model: nn.Module, held: Anchor) -> Tensor:
    """Half the Fisher-weighted square of how far the weights have moved; 0 at the anchor.

    Args:
        model: its parameters are compared with the anchor's copies, never with their own `data`.
        held: the anchor; parameters that it does not hold are free.
    """
    terms = [
        (held.fisher[name] * (parameter - held.weights[name]) ** 2).sum()
        for name, parameter in model.named_parameters()
        if name in held.weights
    ]
    return 0.5 * torch.stack(terms).sum() if terms else torch.zeros(())
