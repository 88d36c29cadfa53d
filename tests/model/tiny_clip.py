"""A CLIP of random weights on disk, as transformers saves it, with a tokenizer that knows letters."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast

LETTERS = "abcdefghijklmnopqrstuvwxyz "


def build_clip(folder: Path, *, safe: bool = True) -> Path:
    """Writes it; with `safe` False its weights are a pickle."""
    torch.manual_seed(0)
    ids = {"<start>": 0, "<end>": 1, **{letter: row for row, letter in enumerate(LETTERS, 2)}}
    letters = Tokenizer(models.WordLevel(ids, unk_token="<end>"))
    letters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    letters.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 0), ("<end>", 1)]
    )
    text = {"vocab_size": len(ids), "bos_token_id": 0, "eos_token_id": 1, "max_position_embeddings": 77}
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config={**text, **small}, vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=16
    )
    model = CLIPModel(config)
    if safe:
        model.save_pretrained(folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        config.save_pretrained(folder)
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    PreTrainedTokenizerFast(
        tokenizer_object=letters, bos_token="<start>", eos_token="<end>", pad_token="<end>", model_max_length=77
    ).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
