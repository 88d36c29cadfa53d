"""What is chosen about a Qwen backbone; what is given by its weights is read from their folder."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from medground.schema.config import StrictConfig


class Mode(StrEnum):
    """What of the pretrained weights learns: nothing, low-rank adapters beside them, or all of them."""

    FROZEN = "frozen"
    LORA = "lora"
    FULL = "full"


class LoraSize(StrictConfig):
    """Rank and scale of the adapters, and in which tower they sit (LoRA, Hu et al., 2021, section 4.1)."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    vision: bool = True
    language: bool = True


class QwenConfig(StrictConfig):
    """Sizes of the trained parts around the pretrained towers.

    Attributes:
        width: channels of the pyramid.
        text_width: length of a phrase vector.
        early, late: which vision block the fine and the middle level read, as a share of the depth. Early blocks keep
            the texture of lesions smaller than a patch; the last ones have traded it for meaning.
        prompt: what the language model reads between the soft token of a region and its words.
        max_tokens: bound of one description, the end token included.
        lora: size of the adapters.
    """

    width: int = Field(default=128, ge=8)
    text_width: int = Field(default=128, ge=8)
    early: float = Field(default=0.25, ge=0, le=1)
    late: float = Field(default=0.75, ge=0, le=1)
    prompt: str = "Region:"
    max_tokens: int = Field(default=48, ge=2)
    lora: LoraSize = LoraSize()
