"""Fractures on limb radiographs (FracAtlas)."""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe, Stage
from pipelines.recipes.compact import SEED, compact_model
from pipelines.recipes.stages import align, everything, general, hard, joint, queries, turned

SIZE_PX, CLOSE_SIZE_PX = 448, 512
TUNED_SIZE_PX = 640  # most of these films are smaller: their thin lines are found the better the larger they are


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


def limb_close() -> Recipe:
    """For `--start` with `phantoms`, which saw no limb: whole films, and the large ones at full resolution as well."""
    pools = ("limb", "close limb", "phantom", "close phantom")
    return turned(
        Recipe(
            name="limb-close",
            version="0.1.0",
            seed=SEED,
            batch=16,
            concepts=("fracture",),
            model=compact_model(("fracture",), CLOSE_SIZE_PX),
            mix=DataMix(share_limb=0.6, share_close=0.35, share_phantom=0.05, phantom_radiographs=128, close_films=64),
            augment=AugmentConfig(size_px=384, scale=(0.6, 1.2), mosaic=0.15, focus=0.5),
            stages=(
                general(700, pools).model_copy(
                    update={"scale": (0.65, 1.25), "mosaic": 0.1, "focus": 0.75, "warmup_steps": 50}
                ),
                everything(700, rate=8e-4, every=175, warmup=50, pools=pools),
            ),
        )
    )


def limb_tuned() -> Recipe:
    """For `--start` with a bundle that knows films in general: everything open, then the three stages."""
    concepts = ("fracture",)
    return turned(
        Recipe(
            name="limb-tuned",
            version="0.3.0",
            seed=SEED,
            batch=16,
            concepts=concepts,
            model=compact_model(concepts, TUNED_SIZE_PX),
            mix=DataMix(share_limb=0.95, share_phantom=0.05, phantom_radiographs=256),
            augment=AugmentConfig(size_px=384, scale=(0.6, 1.2), mosaic=0.15, focus=0.5),
            stages=(
                general(1400, ("limb",)).model_copy(
                    update={"scale": (0.65, 1.25), "mosaic": 0.1, "focus": 0.75, "warmup_steps": 50}
                ),
                everything(1300, rate=8e-4, every=325, warmup=50, pools=("limb",)),
                align(60).model_copy(update={"pools": ("limb",)}),
                joint(300, looks=2).model_copy(update={"pools": ("limb", "phantom"), "learning_rate": 4e-4}),
                hard(80).model_copy(update={"pools": ("limb",)}),
            ),
        )
    )
