"""Blood smears (BCCD), and the same with a class cut to five boxes: what helps a class with so few?"""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe, Stage
from pipelines.recipes.compact import HEADS, SEED, TEXT, TOP_VISION, VISION, compact_model
from pipelines.recipes.stages import hard

CELLS = ("platelet", "red_blood_cell", "white_blood_cell")
SIZE_PX = 416


def blood() -> Recipe:
    """All cells: small views, then larger ones with the first layers held, then mistakes."""
    return Recipe(
        name="blood",
        version="0.2.0",
        seed=SEED,
        batch=16,
        concepts=CELLS,
        model=compact_model(CELLS, SIZE_PX),
        mix=DataMix(share_blood=1.0),
        augment=AugmentConfig(size_px=352, scale=(0.6, 1.25), mosaic=0.4),
        stages=(
            Stage(
                name="general",
                steps=1300,
                trainable=(VISION, TEXT, *HEADS),
                size_px=224,
                scale=(0.45, 1.1),
                mosaic=0.5,
            ),
            Stage(
                name="joint",
                steps=700,
                trainable=(*TOP_VISION, TEXT, *HEADS),
                warmup_steps=30,
                mosaic=0.2,
                judge_every=175,
            ),
            hard(100),
        ),
    )
