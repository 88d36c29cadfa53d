"""Tiny random Qwen-VL models with a tokenizer trained on the spot, laid out in folders as on the hub."""

from __future__ import annotations

from pathlib import Path

WORDS = (
    "left lung nodule",
    "cardiomegaly",
    "pleural effusion",
    "round; oval; dense; faint",
    "irregular margin",
    "oval well-defined moderate homogeneous, subtle ill-defined lobulated, small large, layering, blunted",
    "左肺有结节吗",
    "心影增大",
    "Region:",
)
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
)


def build(family: str, folder: Path, *, width: int = 64, depth: int = 3, sure: float = 1.0) -> Path:
    """Writes a random model of a family: safetensors, config, tokenizer and image processor.

    Args:
        family: one of `FAMILIES`.
        folder: where it goes.
        width: of both towers.
        depth: blocks of the vision tower.
        sure: factor of the output weights of the language model. At their size as drawn, no word can have a probability
            above a hundredth, whatever learns before them.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2VLImageProcessorPil
    from transformers.models.auto.modeling_auto import AutoModelForImageTextToText

    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fast.train_from_iterator(WORDS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=fast,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL),
    )
    tokenizer.save_pretrained(folder)
    patch = 16 if family == "qwen3_vl" else 14
    Qwen2VLImageProcessorPil(patch_size=patch).save_pretrained(folder)
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(_config(family, len(tokenizer), width, depth))
    model.lm_head.weight.data *= sure
    model.save_pretrained(folder)
    return folder


def _config(family: str, tokens: int, width: int, depth: int):
    from transformers import Qwen2_5_VLConfig, Qwen2VLConfig, Qwen3VLConfig

    text = {
        "vocab_size": tokens,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    ids = {"image_token_id": 3, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
    vision = {"depth": depth, "num_heads": 4, "initializer_range": 0.05}
    if family == "qwen2_vl":
        return Qwen2VLConfig(
            text_config=text, vision_config=vision | {"embed_dim": width, "hidden_size": width, "mlp_ratio": 2}, **ids
        )
    vision |= {"hidden_size": width, "intermediate_size": 2 * width, "out_hidden_size": width}
    if family == "qwen2_5_vl":
        vision |= {"fullatt_block_indexes": [depth - 1], "window_size": 56}
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    text |= {"head_dim": 16}
    text["rope_parameters"] = text["rope_parameters"] | {"mrope_interleaved": True}
    vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 64}
    return Qwen3VLConfig(text_config=text, vision_config=vision, **ids)
