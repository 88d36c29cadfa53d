"""Fractures on limb radiographs (FracAtlas)."""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe
from pipelines.recipes.compact import SEED, compact_model
from pipelines.recipes.stages import align, general, hard, joint, queries

SIZE_PX = 448


def limb() -> Recipe:
    """From nothing to fractures: small views first, then whole-sized ones with the first layers held, then mistakes."""
    return Recipe(
        name="limb",
        version="0.2.0",
        seed=SEED,
        batch=16,
        concepts=("fracture",),
        model=compact_model(("fracture",), SIZE_PX),
        mix=DataMix(share_limb=1.0),
        augment=AugmentConfig(size_px=384, scale=(0.7, 1.35), mosaic=0.3),
        stages=(
            general(1800),
            align(100),
            joint(1100, general_pools=("limb",)),
            hard(200),
            queries(150, words=False),
        ),
    )
