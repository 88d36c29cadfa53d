"""A recipe: what is trained on what, for how long. The stages are data for one trainer."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from medground.data.augment import AugmentConfig
from medground.data.splits import DEV_FRACTION
from medground.model.config import ModelConfig
from medground.schema.config import StrictConfig
from medground.training.miner import MinerConfig
from medground.training.objective import LossWeights
from medground.training.restoration import RestorationConfig


class Stage(StrictConfig):
    """One stretch of training.

    Attributes:
        name: unique within the recipe.
        steps: optimiser steps.
        trainable: prefixes of parameter names that are open; everything else is frozen, batch norms included.
        pools: names of the pools that samples come from; all if empty.
        size_px, scale: side and magnification of the views; the recipe's own if None. Small views first cost a fraction
            of large ones.
        mosaic: probability of four images in one view; the recipe's own if None.
        focus: probability that a view holds a box drawn at random; the recipe's own if None.
        learning_rate: peak of AdamW; the text encoder gets `text_share` of it.
        kernel_rate: peak rate of orthogonal steps of convolution kernels, in learning rates (see `kernels`); 0 leaves
            them to AdamW.
        warmup_steps: linear rise before the cosine.
        ema: how much of the averaged weights a step keeps, once the average is old.
        dense: whether the dense, presence and image-kind losses apply.
        queries_per_image: image-phrase pairs put to the decoder for each image; 0 leaves the decoder out.
        denoising: noised copies of each true box that the decoder learns to put right; 0 shows none.
        words: whether the describer is taught.
        joint: whether decoder and describer send their gradients into backbone and text.
        restoration: hidden patches to be restored, instead of everything else; None hides nothing.
        prototypes: whether prototypes are updated from matched locations.
        ewc: strength with which the open weights are held where general data needs them; 0 leaves them free.
        ewc_samples: general samples that the Fisher information is estimated on, one by one.
        general_pools: names of the pools that general samples come from.
        miner: how mistakes are mined and replayed; without `every` nothing is.
        judge_every: steps between two looks at the development part; the best average so far is what the stage ends
            with, or, in a stage after the first, what it began with. 0 never looks and ends with the last average.
        patience: looks without a better one after which the stage ends early.
    """

    name: str
    steps: int
    trainable: tuple[str, ...]
    pools: tuple[str, ...] = ()
    size_px: int | None = None
    scale: tuple[float, float] | None = None
    learning_rate: float = 1e-3
    text_share: float = 0.4
    kernel_rate: float = 0.0
    weight_decay: float = 0.03
    warmup_steps: int = 150
    clip_norm: float = 10.0
    ema: float = 0.998
    dense: bool = True
    queries_per_image: int = 0
    denoising: int = 0
    words: bool = False
    joint: bool = False
    restoration: RestorationConfig | None = None
    prototypes: bool = True
    ewc: float = 0.0
    ewc_samples: int = 64
    general_pools: tuple[str, ...] = ("phantom",)
    miner: MinerConfig = MinerConfig()
    judge_every: int = 0
    patience: int = 1000
    mosaic: float | None = None
    focus: float | None = None


class DataMix(StrictConfig):
    """How many generated images there are and what share of the samples each pool gives; a share of 0 leaves it out.

    Attributes:
        pasted: copies of each real image with lesions of rare findings pasted in, beside the image itself.
        paste_below: findings on a smaller share of a set's images are pasted.
        keep_boxes: how many boxes of a concept real images keep, each of another image (see `with_few_boxes`); concepts
            that are not named keep all.
        positive: share of images with a box among those drawn from the limb pool.
        volume_slices: slices of CT volumes, each with those beside it.
        close_films: synthetic films kept at full resolution for views that look closely at a part.
        share_close: of such views, in equal parts of synthetic and of each kind of real films that the recipe draws.
        close_scale: magnification of such views.
    """

    phantom_radiographs: int = 0
    phantom_slices: int = 0
    strangers: int = 0
    share_phantom: float = 0.0
    share_slices: float = 0.0
    share_chest: float = 0.0
    share_limb: float = 0.0
    share_blood: float = 0.0
    share_unlabelled: float = 0.0
    share_other: float = 0.0
    volume_slices: int = 0
    close_films: int = 0
    share_close: float = 0.0
    close_scale: tuple[float, float] = (0.35, 1.0)
    pasted: int = 0
    paste_below: float = 0.1
    positive: float = 0.75
    keep_boxes: dict[str, int] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _as_before_boxes_were_cut(self, told: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Says nothing where nothing is cut: so the digests of recipes from before, and their checkpoints, hold."""
        fields: dict[str, Any] = told(self)
        return fields if self.keep_boxes else {key: value for key, value in fields.items() if key != "keep_boxes"}


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
    development_fraction: float = DEV_FRACTION
