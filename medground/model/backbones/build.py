"""From a configuration to a backbone."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch
from tokenizers import Tokenizer

from medground.model.backbones.compact import CompactBackbone
from medground.model.backbones.interface import Backbone
from medground.model.config import BackboneConfig, CompactConfig
from medground.schema.errors import UsageError


def build_backbone(
    config: BackboneConfig, *, tokenizer: Tokenizer | None = None, base: str | Path | None = None
) -> Backbone:
    """A backbone as configured; the compact one with random weights.

    Args:
        config: of either kind.
        tokenizer: of the compact one's text encoder.
        base: pretrained weights of a Qwen-VL model; those that the configuration names if None.

    Raises:
        UsageError: if a compact backbone has no tokenizer, or packages of the extra `qwen` are absent.
        BundleMissingError, BundleDamagedError: if pretrained weights are not there or cannot be read.
    """
    if isinstance(config, CompactConfig):
        if tokenizer is None:
            raise UsageError("a compact backbone needs the tokenizer of its text encoder")
        return CompactBackbone(config, tokenizer)
    qwen = import_module("medground.model.backbones.qwen_vl")  # transformers: seconds that only its users pay
    backbone: Backbone = qwen.load_qwen(
        base or config.source,
        mode=config.mode,
        dtype=torch.bfloat16 if config.bfloat16 else torch.float32,
        gradient_checkpointing=config.gradient_checkpointing,
        config=config.sizes,
    )
    return backbone
