"""A Qwen-VL model in three stages: what is new learns from frozen towers, then the towers too, then its mistakes."""

from __future__ import annotations

import json
from pathlib import Path

from medground.data.augment import AugmentConfig
from medground.model.backbones.qwen_config import LoraSize, Mode, QwenConfig
from medground.model.config import DecoderConfig, HeadConfig, ModelConfig, QwenBackboneConfig
from medground.schema.errors import UsageError
from medground.training.miner import MinerConfig
from medground.training.recipe import DataMix, Recipe, Stage
from pipelines.recipes.compact import CONCEPTS, HEADS, QUERIES, SEED

SIZE_PX = 448  # whole cells of all families: 16 of 28 px, 14 of 32
NEW = ("backbone.levels.", "backbone.phrases.", "backbone.describer.", *HEADS, *QUERIES)
VISION, LANGUAGE = "backbone.base.model.visual.", "backbone.base.model.language_model."
TOP_SHARE = 0.25  # of the blocks of a tower


def towers(base: str, mode: Mode) -> tuple[str, ...]:
    """What of the towers learns after alignment: the adapters, or the last quarter of the blocks and what follows them.

    Args:
        base: folder or hub id of the pretrained weights.
        mode: as of the backbone; `frozen` opens nothing.

    Raises:
        UsageError: in mode `full`, if `base` is no folder with a readable config.json: only that tells the depth.
    """
    if mode is not Mode.FULL:
        return ("backbone.base.",) if mode is Mode.LORA else ()
    path = Path(base) / "config.json"
    try:
        config = json.loads(path.read_bytes())
        seeing = int(config["vision_config"]["depth"])
        speaking = int(config.get("text_config", config)["num_hidden_layers"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"mode 'full' opens the last blocks of the towers, and {path} does not tell how many"
        ) from error
    return (
        *_top(f"{VISION}blocks.", seeing),
        f"{VISION}merger.",
        *_top(f"{LANGUAGE}layers.", speaking),
        f"{LANGUAGE}norm.",
    )


def _top(prefix: str, depth: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{block}." for block in range(depth - max(1, round(TOP_SHARE * depth)), depth))


def qwen(base: str, *, mode: Mode = Mode.LORA, bfloat16: bool = True) -> Recipe:
    """Chest and limb around the pretrained weights of a Qwen-VL model.

    Args:
        base: folder or hub id of the pretrained weights.
        mode: what of them learns.
        bfloat16: whether towers that stay as they are compute in bfloat16. In mode `full` they are float32 whatever is
            said: a step of 1e-5 is lost in bfloat16; train with `--precision bf16` instead.
    """
    backbone = QwenBackboneConfig(
        source=base,
        mode=mode,
        bfloat16=bfloat16 and mode is not Mode.FULL,
        gradient_checkpointing=mode is not Mode.FROZEN,
    )
    return Recipe(
        name="qwen",
        version="0.1.0",
        seed=SEED,
        batch=16,
        concepts=CONCEPTS,
        model=ModelConfig(image_size_px=SIZE_PX, backbone=backbone, classes=CONCEPTS),
        mix=DataMix(
            phantom_radiographs=1536,
            phantom_slices=256,
            strangers=256,
            share_phantom=0.32,
            share_slices=0.05,
            share_chest=0.31,
            share_limb=0.25,
            share_other=0.07,
        ),
        augment=AugmentConfig(size_px=SIZE_PX, scale=(0.7, 1.35)),
        stages=stages(towers(base, mode), (1500, 3000, 600)),
    )


def stages(opened: tuple[str, ...], steps: tuple[int, int, int]) -> tuple[Stage, Stage, Stage]:
    """Alignment, joint tuning held by EWC, and mined mistakes.

    Args:
        opened: what of the towers learns in the last two.
        steps: of each.
    """
    align = Stage(
        name="align",
        steps=steps[0],
        trainable=NEW,
        queries_per_image=1,
        words=True,
    )
    joint = Stage(
        name="joint",
        steps=steps[1],
        trainable=(*NEW, *opened),
        learning_rate=2e-4,
        queries_per_image=2,
        words=True,
        joint=True,
        ewc=1e-4,
        ewc_samples=32,
        general_pools=("phantom",),
    )
    hard = Stage(
        name="hard",
        steps=steps[2],
        trainable=(*NEW, *opened),
        learning_rate=1e-4,
        warmup_steps=50,
        queries_per_image=2,
        words=True,
        joint=True,
        miner=MinerConfig(every=3),
    )
    return align, joint, hard


def tiny_qwen(base: str, *, mode: Mode = Mode.LORA) -> Recipe:
    """Every part at a size that runs in a minute around a tiny model: for tests, not for use."""
    whole = qwen(base, mode=mode, bfloat16=False)
    sizes = QwenConfig(width=64, text_width=64, lora=LoraSize(rank=8, alpha=16))
    backbone = QwenBackboneConfig(source=base, mode=mode, bfloat16=False, sizes=sizes)
    decoder = DecoderConfig(queries=8, layers=1, feedforward=64)
    quick = {"learning_rate": 4e-3, "warmup_steps": 2, "weight_decay": 0.01, "text_share": 1.0, "ema": 0.95}
    short = [
        stage.model_copy(update=quick | {"ewc_samples": 2, "miner": stage.miner.model_copy(update={"batch": 4})})
        for stage in stages(towers(base, mode), (4, 4, 6))
    ]
    return whole.model_copy(
        update={
            "name": "tiny-qwen",
            "version": "0.0.0",
            "batch": 4,
            "model": ModelConfig(
                image_size_px=128,
                backbone=backbone,
                head=HeadConfig(prior_logit=-5.0),
                decoder=decoder,
                classes=CONCEPTS,
            ),
            "mix": whole.mix.model_copy(update={"phantom_radiographs": 8, "phantom_slices": 4, "strangers": 4}),
            "augment": AugmentConfig(size_px=128),
            "stages": tuple(short),
        }
    )
