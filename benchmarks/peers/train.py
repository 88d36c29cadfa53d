"""One loop for every peer: AdamW, linear rise and cosine, clipped norms, averaged weights, and it goes on after a kill.

What is alike for all: samples (they depend on seed and step alone), steps, batch, decay, and the number and length of
the trials that a learning rate is chosen by.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from benchmarks.peers.measure import Images, look, mean_ap50
from benchmarks.peers.peer import Peer, Size
from medground.data.splits import DEV
from medground.evaluation.files import make_folder, replace_file
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.training.batch import Batch
from medground.training.checkpoint import Progress, load_checkpoint, save_checkpoint

SAVE_EVERY = 200
LOG_EVERY = 25
NOISE = 0.01  # of AP@0.5 on a development part
CHECKPOINT = "checkpoint.safetensors"
Note = Callable[[str], None]


class PeerData(Protocol):
    """What a peer is trained on, tuned on and measured on."""

    @property
    def concepts(self) -> Sequence[str]:
        """Vocabulary keys, in the order of the label columns."""
        ...

    @property
    def frame_px(self) -> int:
        """Long side of the frame that views come from and that images are measured in."""
        ...

    @property
    def training_boxes(self) -> Mapping[str, int]:
        """How many boxes of each concept the training part has."""
        ...

    def batches(self, start: int, end: int) -> Iterator[Batch]:
        """Batches of steps start..end; what they hold depends on seed and step alone."""
        ...

    def images(self, part: str) -> Images:
        """Images of a part, in the model frame, with their truth."""
        ...


class Plan(StrictConfig):
    """Everything a training depends on besides the data themselves.

    Attributes:
        peer: which system.
        size: how large.
        data: name of the data set and fold.
        concepts: vocabulary keys, in the order of the label columns.
        view_px: side of the square views of a step.
        frame_px: long side of the frame that views come from and that images are measured in.
        batch: images of a step.
        steps: optimiser steps.
        learning_rate: peak of AdamW.
        warmup_steps: linear rise before the cosine; never more than a tenth of the steps.
        weight_decay: of matrices and kernels; none of norms and biases.
        clip_norm: longest gradient.
        ema: share of the average that a step keeps.
        seed: of the weights and of the denoising queries.
    """

    peer: str
    size: Size
    data: str
    concepts: tuple[str, ...]
    view_px: int = Field(gt=0)
    frame_px: int = Field(gt=0)
    batch: int = Field(gt=0)
    steps: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(default=150, ge=0)
    weight_decay: float = 0.03
    clip_norm: float = 10.0
    ema: float = 0.998
    seed: int = 0

    def digest(self) -> str:
        """SHA-256 of the plan's canonical JSON."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def share_of_rate(step: int, plan: Plan) -> float:
    """Share of the peak learning rate: linear rise, then a cosine to a hundredth, as our trainer's `schedule`."""
    rise = min(plan.warmup_steps, plan.steps // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (step - rise) / max(1, plan.steps - rise))) / 2


def built(build: Callable[[int, Size], Peer], plan: Plan) -> Peer:
    """The peer of a plan with the random weights of its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        return build(len(plan.concepts), plan.size)


def fit(
    peer: Peer,
    plan: Plan,
    data: PeerData,
    folder: Path,
    note: Note,
    *,
    resume: bool = False,
    stop_after: int | None = None,
) -> bool:
    """Trains a peer in place; it ends with the averaged weights, in evaluation mode.

    Args:
        peer: as `built` made it.
        plan: what to do.
        data: where batches come from.
        folder: where the checkpoint lies.
        note: called with a progress line.
        resume: go on from the checkpoint if there is one.
        stop_after: stop, with a checkpoint, after so many steps.

    Returns:
        True when all steps are done.

    Raises:
        CheckpointError: if the checkpoint is of another plan or cannot be read.
        FloatingPointError: if the loss or its gradient is no longer finite.
    """
    checkpoint, digest, done = folder / CHECKPOINT, plan.digest(), 0
    optimizer = _optimizer(peer, plan)
    weights = peer.state_dict()  # the tensors themselves, which steps and loading change in place
    average = {name: value.clone() for name, value in weights.items()}
    if resume and checkpoint.exists():
        saved = load_checkpoint(checkpoint, digest)
        peer.load_state_dict(saved.weights)
        saved.restore_optimizer(optimizer)
        average, done = saved.average, saved.progress.step
        note(f"{plan.peer}: going on at step {done}")
    end = plan.steps if stop_after is None else min(plan.steps, done + stop_after)
    started, first, sums, count = time.monotonic(), done, dict[str, float](), 0
    peer.train()
    for step, batch in enumerate(data.batches(done, end), done):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * share_of_rate(step, plan)
        for name, value in _step(peer, plan, batch, optimizer, step).items():
            sums[name] = sums.get(name, 0.0) + value
        _average(average, weights, min(plan.ema, (1 + step) / (10 + step)))
        count += 1
        if (step + 1) % LOG_EVERY == 0 or step + 1 == end:
            means = {name: value / count for name, value in sums.items()}
            note(_progress(plan, step + 1, (step + 1 - first) / max(time.monotonic() - started, 1e-9), means))
            sums, count = {}, 0
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == end:
            save_checkpoint(checkpoint, Progress(0, step + 1, digest), weights, average, optimizer)
    if end == plan.steps:
        peer.load_state_dict(average)
    peer.eval()
    return end == plan.steps


def choose_rate(
    build: Callable[[int, Size], Peer],
    plan: Plan,
    rates: Sequence[float],
    data: PeerData,
    folder: Path,
    note: Note,
    *,
    trial_steps: int,
    resume: bool = False,
) -> float:
    """The learning rate whose short training, with a whole schedule, finds most on the development part.

    Where the best finds less than `NOISE` more than the worst, nothing is decided, and the middle one is taken.

    Args:
        build: makes the peer.
        plan: of the training the rate is for.
        rates: what is tried; a single one is taken as it is.
        data: where batches and development images come from.
        folder: each trial gets a folder in it, with its checkpoint and its figure.
        note: called with progress lines.
        trial_steps: length of each trial.
        resume: keep trials that are done, and go on with one that is not.

    Raises:
        UsageError: if the development part has no box to measure by.
    """
    if len(rates) == 1:
        return rates[0]
    scores: dict[float, float] = {}
    for rate in rates:
        trial = plan.model_copy(update={"steps": trial_steps, "learning_rate": rate})
        place = folder / f"trial-{rate:g}"
        figure = place / f"ap50-{trial.digest()[:12]}.json"
        if not (resume and figure.exists()):
            score = _trial(build, trial, data, place, note, resume=resume)
            make_folder(place)
            told = json.dumps({"learning_rate": rate, "steps": trial_steps, "dev_ap50": score})
            replace_file(figure, f"{told}\n".encode())
        scores[rate] = json.loads(figure.read_text())["dev_ap50"]
        note(f"{plan.peer}: rate {rate:g} reaches AP@0.5 {scores[rate]:.3f} on dev in {trial_steps} steps")
    if max(scores.values()) - min(scores.values()) < NOISE:
        middle = sorted(rates)[(len(rates) - 1) // 2]
        note(f"{plan.peer}: that decides nothing; rate {middle:g}, in the middle, is taken")
        return middle
    return max(rates, key=lambda rate: scores[rate])


def _trial(
    build: Callable[[int, Size], Peer], trial: Plan, data: PeerData, place: Path, note: Note, *, resume: bool
) -> float:
    peer = built(build, trial)
    try:
        fit(peer, trial, data, place, note, resume=resume)
    except FloatingPointError as error:
        note(f"{trial.peer}: {error}; the rate counts as 0")
        return 0.0
    scene = look(peer, data.images(DEV), data, view_px=trial.view_px, system=trial.peer, name=DEV)
    score = mean_ap50(scene)
    if score is None:
        raise UsageError(
            f"the development part of {trial.data} has no box of {', '.join(trial.concepts)}; give one rate"
        )
    return score


def _optimizer(peer: nn.Module, plan: Plan) -> torch.optim.AdamW:
    parameters = [parameter for parameter in peer.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, foreach=True)


def _step(peer: Peer, plan: Plan, batch: Batch, optimizer: torch.optim.Optimizer, step: int) -> dict[str, float]:
    """One optimiser step; what is random in it depends on seed and step alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed * 1_000_003 + step)
        losses = peer.losses(batch)
    total: Tensor = torch.stack(list(losses.values())).sum()
    optimizer.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    norm = torch.nn.utils.clip_grad_norm_(peer.parameters(), plan.clip_norm)
    if not bool(torch.isfinite(total)) or not bool(torch.isfinite(norm)):
        raise FloatingPointError(
            f"loss {float(total.detach()):g} with a gradient of {float(norm):g} at step {step} of rate "
            f"{plan.learning_rate:g}; try a lower one"
        )
    optimizer.step()
    return {name: float(value.detach()) for name, value in losses.items()}


def _average(average: dict[str, Tensor], weights: dict[str, Tensor], keep: float) -> None:
    """Exponential moving average of weights and batch-norm statistics."""
    for name, value in weights.items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - keep)
        else:
            average[name].copy_(value)


def _progress(plan: Plan, step: int, rate: float, means: Mapping[str, float]) -> str:
    losses = "  ".join(f"{name} {value:.3f}" for name, value in means.items())
    left = (plan.steps - step) / rate / 60
    return f"{plan.peer} {step}/{plan.steps}  {rate * plan.batch:.1f} img/s  {left:.0f} min left  {losses}"
