"""Chest films (NIH ChestX-ray14 with boxes of ChestX-Det): six ways to make more of 300 films, called arms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medground.data.augment import AugmentConfig
from medground.training.recipe import DataMix, Recipe, Stage
from pipelines.recipes.compact import CONCEPTS, SEED, compact_model
from pipelines.recipes.stages import align, everything, general, hard, joint, queries, restore, turned

FILM_CONCEPTS = tuple(concept for concept in CONCEPTS if concept != "cavity")  # no film of the set shows one
SIZE_PX = 448
RESTORE, GENERAL, JOINT, HARD = 200, 800, 350, 80
VIEWS = AugmentConfig(size_px=352, scale=(0.65, 1.15), mosaic=0.2, focus=0.4)


def chest(name: str, *, unlabelled: bool = False, phantom: bool = False, paste: bool = False) -> Recipe:
    """One arm; all have the same number of steps under labels.

    Args:
        name: of the recipe.
        unlabelled: pretrain by restoring hidden patches of unlabelled films.
        phantom: add synthetic films.
        paste: add copies with rare lesions pasted in.
    """
    films = 0.6 if phantom else 1.0
    pools = ("chest", "phantom") if phantom else ("chest",)
    stages: list[Stage] = [restore(RESTORE, ("unlabelled", "chest"))] if unlabelled else []
    stages += [
        general(GENERAL, pools),
        align(60),
        joint(JOINT, general_pools=("phantom",) if phantom else ("chest",)),
        hard(HARD),
        queries(60, words=phantom),
    ]
    return turned(
        Recipe(
            name=name,
            version="0.2.0",
            seed=SEED,
            batch=16,
            concepts=FILM_CONCEPTS,
            model=compact_model(FILM_CONCEPTS, SIZE_PX),
            mix=DataMix(
                phantom_radiographs=1024 if phantom else 0,
                share_phantom=1 - films,
                share_chest=films,
                share_unlabelled=1.0 if unlabelled else 0.0,
                pasted=4 if paste else 0,
            ),
            augment=VIEWS,
            stages=tuple(stages),
        )
    )


def films() -> Recipe:
    """What films and lesions look like, without a label of a chest film: phantoms, and fractures of limbs.

    No patient whose chest film is measured is among them, so every fold can start from the same weights.
    """
    return turned(
        Recipe(
            name="films",
            version="0.2.0",
            seed=SEED,
            batch=16,
            concepts=FILM_CONCEPTS,
            model=compact_model(FILM_CONCEPTS, SIZE_PX),
            mix=DataMix(phantom_radiographs=2048, share_phantom=0.65, share_limb=0.35),
            augment=VIEWS,
            stages=(
                general(2600).model_copy(update={"focus": 0.4}),
                everything(600, rate=7e-4, every=200),
            ),
        )
    )


def phantoms() -> Recipe:
    """What a film is, from phantoms alone: whoever is measured on real films of any kind can start from it."""
    return turned(
        Recipe(
            name="phantoms",
            version="0.1.0",
            seed=SEED,
            batch=16,
            concepts=FILM_CONCEPTS,
            model=compact_model(FILM_CONCEPTS, SIZE_PX),
            mix=DataMix(phantom_radiographs=2048, share_phantom=1.0),
            augment=VIEWS,
            stages=(general(1800).model_copy(update={"focus": 0.4}),),
        )
    )


def phantom_stages() -> Recipe:
    """All three stages and the query decoder on phantoms alone: what each of them does where every box is known.

    About twenty minutes of a busy core.
    """
    return turned(
        Recipe(
            name="phantom-stages",
            version="0.1.0",
            seed=SEED,
            batch=16,
            concepts=FILM_CONCEPTS,
            model=compact_model(FILM_CONCEPTS, SIZE_PX),
            mix=DataMix(phantom_radiographs=768, share_phantom=1.0),
            augment=VIEWS.model_copy(update={"size_px": 256, "scale": (0.45, 0.9)}),
            stages=(
                general(550).model_copy(update={"focus": 0.4}),
                align(40),
                joint(180, looks=2),
                hard(60),
                queries(60, words=True),
            ),
        )
    )


def tuned() -> Recipe:
    """For `--start` with the weights of `films`: fewer steps under labels than the other arms."""
    return turned(
        Recipe(
            name="chest-tuned",
            version="0.2.0",
            seed=SEED,
            batch=16,
            concepts=FILM_CONCEPTS,
            model=compact_model(FILM_CONCEPTS, SIZE_PX),
            mix=DataMix(phantom_radiographs=1024, share_phantom=0.4, share_chest=0.6, pasted=4),
            augment=VIEWS,
            stages=(
                general(500, looks=2).model_copy(update={"learning_rate": 7e-4, "warmup_steps": 50}),
                align(60),
                joint(JOINT),
                hard(HARD),
                queries(60, words=True),
            ),
        )
    )


ARMS: dict[str, Callable[[], Recipe]] = {
    "chest-films": partial(chest, "chest-films"),
    "chest-unlabelled": partial(chest, "chest-unlabelled", unlabelled=True),
    "chest-phantom": partial(chest, "chest-phantom", phantom=True),
    "chest-paste": partial(chest, "chest-paste", paste=True),
    "chest-all": partial(chest, "chest-all", unlabelled=True, phantom=True, paste=True),
    "chest-tuned": tuned,
}
