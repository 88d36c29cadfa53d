"""The shipped model: chest films, CT slices and limbs, English and Chinese."""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe, Stage
from pipelines.recipes.compact import CONCEPTS, HEADS, SEED, TEXT, VISION, compact_model
from pipelines.recipes.stages import align, general, hard, joint, queries, restore

LABELLED = ("phantom", "slices", "chest", "limb", "other")


def shipped() -> Recipe:
    """Hidden patches, everything at small size, the three stages (the last two twice), all open, queries and words."""
    return Recipe(
        name="shipped",
        version="0.2.0",
        seed=SEED,
        batch=16,
        concepts=CONCEPTS,
        model=compact_model(CONCEPTS),
        mix=DataMix(
            phantom_radiographs=2560,
            phantom_slices=448,
            strangers=448,
            share_phantom=0.32,
            share_slices=0.05,
            share_chest=0.31,
            share_limb=0.25,
            share_blood=0.0,
            share_unlabelled=0.3,
            share_other=0.07,
            pasted=4,
        ),
        augment=AugmentConfig(size_px=384, scale=(0.65, 1.3), mosaic=0.2),
        stages=(
            restore(300, ("unlabelled", "chest", "limb")),
            general(3000, LABELLED),
            align(100).model_copy(update={"pools": LABELLED}),
            joint(2000, ewc=0.5).model_copy(update={"pools": LABELLED}),
            hard(200).model_copy(update={"pools": LABELLED}),
            joint(1600, ewc=0.5).model_copy(update={"pools": LABELLED, "name": "joint again", "learning_rate": 7e-4}),
            Stage(
                name="open",
                steps=800,
                trainable=(VISION, TEXT, *HEADS),
                pools=LABELLED,
                learning_rate=6e-4,
                warmup_steps=40,
                judge_every=200,
            ),
            hard(150).model_copy(update={"pools": LABELLED, "name": "hard again"}),
            queries(200, words=True).model_copy(update={"pools": LABELLED}),
        ),
    )
