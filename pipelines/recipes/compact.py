"""The compact model: dense proposals learned first, then queries and words on top of frozen features."""

from __future__ import annotations

from itertools import chain

from medground.data.augment import AugmentConfig
from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.model.config import CompactConfig, DescriberConfig, ModelConfig
from medground.training.recipe import DataMix, Recipe, Stage

CONCEPTS = (
    "atelectasis",
    "calcification",
    "cardiomegaly",
    "cavity",
    "consolidation",
    "diffuse_nodules",
    "emphysema",
    "fibrosis",
    "fracture",
    "infiltration",
    "mass",
    "nodule",
    "pleural_effusion",
    "pleural_thickening",
    "pneumonia",
    "pneumothorax",
)
DENSE_PARTS = ("text.", "backbone.", "dense.", "presence.", "kind.")
QUERY_PARTS = ("region.", "decoder.", "describer_region.", "describer.")


def compact() -> Recipe:
    """The shipped default."""
    return Recipe(
        name="compact",
        version="0.1.0",
        seed=20261124,
        batch=16,
        concepts=CONCEPTS,
        model=ModelConfig(describer=DescriberConfig(words=tuple(chain.from_iterable(APPEARANCE_WORDS.values())))),
        mix=DataMix(phantom_radiographs=2560, phantom_slices=448, strangers=448),
        augment=AugmentConfig(size_px=384),
        stages=(
            Stage(name="dense", steps=2100, trainable=DENSE_PARTS),
            Stage(name="dense again", steps=1250, trainable=DENSE_PARTS, learning_rate=7e-4, warmup_steps=50),
            Stage(
                name="queries",
                steps=300,
                trainable=QUERY_PARTS,
                learning_rate=5e-4,
                warmup_steps=50,
                queries_per_image=2,
                dense=False,
                words=True,
            ),
        ),
    )


def tiny() -> Recipe:
    """Every part at a size that runs in a minute: for tests, not for use."""
    full = compact()
    narrow = CompactConfig(channels=(8, 16, 24, 32, 48), blocks=(1, 1, 1, 1), pyramid_width=128)
    dense, _, queries = full.stages
    return full.model_copy(
        update={
            "name": "tiny",
            "batch": 4,
            "model": full.model.model_copy(update={"backbone": narrow, "image_size_px": 128}),
            "mix": full.mix.model_copy(update={"phantom_radiographs": 8, "phantom_slices": 4, "strangers": 4}),
            "augment": full.augment.model_copy(update={"size_px": 128}),
            "stages": (
                dense.model_copy(update={"steps": 6, "warmup_steps": 2}),
                queries.model_copy(update={"steps": 4, "warmup_steps": 2}),
            ),
        }
    )
