"""Fractures on limb radiographs (FracAtlas)."""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe
from pipelines.recipes.compact import SEED, compact_model
from pipelines.recipes.stages import align, general, hard, joint, queries

SIZE_PX = 448


def limb() -> Recipe:
    """From nothing to fractures: small views around them first, then larger ones, then mistakes."""
    return Recipe(
        name="limb",
        version="0.2.0",
        seed=SEED,
        batch=16,
        concepts=("fracture",),
        model=compact_model(("fracture",), SIZE_PX),
        mix=DataMix(share_limb=1.0),
        augment=AugmentConfig(size_px=352, scale=(0.75, 1.35), mosaic=0.15, focus=0.6),
        stages=(
            general(3000, looks=4).model_copy(update={"scale": (0.75, 1.45), "mosaic": 0.1, "focus": 0.75}),
            align(100),
            joint(1600, general_pools=("limb",)),
            hard(150),
            queries(100, words=False),
        ),
    )
