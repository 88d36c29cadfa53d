"""Recipes by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medground.model.backbones.qwen_config import Mode
from medground.schema.errors import UsageError
from medground.training.recipe import Recipe
from pipelines.recipes.ablations import CHANGES, ablation
from pipelines.recipes.blood import blood, blood_five
from pipelines.recipes.chest import ARMS, films, phantom_stages, phantoms
from pipelines.recipes.compact import tiny
from pipelines.recipes.limb import limb, limb_close, limb_tuned
from pipelines.recipes.qwen import qwen, tiny_qwen
from pipelines.recipes.shipped import shipped

RECIPES: dict[str, Callable[[], Recipe]] = {
    "shipped": shipped,
    "limb": limb,
    "limb-tuned": limb_tuned,
    "blood": blood,
    "blood-five": blood_five,
    "blood-five-paste": partial(blood_five, paste=True),
    "tiny": tiny,
    "films": films,
    "phantoms": phantoms,
    "phantom-stages": phantom_stages,
    "limb-close": limb_close,
    **ARMS,
    **{f"ablation-{change}": partial(ablation, change) for change in CHANGES},
}
QWEN = {"qwen": qwen, "tiny-qwen": tiny_qwen}
"""Recipes around pretrained weights, whose folder is to be given."""


def recipe(name: str, *, base: str | None = None, mode: Mode = Mode.LORA) -> Recipe:
    """The recipe of that name.

    Args:
        name: a key of `RECIPES` or `QWEN`.
        base: folder or hub id of pretrained weights.
        mode: what of them learns.

    Raises:
        UsageError: if there is none, or it needs pretrained weights and none are given.
    """
    if name in QWEN:
        if base is None:
            raise UsageError(f"recipe {name!r} is built around a Qwen-VL model; give its folder with --base")
        return QWEN[name](base, mode=mode)
    if name not in RECIPES:
        raise UsageError(f"no recipe is called {name!r}; choose one of {', '.join([*RECIPES, *QWEN])}")
    return RECIPES[name]()
