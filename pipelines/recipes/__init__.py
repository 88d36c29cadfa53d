"""Recipes by name."""

from __future__ import annotations

from medground.schema.errors import UsageError
from medground.training.recipe import Recipe
from pipelines.recipes.compact import compact, tiny

RECIPES = {"compact": compact, "tiny": tiny}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: if there is none.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe is called {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()
