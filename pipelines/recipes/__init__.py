"""Recipes by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medground.schema.errors import UsageError
from medground.training.recipe import Recipe
from pipelines.recipes.ablations import CHANGES, ablation
from pipelines.recipes.blood import blood
from pipelines.recipes.chest import ARMS
from pipelines.recipes.compact import tiny
from pipelines.recipes.limb import limb
from pipelines.recipes.shipped import shipped

RECIPES: dict[str, Callable[[], Recipe]] = {
    "shipped": shipped,
    "limb": limb,
    "blood": blood,
    "tiny": tiny,
    **ARMS,
    **{f"ablation-{change}": partial(ablation, change) for change in CHANGES},
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: if there is none.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe is called {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()
