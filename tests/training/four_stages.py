"""A training with every kind of stage, so small that tests run it several times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from medground.data.augment import AugmentConfig
from medground.data.dataset import Pool
from medground.data.pools import phantom_radiograph
from medground.data.sample import Held
from medground.data.vocabulary import load_vocabulary
from medground.model.config import DecoderConfig
from medground.model.network import GroundingNetwork
from medground.training.miner import MinerConfig
from medground.training.processes import Processes
from medground.training.recipe import Recipe, Stage
from medground.training.restoration import RestorationConfig
from medground.training.trainer import Surroundings, Trainer
from pipelines.recipes.compact import EVERYTHING, HEADS, QUERIES, TEXT, VISION, tiny
from pipelines.recipes.stages import KERNELS
from pipelines.train import new_network

IMAGE_PX, VIEW_PX = 128, 64
# Kernels step as in nearly every recipe; `questions` leaves them to AdamW, as a recipe may.
RESTORATION = Stage(
    name="restoration",
    steps=4,
    trainable=(VISION,),
    kernel_rate=KERNELS,
    restoration=RestorationConfig(),
    warmup_steps=1,
    ema=0.5,
)
DENSE = Stage(name="dense", steps=4, trainable=(VISION, TEXT, *HEADS), kernel_rate=KERNELS, warmup_steps=1, ema=0.5)
JOINT = Stage(
    name="joint",
    steps=4,
    trainable=EVERYTHING,
    kernel_rate=KERNELS,
    warmup_steps=1,
    ema=0.5,
    queries_per_image=2,
    words=True,
    joint=True,
    ewc=100.0,
    ewc_samples=2,
)
QUESTIONS = Stage(
    name="questions",
    steps=4,
    trainable=(VISION, TEXT, *QUERIES),
    warmup_steps=1,
    ema=0.5,
    dense=False,
    queries_per_image=2,
    joint=True,
)
HARD = Stage(
    name="hard",
    steps=6,
    trainable=(VISION, TEXT, *HEADS),
    kernel_rate=KERNELS,
    warmup_steps=1,
    ema=0.5,
    miner=MinerConfig(every=2, batch=3, min_score=1e-4, capacity=8),
)


def recipe_of(*stages: Stage) -> Recipe:
    """The tiny recipe on still smaller views, three images at a time, with other stages."""
    base = tiny()
    model = base.model.model_copy(update={"decoder": DecoderConfig(queries=8, layers=2, feedforward=64)})
    augment = AugmentConfig(size_px=VIEW_PX, scale=(0.4, 0.6))
    return base.model_copy(update={"model": model, "augment": augment, "batch": 3, "stages": stages})


def bare(held: Held) -> Held:
    """The same image with nothing known of it."""
    return replace(held, boxes_G4=np.zeros((0, 4), np.float32), concepts=(), exhaustive_for=frozenset(), appearance=())


def uneven_pools() -> list[Pool]:
    """Phantoms with all their labels, and as many of which nothing is known: a process may get the latter alone."""
    phantoms = tuple(phantom_radiograph(seed, IMAGE_PX) for seed in range(4))
    return [Pool("phantom", 0.5, phantoms, (1.0,) * 4), Pool("bare", 0.5, tuple(map(bare, phantoms)), (1.0,) * 4)]


class Numbers:
    """Keeps what a run logs."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Takes a row."""
        self.rows.append((step, dict(values)))


def silent(_: str) -> None:
    """Takes no note."""


def logged(trainer: Trainer) -> list[tuple[int, dict[str, float]]]:
    """What a trainer of `trainer_of` logged: step and numbers."""
    assert isinstance(trainer.around.log, Numbers)
    return trainer.around.log.rows


def trainer_of(
    folder: Path,
    recipe: Recipe,
    pools: list[Pool],
    *,
    note: Callable[[str], None] = silent,
    judge: Callable[[GroundingNetwork], float] | None = None,
    processes: Processes | None = None,
) -> Trainer:
    """A trainer of a network that is the same each time."""
    vocabulary = load_vocabulary()
    torch.manual_seed(recipe.seed)
    around = Surroundings(folder, Numbers(), note, judge, processes or Processes.single())
    return Trainer(recipe, new_network(recipe, vocabulary), vocabulary, pools, around)
