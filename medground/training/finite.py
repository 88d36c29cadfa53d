"""A training stops at the first number that is not finite, before it learns anything from it.

Scores and boxes of the network are looked at before losses are made of them: neither an assignment nor an overlap is
defined for what is no number, and whoever computes it fails without saying where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from medground.schema.errors import UsageError
from medground.training.objective import Terms
from medground.training.processes import Processes
from medground.training.recipe import Stage

WAY_OUT = (
    "the checkpoint before is as it was: look for images with values that are not numbers and go on with --resume, "
    "or train anew with a lower learning_rate or kernel_rate"
)


def is_finite(scores: Tensor, boxes: Tensor) -> bool:
    """Whether losses can be made of what a head says.

    Args:
        scores: of any shape.
        boxes: (..., 4) xyxy pixels; a box whose area is too large for a number is not finite.
    """
    sides = boxes.detach()[..., 2:] - boxes.detach()[..., :2]
    return bool(scores.detach().isfinite().all() & boxes.detach().isfinite().all() & sides.prod(-1).isfinite().all())


def no_number(names: Iterable[str]) -> Terms:
    """Losses under these names that are not numbers, by which the training stops."""
    return {name: (torch.tensor(torch.nan), torch.ones(())) for name in names}


def check_losses(losses: Mapping[str, Tensor], stage: Stage, step: int, processes: Processes) -> None:
    """Stops a training whose losses are not finite in any of its processes, all of them at the same place.

    Args:
        losses: by name; this process's share of them, the same names in all processes.
        stage: that the step is of.
        step: in the stage, 0 for the first.
        processes: that train together.

    Raises:
        UsageError: if a loss is not finite, in every process.
    """
    spoilt = processes.total(torch.stack([~value.detach().isfinite() for value in losses.values()]).float())
    names = [name for name, count in zip(losses, spoilt.tolist(), strict=True) if count]
    if names:
        raise UsageError(
            f"stage {stage.name!r}, step {step + 1}: losses that are not finite: {', '.join(names)}; {WAY_OUT}"
        )


def check_gradient(norm: Tensor, stage: Stage, step: int) -> None:
    """Stops a training whose losses are finite and whose gradient is not.

    Args:
        norm: of the whole gradient, that of all processes.
        stage: that the step is of.
        step: in the stage, 0 for the first.

    Raises:
        UsageError: if it is not finite.
    """
    if not bool(norm.isfinite()):
        raise UsageError(
            f"stage {stage.name!r}, step {step + 1}: the gradient has norm {float(norm)}, not finite; {WAY_OUT}"
        )
