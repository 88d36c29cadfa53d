"""Qwen-VL models of published sizes with random weights, and our network around them: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedTokenizerFast, Qwen2VLImageProcessorPil

from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.questions import phrases
from medground.data.vocabulary import load_vocabulary
from medground.model.backbones.qwen_vl import QwenVl
from medground.model.config import QwenBackboneConfig
from medground.model.network import GroundingNetwork, channels_last
from medground.schema.errors import UsageError
from medground.training.recipe import Recipe

_TOKENS = 1200  # of the tokenizer that is trained on the spot; the published one is not at hand

_ROPE_2 = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
_ROPE_3 = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True}
_TEXT_3 = {"vocab_size": 151936, "head_dim": 128, "num_key_value_heads": 8, "rope_parameters": _ROPE_3}
_VISION_2 = {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16}
_VISION_25 = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
_VISION_3 = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16}
_DEEP_3 = {"deepstack_visual_indexes": [5, 11, 17], "num_position_embeddings": 2304}


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a model; what is not said is as transformers has it by default.

    Attributes:
        family: its `model_type`.
        text, vision: of the configurations of the towers.
        tied: whether words are read and written by the same matrix.
        published: parameters of the weights that are published under that name; 0 where there are none.
    """

    family: str
    text: dict[str, Any]
    vision: dict[str, Any]
    tied: bool
    published: int


def _text(width: int, inner: int, layers: int, heads: int, **more: Any) -> dict[str, Any]:
    sizes = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers}
    return sizes | {"num_attention_heads": heads, "rms_norm_eps": 1e-6, "rope_parameters": _ROPE_2} | more


# Source: config.json of Qwen/Qwen2-VL-2B-Instruct, Qwen2.5-VL-3B-Instruct, Qwen2.5-VL-7B-Instruct,
# Qwen3-VL-2B-Instruct and Qwen3-VL-4B-Instruct on Hugging Face; `published` is the number of parameters of their
# safetensors there (of the first, half of `total_size` in its index). Each count is made again in the tests.
ARCHITECTURES = {
    "qwen2-vl-2b": Architecture(
        "qwen2_vl",
        _text(1536, 8960, 28, 12, num_key_value_heads=2, vocab_size=151936),
        _VISION_2 | {"hidden_size": 1536},
        True,
        2_208_985_600,
    ),
    "qwen2.5-vl-3b": Architecture(
        "qwen2_5_vl",
        _text(2048, 11008, 36, 16, num_key_value_heads=2, vocab_size=151936),
        _VISION_25 | {"out_hidden_size": 2048},
        True,
        3_754_622_976,
    ),
    "qwen2.5-vl-7b": Architecture(
        "qwen2_5_vl",
        _text(3584, 18944, 28, 28, num_key_value_heads=4, vocab_size=152064),
        _VISION_25 | {"out_hidden_size": 3584},
        False,
        8_292_166_656,
    ),
    "qwen3-vl-2b": Architecture(
        "qwen3_vl",
        _text(2048, 6144, 28, 16) | _TEXT_3,
        _VISION_3 | _DEEP_3 | {"out_hidden_size": 2048},
        True,
        2_127_532_032,
    ),
    "qwen3-vl-4b": Architecture(
        "qwen3_vl",
        _text(2560, 9728, 36, 32) | _TEXT_3,
        _VISION_3 | _DEEP_3 | {"out_hidden_size": 2560},
        True,
        4_437_815_808,
    ),
    "tiny": Architecture(  # for tests
        "qwen2_5_vl",
        _text(64, 128, 4, 4, num_key_value_heads=2, vocab_size=_TOKENS)
        | {"rope_parameters": _ROPE_2 | {"mrope_section": [2, 3, 3]}, "bos_token_id": 1, "eos_token_id": 2},
        {"depth": 4, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 64}
        | {"fullatt_block_indexes": [3]},
        False,
        0,
    ),
}


def configuration(name: str) -> Any:
    """The configuration of transformers for an architecture."""
    chosen = ARCHITECTURES[name]
    return AutoConfig.for_model(
        chosen.family, text_config=chosen.text, vision_config=chosen.vision, tie_word_embeddings=chosen.tied
    )


def new_network(recipe: Recipe, name: str, device: str) -> GroundingNetwork:
    """The recipe's network around random towers; on the device `meta` it has sizes and no memory.

    Args:
        recipe: of a network with a Qwen backbone.
        name: a key of `ARCHITECTURES`.
        device: where it is made.

    Raises:
        UsageError: if the recipe has another backbone.
    """
    chosen = recipe.model.backbone
    if not isinstance(chosen, QwenBackboneConfig):
        raise UsageError(f"the recipe {recipe.name!r} has no Qwen backbone")
    with torch.device(device):
        dtype = torch.bfloat16 if chosen.bfloat16 else torch.float32
        base = AutoModelForImageTextToText.from_config(configuration(name), dtype=dtype)
        if chosen.gradient_checkpointing:
            base.activation_checkpointing_enable({"use_reentrant": False})
        language = base.model.language_model
        words = language.embed_tokens
        if device == "meta":  # the backbone asks for the size of its numbers, and there are none
            language.embed_tokens = nn.Embedding(1, 1, device="cpu")
        images = Qwen2VLImageProcessorPil(patch_size=base.config.vision_config.patch_size)
        backbone = QwenVl(base, _tokenizer(), images, chosen.sizes, chosen.mode, Path(chosen.source))
        language.embed_tokens = words
        network = GroundingNetwork(recipe.model, backbone)
    channels_last(network)
    return network


def _tokenizer() -> Any:
    """Byte pairs (Sennrich et al., 2016) of our own words: a phrase has about as many tokens as the published one's."""
    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_TOKENS, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    known = chain.from_iterable(phrases(concept) for concept in load_vocabulary().concepts)
    fast.train_from_iterator([*known, *chain.from_iterable(APPEARANCE_WORDS.values())], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=fast, pad_token=special[0], eos_token=special[1])
