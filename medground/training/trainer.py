"""One trainer for every stage: opens what the stage opens, steps, averages, judges, saves, goes on after a kill."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from medground.data.dataset import Pool
from medground.data.sample import Sample
from medground.model.network import GroundingNetwork
from medground.schema.errors import UsageError
from medground.schema.vocabulary import Vocabulary
from medground.training.average import Average
from medground.training.batch import Batch
from medground.training.batches import StageBatches, on_cpu
from medground.training.checkpoint import Checkpoint, Progress, load_checkpoint, save_checkpoint
from medground.training.ewc import Anchor, Outcomes, anchor, penalty
from medground.training.finite import check_gradient, check_losses
from medground.training.general import drawn_outcome
from medground.training.kernels import Kernels
from medground.training.miner import Hard, ReplayPool, counts
from medground.training.objective import means, weighted
from medground.training.opening import check_stages, open_parameters, schedule, set_modes
from medground.training.origin import Origin
from medground.training.processes import Processes
from medground.training.recipe import Recipe, Stage
from medground.training.restoration import RestorationHead
from medground.training.step import Outcome, Place, StepLosses
from medground.training.tally import Tally

SAVE_EVERY = 200
LOG_EVERY = 25
Judge = Callable[[GroundingNetwork], float]


class Log(Protocol):
    """Where numbers of a run go."""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Takes named numbers at a step."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a training happens in.

    Attributes:
        folder: where the checkpoint lives.
        log: where numbers go.
        note: called with a progress line.
        judge: scores a network on the development part, higher is better; without one no stage looks at it.
        processes: those that train together.
        origin: what the training began with, for its checkpoints; None where that is not known.
    """

    folder: Path
    log: Log
    note: Callable[[str], None]
    judge: Judge | None = None
    processes: Processes = field(default_factory=Processes.single)
    origin: Origin | None = None


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 of the recipe's canonical JSON."""
    return hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()


class Trainer:
    """Runs a recipe's stages in order.

    Args:
        recipe: what to do.
        network: modified in place; ends with the averaged weights of the last stage.
        vocabulary: names of the concepts.
        pools: training images.
        around: what the training happens in.

    Raises:
        UsageError: if the network has other prototype columns than the recipe has concepts.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: GroundingNetwork,
        vocabulary: Vocabulary,
        pools: Sequence[Pool],
        around: Surroundings,
    ) -> None:
        if network.config.classes != recipe.concepts:
            raise UsageError(f"the network has prototypes of {network.config.classes}, the recipe {recipe.concepts}")
        self.recipe, self.network, self.pools, self.around = recipe, network, pools, around
        self.concepts = [vocabulary[key] for key in recipe.concepts]
        self.checkpoint = around.folder / "checkpoint.safetensors"
        self.digest = recipe_digest(recipe)
        hidden = next((stage.restoration for stage in recipe.stages if stage.restoration), None)
        backbone = network.backbone
        self.restorer = RestorationHead(backbone.width, backbone.strides_px, hidden) if hidden else None
        self.losses = StepLosses(recipe, network, self.concepts, self.restorer, around.processes.autocast)
        self.batches = StageBatches(recipe, pools, around.processes)
        self.held: Anchor | None = None
        self.replay = ReplayPool(1)
        network.to(around.processes.device)
        if self.restorer:
            self.restorer.to(around.processes.device)
        check_stages(recipe, around.processes.count)

    def run(self, *, resume: bool, stop_after: int | None = None, stage: int | None = None) -> bool:
        """Trains to the end, or for `stop_after` more steps.

        Args:
            resume: go on from the checkpoint if there is one.
            stop_after: stop, with a checkpoint, after so many steps.
            stage: number of a stage, 1 for the first: stop where it ends. The stages before it must be done.

        Returns:
            True when every stage, or the one asked for, is done.

        Raises:
            CheckpointError: if the checkpoint is of another recipe or cannot be read.
            UsageError: if a stage before the one asked for is not done, or there is no such stage; if a loss or its
                gradient is not finite.
        """
        saved = load_checkpoint(self.checkpoint, self.digest) if resume and self.checkpoint.exists() else None
        self._say_unseen()
        first, done = (saved.progress.stage, saved.progress.step) if saved else (0, 0)
        last = self._last(stage, first, done)
        left = stop_after
        for index in range(first, last + 1):
            current = self.recipe.stages[index]
            optimizer, average = self._begin(index, current, saved)
            saved = None
            end = current.steps if left is None else min(current.steps, done + left)
            with self.around.processes.on_device():
                ended = self._run_stage(index, optimizer, average, done, end)
            if not ended:
                return False
            left = None if left is None else left - (end - done)
            self.network.load_learned_state(average.end())
            done = 0
        return True

    def _say_unseen(self) -> None:
        drawn = [stage.pools for stage in self.recipe.stages if stage.restoration is None]
        pools = [pool for pool in self.pools if any(not names or pool.name in names for names in drawn)]
        shown = {key for pool in pools for held in pool.items for key in held.concepts}
        missing = [concept.name for concept in self.concepts if concept.key not in shown]
        if missing and drawn and self.around.processes.is_first:
            self.around.note(f"no image shows {', '.join(missing)}: what that looks like cannot be learned")

    def _last(self, stage: int | None, first: int, done: int) -> int:
        stages = self.recipe.stages
        if stage is None:
            return len(stages) - 1
        if not 1 <= stage <= len(stages):
            raise UsageError(f"--stage {stage}: the recipe {self.recipe.name!r} has stages 1 to {len(stages)}")
        at_end = done == stages[first].steps
        if stage - 1 > first + at_end:
            raise UsageError(
                f"--stage {stage} builds on stage {stage - 1}, and the checkpoint stands in stage {first + 1} at step "
                f"{done} of {stages[first].steps}; run --stage {first + 1} --resume first"
            )
        return stage - 1

    def _begin(self, index: int, stage: Stage, saved: Checkpoint | None) -> tuple[Kernels, Average]:
        if saved:
            self.network.load_learned_state(saved.weights)
            self.around.note(f"resuming stage {stage.name} at step {saved.progress.step}")
        optimizer = open_parameters(self.network, self.restorer.parameters() if self.restorer else (), stage)
        average = Average(self.network)
        self.replay, self.held = ReplayPool(stage.miner.capacity), None
        if saved is None:
            self.held = self._anchor(index, stage) if stage.ewc else None
            return optimizer, average
        saved.restore_optimizer(optimizer)
        kept = _parts(saved.extra)
        average.restore(saved.average, kept["average"])
        self.held = Anchor.of(kept["anchor"]) if kept["anchor"] else None
        if self.restorer and kept["restorer"]:
            self.restorer.load_state_dict(kept["restorer"])
        self.replay.restore(saved.note or "[]")
        return optimizer, average

    def _anchor(self, index: int, stage: Stage) -> Anchor:
        """Where the open weights stand before the stage, and what general data needs of them."""
        general = self.batches.dataset(index, stage.general_pools)
        generator = torch.Generator(self.around.processes.device).manual_seed(self.recipe.seed + index)
        phrases = [concept.name for concept in self.concepts]

        def outcomes(_: torch.nn.Module, sample: Sample) -> Outcomes:
            batch = Batch.of([sample]).to(self.around.processes.device)
            return drawn_outcome(self.network, batch, self.network.backbone.read(phrases), generator)

        self.around.note(f"{stage.name}: estimating what {stage.ewc_samples} general images need")
        with self.around.processes.on_device():
            samples = on_cpu(general[number] for number in range(stage.ewc_samples))
            return anchor(self.network, samples, outcomes)

    def _run_stage(self, index: int, optimizer: Kernels, average: Average, done: int, end: int) -> bool:
        """Steps done..end of a stage; True when the stage is over, by its last step or by its patience."""
        stage = self.recipe.stages[index]
        set_modes(self.network, stage)
        started, tally, mined = time.monotonic(), Tally(), 0
        offset = sum(earlier.steps for earlier in self.recipe.stages[:index])
        step = done - 1
        if index and done == 0:
            self._look(stage, average, 0, offset)  # a stage that makes nothing better ends with what it was given
        for step, (batch, numbers, place) in enumerate(self.batches.of_stage(index, done, end, self.replay), done):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(step, stage)
            tally.add(self._step(stage, place, batch.to(self.around.processes.device), numbers, optimizer))
            average.step(self.network, stage, step)
            mined += place.mined
            last = step + 1 == end
            if (step + 1) % LOG_EVERY == 0 or last:
                values = tally.means(self.around.processes)
                values |= {"mined/steps": float(mined)} if stage.miner.every else {}  # a number, not a mean
                self.around.log.metrics(values, offset + step + 1)
                self._report(stage, step + 1, done, started, values)
                tally, mined = Tally(), 0
            tired = self._look(stage, average, step + 1, offset)
            if (step + 1) % SAVE_EVERY == 0 or last or tired:
                self._save(index, stage.steps if tired else step + 1, average, optimizer)
            if tired:
                return True
        return step + 1 >= stage.steps

    def _step(
        self, stage: Stage, place: Place, batch: Batch, numbers: Sequence[int], optimizer: Kernels
    ) -> dict[str, float]:
        """One optimiser step; returns its losses and tallies of this process."""
        processes = self.around.processes
        outcome = self.losses(stage, place, batch, numbers)
        losses = means(outcome.terms, processes.total)
        total = weighted(losses, self.recipe.losses)
        if self.held is not None:
            losses["ewc"] = stage.ewc * penalty(self.network, self.held) / processes.count
            total = total + losses["ewc"]
        check_losses(losses, stage, place.step, processes)
        optimizer.zero_grad()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        opened = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        processes.total_gradients(opened)
        check_gradient(torch.nn.utils.clip_grad_norm_(opened, stage.clip_norm), stage, place.step)
        optimizer.step()
        values = {f"loss/{name}": float(value.detach()) for name, value in losses.items()}
        return values | self._remember(stage, outcome, numbers)

    def _remember(self, stage: Stage, outcome: Outcome, numbers: Sequence[int]) -> dict[str, float]:
        """Mistakes go to the replay pool and matched locations to the prototypes, those of all processes alike."""
        processes = self.around.processes
        if outcome.rows is not None:
            rows = outcome.rows
            self.network.prototypes.update(
                rows.embeddings_ND, rows.concept_N, rows.weight_N, rows.background_ND, total=processes.total
            )
        if not stage.miner.every:
            return {}
        mistakes = [Hard.of(told) for told in processes.gather([mistake.told() for mistake in outcome.mistakes])]
        self.replay.update(processes.gather(list(numbers)), mistakes)
        tally = {name: value / processes.count for name, value in counts(mistakes).items()}
        return tally | {"mined/pool": len(self.replay) / processes.count}

    def _look(self, stage: Stage, average: Average, step: int, offset: int) -> bool:
        """Judges the average where the stage asks for it; True when its patience is at an end."""
        judge, processes = self.around.judge, self.around.processes
        if judge is None or not stage.judge_every or (step % stage.judge_every and step != stage.steps):
            return False
        # All take the figure of the first: if it differed by a rounding, one might stop and leave the others waiting.
        figure = average.judged(self.network, lambda network: processes.gather([judge(network)])[0])
        if processes.is_first:
            self.around.log.metrics({"development/mean_ap50": figure}, offset + max(1, step))
            best = f"best {average.best_figure:.4f}"
            self.around.note(f"{stage.name} {step}/{stage.steps}  development AP50 {figure:.4f} ({best})")
        return average.looks_since >= stage.patience

    def _save(self, index: int, step: int, average: Average, optimizer: Kernels) -> None:
        if not self.around.processes.is_first:
            return
        extra = {f"average/{name}": value for name, value in average.tensors().items()}
        extra |= {f"anchor/{name}": value for name, value in (self.held.tensors() if self.held else {}).items()}
        if self.restorer:
            extra |= {f"restorer/{name}": value for name, value in self.restorer.state_dict().items()}
        save_checkpoint(
            self.checkpoint,
            Progress(index, step, self.digest),
            self.network.learned_state(),
            average.weights,
            optimizer,
            extra=extra,
            note=self.replay.state(),
            origin=self.around.origin,
        )

    def _report(self, stage: Stage, step: int, done: int, started: float, values: dict[str, float]) -> None:
        if not self.around.processes.is_first:
            return
        rate = (step - done) / max(time.monotonic() - started, 1e-9)
        left = (stage.steps - step) / rate
        losses = "  ".join(f"{name.removeprefix('loss/')} {value:.3f}" for name, value in values.items())
        speed = f"{rate * self.recipe.batch:.1f} img/s  {left / 60:.0f} min left"
        self.around.note(f"{stage.name} {step}/{stage.steps}  {speed}  {losses}")


def _parts(extra: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Further tensors of a checkpoint by what they belong to."""
    parts: dict[str, dict[str, Tensor]] = {"average": {}, "anchor": {}, "restorer": {}}
    for name, value in extra.items():
        part, rest = name.split("/", 1)
        parts[part][rest] = value
    return parts
