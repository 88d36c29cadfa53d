"""One trainer for every stage: opens what the stage opens, steps, averages, saves, goes on after a kill."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from medground.data.dataset import MixedDataset, Pool
from medground.data.questions import sample_phrase
from medground.data.sample import Sample
from medground.model.network import GroundingNetwork
from medground.model.tokenizer import encode
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.errors import UsageError
from medground.schema.vocabulary import Vocabulary
from medground.training.batch import Batch
from medground.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from medground.training.ewc import Anchor, Outcomes, anchor, penalty
from medground.training.general import drawn_outcome
from medground.training.miner import ReplayPool, counts, mine
from medground.training.objective import choose_pairs, dense_losses, query_losses, weighted, word_loss
from medground.training.recipe import Recipe, Stage

SAVE_EVERY = 200
LOG_EVERY = 25
TWO_SIDED = frozenset({DOMAINS.index(Domain.CHEST_RADIOGRAPH), DOMAINS.index(Domain.CHEST_CT)})


class Log(Protocol):
    """Where numbers of a run go."""

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Takes named numbers at a step."""


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 of the recipe's canonical JSON."""
    return hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()


class Trainer:
    """Runs a recipe's stages in order.

    Args:
        recipe: what to do.
        network: modified in place; ends with the averaged weights.
        tokenizer: of the text encoder.
        vocabulary: names of the concepts.
        pools: training images.
        folder: where the checkpoint lives.
        log: where numbers go.
        note: called with a progress line.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: GroundingNetwork,
        tokenizer: Tokenizer,
        vocabulary: Vocabulary,
        pools: Sequence[Pool],
        folder: Path,
        log: Log,
        note: Callable[[str], None],
    ) -> None:
        self.recipe, self.network, self.tokenizer = recipe, network, tokenizer
        self.concepts = [vocabulary[key] for key in recipe.concepts]
        self.pools, self.log, self.note = pools, log, note
        self.checkpoint = folder / "checkpoint.safetensors"
        self.digest = recipe_digest(recipe)
        self.held: Anchor | None = None
        self.replay = ReplayPool(1)
        columns = {key: column for column, key in enumerate(recipe.concepts)}
        self.confusable = {
            columns[concept.key]: frozenset(columns[key] for key in concept.confusable_with if key in columns)
            for concept in self.concepts
        }

    def run(self, *, resume: bool, stop_after: int | None = None) -> bool:
        """Trains to the end, or for `stop_after` more steps.

        Args:
            resume: go on from the checkpoint if there is one.
            stop_after: stop, with a checkpoint, after so many steps.

        Returns:
            True when every stage is done.

        Raises:
            CheckpointError: if the checkpoint is of another recipe or cannot be read.
        """
        first, done = 0, 0
        self.held, self.replay = None, ReplayPool(1)
        saved = load_checkpoint(self.checkpoint, self.digest) if resume and self.checkpoint.exists() else None
        if saved:
            self.network.load_state_dict(saved.weights)
            first, done = saved.progress.stage, saved.progress.step
            self.note(f"resuming stage {self.recipe.stages[first].name} at step {done}")
        left = stop_after
        for index in range(first, len(self.recipe.stages)):
            stage = self.recipe.stages[index]
            optimizer = self._open(stage)
            average = {name: value.clone() for name, value in self.network.state_dict().items()}
            self.replay = ReplayPool(stage.miner.capacity)
            if saved:
                saved.restore_optimizer(optimizer)
                self.held = Anchor.of(saved.extra) if saved.extra else None
                self.replay.restore(saved.note or "[]")
                average, saved = saved.average, None
            else:
                self.held = self._anchor(index, stage) if stage.ewc else None
            end = stage.steps if left is None else min(stage.steps, done + left)
            self._run_stage(index, stage, optimizer, average, done, end)
            if end < stage.steps:
                return False
            left = None if left is None else left - (end - done)
            self.network.load_state_dict(average)
            done = 0
        return True

    def _open(self, stage: Stage) -> torch.optim.AdamW:
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in self.network.named_parameters():
            parameter.grad = None  # of the stage before: it would count in the clipped norm
            parameter.requires_grad_(name.startswith(stage.trainable))
            if parameter.requires_grad:
                groups.setdefault((name.startswith("text."), parameter.ndim > 1), []).append(parameter)
        return torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "peak": stage.learning_rate * (stage.text_share if text else 1.0),
                    "weight_decay": stage.weight_decay if matrix else 0.0,
                }
                for (text, matrix), parameters in sorted(groups.items())
            ],
            lr=stage.learning_rate,
        )

    def _dataset(self, index: int, pools: Sequence[Pool]) -> MixedDataset:
        stage = self.recipe.stages[index]
        return MixedDataset(
            pools,
            self.recipe.concepts,
            self.recipe.augment,
            seed=self.recipe.seed + 1000 * index,
            length=stage.steps * self.recipe.batch,
        )

    def _batches(self, index: int, start: int, end: int) -> Iterator[tuple[Batch, list[int]]]:
        """Batches of steps start..end with the numbers of their samples.

        What they hold depends on seed, stage and step alone; in a mined step also on the replay pool, which the
        checkpoint keeps.
        """
        batch, miner = self.recipe.batch, self.recipe.stages[index].miner
        dataset = self._dataset(index, self.pools)
        part: Subset[Sample] = Subset(dataset, range(start * batch, end * batch))
        fresh = DataLoader(part, batch_size=batch, num_workers=1, prefetch_factor=4, collate_fn=Batch.of)
        for step, drawn in enumerate(fresh, start):
            if miner.every and (step + 1) % miner.every == 0 and len(self.replay):
                chosen = self.replay.draw(miner.batch, np.random.default_rng((self.recipe.seed, index, step, 1)))
                yield Batch.of([dataset[number] for number in chosen]), chosen
            else:
                yield drawn, list(range(step * batch, (step + 1) * batch))

    def _anchor(self, index: int, stage: Stage) -> Anchor:
        """Where the open weights stand before the stage, and what general data needs of them."""
        pools = [pool for pool in self.pools if pool.name in stage.general_pools]
        if not any(pool.items for pool in pools):
            raise UsageError(f"stage {stage.name!r} holds weights by general data, and {stage.general_pools} are empty")
        general = self._dataset(index, pools)
        generator = torch.Generator().manual_seed(self.recipe.seed + index)
        phrases = [concept.name for concept in self.concepts]
        tokens = encode(self.tokenizer, phrases, self.recipe.model.text.max_tokens)

        def outcomes(_: torch.nn.Module, sample: Sample) -> Outcomes:
            return drawn_outcome(self.network, Batch.of([sample]), self.network.text(tokens), generator)

        self.note(f"{stage.name}: estimating what {stage.ewc_samples} general images need")
        return anchor(self.network, (general[number] for number in range(stage.ewc_samples)), outcomes)

    def _run_stage(
        self,
        index: int,
        stage: Stage,
        optimizer: torch.optim.Optimizer,
        average: dict[str, Tensor],
        done: int,
        end: int,
    ) -> None:
        set_modes(self.network, stage)
        started, sums, count = time.monotonic(), dict[str, float](), 0
        offset = sum(earlier.steps for earlier in self.recipe.stages[:index])
        for step, (batch, numbers) in enumerate(self._batches(index, done, end), done):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(step, stage)
            losses, mined = self._losses(index, stage, step, batch, numbers)
            total = weighted(losses, self.recipe.losses)
            if self.held is not None:
                losses["ewc"] = stage.ewc * penalty(self.network, self.held)
                total = total + losses["ewc"]
            optimizer.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), stage.clip_norm)
            optimizer.step()
            self._average(average, stage, step)
            for name, value in {f"loss/{name}": float(v.detach()) for name, v in losses.items()}.items():
                sums[name] = sums.get(name, 0.0) + value
            for name, tally in mined.items():
                sums[name] = sums.get(name, 0.0) + tally
            count += 1
            if (step + 1) % LOG_EVERY == 0 or step + 1 == end:
                means = {name: value / count for name, value in sums.items()}
                self.log.metrics(means, offset + step + 1)
                self._report(stage, step + 1, done, started, means)
                sums, count = {}, 0
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == end:
                progress = Progress(index, step + 1, self.digest)
                save_checkpoint(
                    self.checkpoint,
                    progress,
                    self.network.state_dict(),
                    average,
                    optimizer,
                    extra=self.held.tensors() if self.held else None,
                    note=self.replay.state(),
                )

    def _losses(
        self, index: int, stage: Stage, step: int, batch: Batch, numbers: list[int]
    ) -> tuple[dict[str, Tensor], dict[str, int]]:
        """The losses of a step, and how many mistakes of each kind were mined in it."""
        rng = np.random.default_rng((self.recipe.seed, index, step))
        phrases = [sample_phrase(concept, rng) for concept in self.concepts]
        network = self.network
        with torch.set_grad_enabled(stage.dense):
            text_CD = network.text(encode(self.tokenizer, phrases, self.recipe.model.text.max_tokens))
            pyramid = network.backbone(batch.images_B1HW)
            dense = network.dense(pyramid, text_CD)
        losses = dense_losses(network, batch, pyramid, dense, text_CD) if stage.dense else {}
        seen = pyramid.detached()
        mined: dict[str, int] = {}
        if stage.miner.every:
            mistakes = mine(dense, batch, numbers, self.confusable, stage.miner, mirrored_domains=TWO_SIDED)
            self.replay.update(numbers, mistakes)
            mined = counts(mistakes) | {"mined/pool": len(self.replay)}
        if stage.queries_per_image:
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            pairs = choose_pairs(batch, stage.queries_per_image, generator)
            if len(pairs.image_N):
                found = network.propose(dense, pairs.image_N, pairs.phrase_N, self.recipe.model.decoder.queries)
                layers = network.refine(seen, text_CD.detach(), pairs.image_N, pairs.phrase_N, found)
                losses |= query_losses(layers, batch, pairs, float(batch.images_B1HW.shape[-1]))
        if stage.words:
            losses |= word_loss(network, batch, seen)
        return losses, mined

    def _average(self, average: dict[str, Tensor], stage: Stage, step: int) -> None:
        """Exponential moving average of weights and batch-norm statistics, quick at first."""
        keep = min(stage.ema, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            if value.dtype.is_floating_point:
                average[name].lerp_(value, 1 - keep)
            else:
                average[name].copy_(value)

    def _report(self, stage: Stage, step: int, done: int, started: float, means: dict[str, float]) -> None:
        rate = (step - done) / max(time.monotonic() - started, 1e-9)
        left = (stage.steps - step) / rate
        losses = "  ".join(f"{name.removeprefix('loss/')} {value:.3f}" for name, value in means.items())
        speed = f"{rate * self.recipe.batch:.1f} img/s  {left / 60:.0f} min left"
        self.note(f"{stage.name} {step}/{stage.steps}  {speed}  {losses}")


def set_modes(network: torch.nn.Module, stage: Stage) -> None:
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
