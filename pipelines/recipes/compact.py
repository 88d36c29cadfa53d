"""What every recipe of the compact model starts from, and the smallest of them."""

from __future__ import annotations

from itertools import chain

from medground.data.augment import AugmentConfig
from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.phantom.ct_nodules import NODULE_WORDS
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
VISION, TEXT, WORDS = "backbone.pyramid.", "backbone.text.", "backbone.describer"
TOP_VISION = tuple(
    f"{VISION}{part}" for part in ("stages.1.", "stages.2.", "stages.3.", "context.", "lateral.", "smooth.")
)  # all but the layers at stride 4, which cost most and have learned edges by then
HEADS = ("dense.", "presence.", "kind.")
QUERIES = ("region.", "decoder.")
EVERYTHING = ("backbone.", *HEADS, *QUERIES)
SEED = 20261124


def compact_model(concepts: tuple[str, ...], image_size_px: int = 512, *, beside: bool = False) -> ModelConfig:
    """The compact model for some concepts; with `beside`, slices of a volume are read with their neighbours."""
    words = DescriberConfig(words=tuple(dict.fromkeys(chain(*APPEARANCE_WORDS.values(), NODULE_WORDS))))
    backbone = CompactConfig(describer=words, beside=beside)
    return ModelConfig(image_size_px=image_size_px, backbone=backbone, classes=concepts)


def tiny() -> Recipe:
    """Every part at a size that runs in a minute: for tests, not for use."""
    model = compact_model(CONCEPTS, 128, beside=True)
    narrow = model.backbone.model_copy(update={"channels": (16, 24, 32, 48), "blocks": (1, 1, 1, 1)})
    return Recipe(
        name="tiny",
        version="0.0.0",
        seed=SEED,
        batch=4,
        concepts=CONCEPTS,
        model=model.model_copy(update={"backbone": narrow}),
        mix=DataMix(
            phantom_radiographs=8,
            phantom_slices=4,
            volume_slices=8,
            close_films=2,
            share_close=0.1,
            strangers=4,
            share_phantom=0.32,
            share_slices=0.05,
            share_chest=0.31,
            share_limb=0.25,
            share_other=0.07,
        ),
        augment=AugmentConfig(size_px=128),
        stages=(
            Stage(name="dense", steps=6, trainable=(VISION, TEXT, *HEADS), warmup_steps=2),
            Stage(
                name="queries",
                steps=4,
                trainable=(*QUERIES, WORDS),
                learning_rate=5e-4,
                warmup_steps=2,
                queries_per_image=2,
                dense=False,
                words=True,
            ),
        ),
    )
