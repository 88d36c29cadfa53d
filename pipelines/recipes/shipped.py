"""The shipped model: chest films, CT slices and limbs, English and Chinese."""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.training.objective import LossWeights
from medground.training.recipe import DataMix, Recipe
from pipelines.recipes.compact import CONCEPTS, SEED, compact_model
from pipelines.recipes.stages import align, everything, general, hard, joint, queries, restore, telling, turned

LABELLED = ("phantom", "slices", "chest", "limb", "other", "close phantom", "close chest", "close limb")


def shipped() -> Recipe:
    """Hidden patches, everything at small size, the three stages, all open between them, queries and words."""
    stages = (
        restore(300, ("unlabelled", "chest", "limb")),
        telling(general(2600, LABELLED).model_copy(update={"focus": 0.3})),
        align(100),
        telling(joint(900)),
        telling(everything(500, rate=7e-4, every=250)),
        telling(hard(150)),
        queries(200, words=True),
    )
    return turned(
        Recipe(
            name="shipped",
            version="0.3.0",
            seed=SEED,
            batch=16,
            concepts=CONCEPTS,
            model=compact_model(CONCEPTS, beside=True),
            mix=DataMix(
                phantom_radiographs=2560,
                phantom_slices=224,
                volume_slices=768,
                strangers=448,
                close_films=320,
                share_phantom=0.26,
                share_slices=0.07,
                share_chest=0.25,
                share_limb=0.24,
                share_unlabelled=0.3,
                share_other=0.05,
                share_close=0.13,
                pasted=4,
            ),
            augment=AugmentConfig(size_px=384, scale=(0.65, 1.3), mosaic=0.2, focus=0.3),
            losses=LossWeights(words=0.3),
            stages=tuple(s if s.pools else s.model_copy(update={"pools": LABELLED}) for s in stages),
        )
    )
