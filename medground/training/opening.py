"""What a stage opens, at which rate it learns, and in which mode the rest stands."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from medground.model.network import GroundingNetwork
from medground.schema.errors import UsageError
from medground.training.kernels import Kernels, is_kernel
from medground.training.recipe import Recipe, Stage

TEXT = ("backbone.text.", "backbone.phrases.")


def check_stages(recipe: Recipe, processes: int) -> None:
    """Refuses what would fail, or do nothing, in the middle of a training.

    Raises:
        UsageError: if a stage teaches nothing, or may have fewer images in a step than there are processes.
    """
    for stage in recipe.stages:
        if not (stage.dense or stage.queries_per_image or stage.words or stage.restoration):
            raise UsageError(
                f"stage {stage.name!r} teaches nothing: set dense, queries_per_image, words or restoration"
            )
        fewest = min(stage.miner.least, recipe.batch)
        if stage.miner.every and fewest < processes:
            raise UsageError(
                f"stage {stage.name!r} mines, so a step may have {fewest} images, too few for {processes} processes; "
                f"start at most {fewest}, or mine nothing (every=0)"
            )


def open_parameters(network: GroundingNetwork, extra: Iterable[nn.Parameter], stage: Stage) -> Kernels:
    """Opens what the stage names and freezes everything else.

    What was given to the backbone stays as it is, whatever the stage names.

    Args:
        network: modified in place.
        extra: parameters of parts that only training has; opened where the stage restores hidden patches.
        stage: what is open.

    Returns:
        An optimiser over the open parameters; each group has its peak rate under `peak`.

    Raises:
        UsageError: if an open parameter is of half precision.
    """
    given = {f"backbone.{name}" for name in network.backbone.given()}
    groups: dict[tuple[bool, bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        parameter.grad = None  # of the stage before: it would count in the clipped norm
        parameter.requires_grad_(name.startswith(stage.trainable) and name not in given)
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            raise UsageError(
                f"{name} would learn in {parameter.dtype}, where small steps are lost; load the backbone with "
                "bfloat16=false and train with --precision bf16"
            )
        if parameter.requires_grad:
            turned = stage.kernel_rate > 0 and is_kernel(parameter)
            groups.setdefault((name.startswith(TEXT), parameter.ndim > 1, turned), []).append(parameter)
    for parameter in extra:
        parameter.grad = None
        parameter.requires_grad_(stage.restoration is not None)
        if parameter.requires_grad:
            turned = stage.kernel_rate > 0 and is_kernel(parameter)
            groups.setdefault((False, parameter.ndim > 1, turned), []).append(parameter)
    return Kernels(
        [
            {
                "params": parameters,
                "peak": stage.learning_rate * (stage.text_share if text else stage.kernel_rate if turned else 1.0),
                "weight_decay": stage.weight_decay if matrix else 0.0,
                "orthogonal": turned,
            }
            for (text, matrix, turned), parameters in sorted(groups.items())
        ],
        lr=stage.learning_rate,
    )


def set_modes(network: nn.Module, stage: Stage) -> None:
    """Training mode for what the stage opens and all that holds it; frozen norms keep their statistics."""
    network.eval()
    for name, module in network.named_modules():
        own = [f"{name}.{parameter}" if name else parameter for parameter, _ in module.named_parameters()]
        module.training = any(parameter.startswith(stage.trainable) for parameter in own)


def schedule(step: int, stage: Stage) -> float:
    """Share of the peak learning rate: linear rise, then a cosine to a hundredth."""
    if step < stage.warmup_steps:
        return (step + 1) / stage.warmup_steps
    along = (step - stage.warmup_steps) / max(1, stage.steps - stage.warmup_steps)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * along)) / 2
