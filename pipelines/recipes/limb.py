"""Fractures on limb radiographs (FracAtlas)."""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe, Stage
from pipelines.recipes.compact import SEED, compact_model
from pipelines.recipes.stages import align, general, hard, joint, queries

SIZE_PX = 448


def _limb(name: str, mix: DataMix, stages: tuple[Stage, ...]) -> Recipe:
    return Recipe(
        name=name,
        version="0.2.0",
        seed=SEED,
        batch=16,
        concepts=("fracture",),
        model=compact_model(("fracture",), SIZE_PX),
        mix=mix,
        augment=AugmentConfig(size_px=352, scale=(0.75, 1.35), mosaic=0.15, focus=0.6),
        stages=stages,
    )


def limb() -> Recipe:
    """From nothing to fractures: small views around them first, then larger ones, then mistakes."""
    return _limb(
        "limb",
        DataMix(share_limb=1.0),
        (
            general(3000, looks=4).model_copy(update={"scale": (0.75, 1.45), "mosaic": 0.1, "focus": 0.75}),
            align(100),
            joint(1600, general_pools=("limb",)),
            hard(150),
            queries(100, words=False),
        ),
    )


def limb_tuned() -> Recipe:
    """For `--start` with a bundle that knows films in general; held by what phantoms need of it."""
    return _limb(
        "limb-tuned",
        DataMix(share_limb=0.85, share_phantom=0.15, phantom_radiographs=256),
        (
            align(60),
            joint(800, ewc=0.05),
            hard(80),
        ),
    )
