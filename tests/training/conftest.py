"""A training so small that its every step can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from medground.data.dataset import Pool
from medground.data.pools import phantom_radiograph, stranger_image
from medground.data.vocabulary import load_vocabulary
from medground.training.recipe import Recipe
from medground.training.trainer import Surroundings, Trainer
from pipelines.recipes.compact import tiny
from pipelines.train import new_network
from tests.training.four_stages import uneven_pools


class Numbers:
    """Keeps what a run logs."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, dict(values)))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Sums in one order, so that what is computed twice is the same to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pools() -> list[Pool]:
    return uneven_pools()


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    return tiny()


@pytest.fixture(scope="session")
def small_pools(small_recipe: Recipe) -> list[Pool]:
    size = small_recipe.model.image_size_px
    phantoms = tuple(phantom_radiograph(seed, size) for seed in range(6))
    others = tuple(stranger_image(seed, size) for seed in range(2))
    return [Pool("phantom", 0.8, phantoms, (1.0,) * 6), Pool("other", 0.2, others, (1.0,) * 2)]


@pytest.fixture(scope="session")
def make_trainer(small_recipe: Recipe, small_pools: list[Pool]) -> Callable[[Path, Recipe | None], Trainer]:
    vocabulary = load_vocabulary()

    def make(folder: Path, recipe: Recipe | None = None) -> Trainer:
        chosen = recipe or small_recipe
        torch.manual_seed(chosen.seed)
        notes: list[str] = []
        around = Surroundings(folder, Numbers(), notes.append)
        return Trainer(chosen, new_network(chosen, vocabulary), vocabulary, small_pools, around)

    return make
