"""Blood smears (BCCD), and the same with a class cut to five boxes: what helps a class with so few?

Prototypes cost no training of their own: `python -m pipelines campaign five` measures each of the two trainings with
several shares of them. Copy-paste does, and is the second training.
"""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe, Stage
from pipelines.recipes.compact import HEADS, SEED, TEXT, TOP_VISION, VISION, compact_model
from pipelines.recipes.stages import hard

CELLS = ("platelet", "red_blood_cell", "white_blood_cell")
SIZE_PX = 416
RARE, KEPT, COPIES = "platelet", 5, 4


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


def blood_five(*, paste: bool = False) -> Recipe:
    """All cells, platelets marked five times only; 17 minutes of a busy core.

    Args:
        paste: add copies of images that show no platelet, with some of the five pasted in.
    """
    full = blood()
    small, large, _ = full.stages
    return full.model_copy(
        update={
            "name": "blood-five-paste" if paste else "blood-five",
            "version": "0.1.0",
            "mix": DataMix(share_blood=1.0, keep_boxes={RARE: KEPT}, pasted=COPIES if paste else 0),
            "stages": (
                small.model_copy(update={"steps": 700, "warmup_steps": 100}),
                large.model_copy(update={"steps": 200, "judge_every": 0}),
            ),
        }
    )
