"""Checkpoints without pickle: tensors in safetensors, the rest in its header, replaced atomically."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from medground.schema.errors import CheckpointError
from medground.training.origin import Origin


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: the stage it is in, steps done in it, and the digest of its recipe."""

    stage: int
    step: int
    recipe_sha256: str


def save_checkpoint(
    path: Path,
    progress: Progress,
    weights: dict[str, Tensor],
    average: dict[str, Tensor],
    optimizer: Optimizer,
    *,
    extra: dict[str, Tensor] | None = None,
    note: str = "",
    origin: Origin | None = None,
) -> None:
    """Writes beside `path` and renames, so that a kill leaves the old checkpoint or the new one, never half of one.

    Args:
        path: the checkpoint.
        progress: where the run stands.
        weights: of the network.
        average: of the weights.
        optimizer: its moments are kept.
        extra: further tensors of the stage.
        note: further state of the stage, as text.
        origin: what the run began with; None where that is not known.

    Raises:
        CheckpointError: if it cannot be written, e.g. on a full disk; the checkpoint before is still there.
    """
    tensors = {f"weights.{name}": value for name, value in weights.items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors |= {f"extra.{name}": value for name, value in (extra or {}).items()}
    header = {
        "note": note,
        "stage": str(progress.stage),
        "step": str(progress.step),
        "recipe_sha256": progress.recipe_sha256,
    }
    header |= {"origin": origin.model_dump_json()} if origin else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    try:
        save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, partial, header)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path.name} cannot be written ({error}); make room and go on with --resume from the one before"
        ) from error
    partial.replace(path)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint read back."""

    progress: Progress
    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer_state: dict[int, dict[str, Tensor]]
    extra: dict[str, Tensor]
    note: str

    def restore_optimizer(self, optimizer: Optimizer) -> None:
        """Puts the moments back; the parameter groups stay as the recipe made them."""
        state = optimizer.state_dict()
        state["state"] = self.optimizer_state
        optimizer.load_state_dict(state)


def read_origin(path: Path) -> Origin | None:
    """What the run of a checkpoint began with; None if that is not known, as of checkpoints from before it was kept.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
    """
    try:
        with safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get("origin")
        return Origin.model_validate_json(told) if told else None
    except (OSError, SafetensorError, json.JSONDecodeError, ValidationError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path.name} cannot be read ({error}); delete it to start the run anew")


def load_checkpoint(path: Path, recipe_sha256: str) -> Checkpoint:
    """Reads a checkpoint of the same recipe.

    Raises:
        CheckpointError: if it cannot be read, or was written by another recipe.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise _unreadable(path, error) from error
    if header.get("recipe_sha256") != recipe_sha256:
        raise CheckpointError(
            f"{path.name} was written by another recipe ({header.get('recipe_sha256', '?')[:12]}, this one is "
            f"{recipe_sha256[:12]}); give another --out or delete it"
        )
    parts: dict[str, dict[str, Tensor]] = {"weights": {}, "average": {}, "extra": {}}
    optimizer_state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "optimizer":
            index, key = rest.split(".", 1)
            optimizer_state.setdefault(int(index), {})[key] = value
        else:
            parts[kind][rest] = value
    progress = Progress(int(header["stage"]), int(header["step"]), recipe_sha256)
    note = header.get("note", "")
    return Checkpoint(progress, parts["weights"], parts["average"], optimizer_state, parts["extra"], note)
