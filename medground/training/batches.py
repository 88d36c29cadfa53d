"""Which samples each step of a stage sees, and which of them are this process's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from medground.data.dataset import MixedDataset, Pool
from medground.data.sample import Sample
from medground.schema.errors import UsageError
from medground.training.batch import Batch
from medground.training.miner import ReplayPool
from medground.training.processes import Processes
from medground.training.recipe import Recipe
from medground.training.step import Place

T = TypeVar("T")


def on_cpu(drawn: Iterable[T]) -> Iterator[T]:
    """The same, each drawn on the CPU, also while new tensors lie on another device: there images are cut and turned.

    Args:
        drawn: samples or batches that are made as they are asked for.
    """
    drawing = iter(drawn)
    while True:
        with torch.device("cpu"):
            try:
                item = next(drawing)
            except StopIteration:
                return
        yield item


class StageBatches:
    """The batches of a recipe's stages.

    Args:
        recipe: what is drawn from which pools.
        pools: training images.
        processes: those that share a batch.
    """

    def __init__(self, recipe: Recipe, pools: Sequence[Pool], processes: Processes) -> None:
        self.recipe, self.pools, self.processes = recipe, pools, processes

    def dataset(self, index: int, names: Sequence[str]) -> MixedDataset:
        """Every sample of a stage, from the pools of those names; from all if there are none.

        Raises:
            UsageError: if these pools hold no image.
            DataSetError: if they hold a box that is none.
        """
        stage = self.recipe.stages[index]
        own = {name: getattr(stage, name) for name in ("size_px", "scale", "mosaic", "focus")}
        pools = [pool for pool in self.pools if pool.items and (not names or pool.name in names)]
        if not pools:
            raise UsageError(f"stage {stage.name!r} draws from {tuple(names) or 'any pool'}, and there is no image")
        return MixedDataset(
            pools,
            self.recipe.concepts,
            self.recipe.augment.model_copy(update={key: value for key, value in own.items() if value is not None}),
            seed=self.recipe.seed + 1000 * index,
            length=stage.steps * self.recipe.batch,
        )

    def of_stage(
        self, index: int, start: int, end: int, replay: ReplayPool
    ) -> Iterator[tuple[Batch, list[int], Place]]:
        """This process's part of the batches of steps start..end, with the numbers of its samples; all on the CPU.

        What they hold depends on seed, stage and step alone; in a mined step also on the replay pool, which the
        checkpoint keeps.
        """
        return on_cpu(self._of_stage(index, start, end, replay))

    def _of_stage(
        self, index: int, start: int, end: int, replay: ReplayPool
    ) -> Iterator[tuple[Batch, list[int], Place]]:
        size, processes, stage = self.recipe.batch, self.processes, self.recipe.stages[index]
        dataset, miner = self.dataset(index, stage.pools), stage.miner
        mine = processes.share(size)
        numbers = [step * size + place for step in range(start, end) for place in mine]
        part: Subset[Sample] = Subset(dataset, numbers)
        fresh = DataLoader(part, batch_size=len(mine), num_workers=1, prefetch_factor=4, collate_fn=Batch.of)
        for step, drawn in enumerate(fresh, start):
            if miner.every and (step + 1) % miner.every == 0 and len(replay) >= miner.least:
                rng = np.random.default_rng((self.recipe.seed, index, step, 1))
                chosen = replay.draw(miner.batch, rng)
                share = processes.share(len(chosen))
                own = [chosen[place] for place in share]
                yield (
                    Batch.of([dataset[number] for number in own]),
                    own,
                    Place(index, step, share, len(chosen), mined=True),
                )
            else:
                yield drawn, [step * size + place for place in mine], Place(index, step, mine, size)
