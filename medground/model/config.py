"""The one place where the sizes of a model are set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from medground.model.backbones.qwen_config import Mode, QwenConfig
from medground.model.prototypes import PrototypeConfig
from medground.schema.config import StrictConfig


class TextConfig(StrictConfig):
    """Size of the text encoder; `max_tokens` cuts longer phrases."""

    tokens: int = 1200
    width: int = 128
    layers: int = 2
    heads: int = 4
    max_tokens: int = 24


class DescriberConfig(StrictConfig):
    """The appearance describer; `words` is its closed output vocabulary and `max_words` bounds one description."""

    words: tuple[str, ...] = ()
    width: int = 128
    max_words: int = 8


class CompactConfig(StrictConfig):
    """Size of the compact backbone.

    Attributes:
        kind: names the class.
        stem_width: channels at stride 2; with 0 each 4x4 pixels become 16 channels at once, which costs a CPU a third
            less time in training than convolutions at full size.
        channels: at strides 4, 8, 16 and 32.
        blocks: residual blocks at the same strides.
        pyramid_width: channels of every level.
        activation: after each norm; SiLU costs a CPU a fifth of the time.
        separable: smooth the levels by depthwise and pointwise convolutions instead of full ones.
        beside: whether the slices below and above have a say; only with `stem_width` 0.
        text: the text encoder.
        describer: the describer.
    """

    kind: Literal["compact"] = "compact"
    stem_width: int = Field(default=0, ge=0)
    channels: tuple[int, int, int, int] = (32, 64, 128, 256)
    blocks: tuple[int, int, int, int] = (1, 2, 2, 1)
    pyramid_width: int = 96
    activation: Literal["relu", "silu"] = "relu"
    separable: bool = True
    beside: bool = False
    text: TextConfig = TextConfig()
    describer: DescriberConfig = DescriberConfig()

    @model_validator(mode="after")
    def _has_a_stem_that_takes_differences(self) -> CompactConfig:
        if self.beside and self.stem_width:
            raise ValueError("beside needs stem_width 0: a norm in the stem would stretch differences of slices")
        return self


class QwenBackboneConfig(StrictConfig):
    """A Qwen-VL model around pretrained weights.

    Attributes:
        kind: names the class.
        source: folder or hub id of the pretrained weights; a bundle that holds them inside does not need it.
        mode: what of them learns.
        bfloat16: whether the towers compute in bfloat16.
        gradient_checkpointing: recompute blocks in the backward pass.
        sizes: of the trained parts.
        base_sha256: digest of the pretrained weights a bundle belongs to; empty before training.
    """

    kind: Literal["qwen"] = "qwen"
    source: str
    mode: Mode = Mode.LORA
    bfloat16: bool = True
    gradient_checkpointing: bool = False
    sizes: QwenConfig = QwenConfig()
    base_sha256: str = ""


BackboneConfig = Annotated[CompactConfig | QwenBackboneConfig, Field(discriminator="kind")]


class HeadConfig(StrictConfig):
    """The dense head.

    Attributes:
        bins: distance bins per box side; a side reaches at most one stride less than this.
        prior_logit: of a location holding what is asked.
        single_scale: only the middle level proposes (an ablation).
        presence_gate: the image vector has a say in whether a finding is there; without, the best box alone (an
            ablation).
        activation: after each norm.
    """

    bins: int = 16
    prior_logit: float = -8.0
    single_scale: bool = False
    presence_gate: bool = True
    activation: Literal["relu", "silu"] = "relu"


class DecoderConfig(StrictConfig):
    """The query decoder.

    Attributes:
        queries: how many proposals become queries.
        layers, heads, feedforward: its size.
        proposal_nms_iou: overlap from which the lower of two proposals is dropped.
        learned: queries are learned vectors and boxes instead of proposals, as in DETR (an ablation).
    """

    queries: int = 48
    layers: int = 3
    heads: int = 4
    feedforward: int = 256
    proposal_nms_iou: float = 0.7
    learned: bool = False


class ModelConfig(StrictConfig):
    """Everything that fixes the shape of the weights, and the input frame they were trained in.

    Attributes:
        image_size_px: long side of the model frame.
        backbone, head, decoder, prototypes: of the parts.
        classes: vocabulary keys of the classes that have prototypes, in the order of their columns.
    """

    image_size_px: int = 512
    backbone: BackboneConfig = CompactConfig()
    head: HeadConfig = HeadConfig()
    decoder: DecoderConfig = DecoderConfig()
    prototypes: PrototypeConfig = PrototypeConfig()
    classes: tuple[str, ...] = ()
