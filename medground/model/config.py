"""The one place where the sizes of the compact model are set."""

from __future__ import annotations

from medground.schema.config import StrictConfig


class TextConfig(StrictConfig):
    """Size of the text encoder; `max_tokens` cuts longer phrases."""

    tokens: int = 1200
    width: int = 128
    layers: int = 2
    heads: int = 4
    max_tokens: int = 24


class CompactConfig(StrictConfig):
    """Size of the convolutional pyramid: channels at strides 2, 4, 8, 16, 32 and residual blocks at 4, 8, 16, 32."""

    channels: tuple[int, int, int, int, int] = (16, 32, 80, 160, 256)
    blocks: tuple[int, int, int, int] = (1, 2, 2, 1)
    pyramid_width: int = 128


class HeadConfig(StrictConfig):
    """The dense head: distance bins per box side, and the prior that a location holds what is asked."""

    bins: int = 16
    prior_logit: float = -8.0


class DecoderConfig(StrictConfig):
    """The query decoder: how many proposals become queries, and its size."""

    queries: int = 48
    layers: int = 3
    heads: int = 4
    feedforward: int = 256
    proposal_nms_iou: float = 0.7


class DescriberConfig(StrictConfig):
    """The appearance describer; `words` is its closed output vocabulary and `max_words` bounds one description."""

    words: tuple[str, ...] = ()
    width: int = 128
    max_words: int = 8


class ModelConfig(StrictConfig):
    """Everything that fixes the shape of the weights, and the input frame they were trained in."""

    image_size_px: int = 512
    text: TextConfig = TextConfig()
    backbone: CompactConfig = CompactConfig()
    head: HeadConfig = HeadConfig()
    decoder: DecoderConfig = DecoderConfig()
    describer: DescriberConfig = DescriberConfig()
