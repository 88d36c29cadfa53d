"""A recipe: what is trained on what, for how long. The stages are data for one trainer."""

from __future__ import annotations

from medground.data.augment import AugmentConfig
from medground.model.config import ModelConfig
from medground.schema.config import StrictConfig
from medground.training.miner import MinerConfig
from medground.training.objective import LossWeights


class Stage(StrictConfig):
    """One stretch of training.

    Attributes:
        name: unique within the recipe.
        steps: optimiser steps.
        trainable: prefixes of parameter names that are open; everything else is frozen, batch norms included.
        learning_rate: peak of AdamW; the text encoder gets `text_share` of it.
        warmup_steps: linear rise before the cosine.
        queries_per_image: image-phrase pairs put to the decoder for each image; 0 leaves the decoder out.
        dense: whether the dense, presence and image-kind losses apply.
        words: whether the describer is taught.
        ewc: strength with which the open weights are held where general data needs them; 0 leaves them free.
        ewc_samples: general samples that the Fisher information is estimated on, one by one.
        general_pools: names of the pools that general samples come from.
        miner: how mistakes are mined and replayed; without `every` nothing is.
    """

    name: str
    steps: int
    trainable: tuple[str, ...]
    learning_rate: float = 1e-3
    text_share: float = 0.4
    weight_decay: float = 0.03
    warmup_steps: int = 150
    clip_norm: float = 10.0
    ema: float = 0.998
    queries_per_image: int = 0
    dense: bool = True
    words: bool = False
    ewc: float = 0.0
    ewc_samples: int = 64
    general_pools: tuple[str, ...] = ("phantom",)
    miner: MinerConfig = MinerConfig()


class DataMix(StrictConfig):
    """How many generated images there are and what share of the samples each pool gives."""

    phantom_radiographs: int
    phantom_slices: int
    strangers: int
    share_phantom: float = 0.32
    share_slices: float = 0.05
    share_chest: float = 0.31
    share_limb: float = 0.25
    share_other: float = 0.07


class Recipe(StrictConfig):
    """Everything a training depends on besides the data themselves.

    Attributes:
        concepts: vocabulary keys, in the order of the label columns.
        development_fraction: share of the patients of train that tuning and calibration use.
    """

    name: str
    version: str
    seed: int
    batch: int
    concepts: tuple[str, ...]
    model: ModelConfig
    mix: DataMix
    augment: AugmentConfig
    losses: LossWeights = LossWeights()
    stages: tuple[Stage, ...]
    development_fraction: float = 0.15
