"""A whole bundle with untrained weights: every part real, only nothing learned."""

from __future__ import annotations

import pytest
import torch

from medground.data.vocabulary import load_vocabulary
from medground.model.backbones.build import build_backbone
from medground.model.bundle import Bundle
from medground.model.bundle_write import round_as_stored
from medground.model.calibration import Calibration, Curve
from medground.model.config import CompactConfig, DescriberConfig, ModelConfig
from medground.model.familiarity import Familiarity
from medground.model.network import GroundingNetwork, channels_last
from medground.model.scope import Scope, TrainedConcept
from medground.model.tokenizer import train_tokenizer
from medground.schema.anatomy import DOMAINS
from medground.schema.result import ModelInfo

WIDTH = 48


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    torch.manual_seed(0)
    compact = CompactConfig(
        channels=(16, 24, 32, WIDTH),
        blocks=(1, 1, 1, 1),
        describer=DescriberConfig(words=("round", "oval", "dense")),
    )
    tokenizer = train_tokenizer(["nodule", "mass", "结节"], compact.text.tokens)
    config = ModelConfig(image_size_px=128, backbone=compact)
    network = GroundingNetwork(config, build_backbone(compact, tokenizer=tokenizer)).eval().requires_grad_(False)
    network.dense.bias.fill_(-1.0)
    round_as_stored(network)
    channels_last(network)
    vocabulary = load_vocabulary()
    curve = Curve(weights=(1.0,), offset=0.0, positives=1, negatives=1)
    presence = Curve(weights=(1.0, 0.5), offset=0.0, positives=1, negatives=1)
    trained = tuple(
        TrainedConcept(
            concept=concept, domain=domain, images=1, boxes=1, real_boxes=0, synthetic_only=True, described=True
        )
        for concept in ("nodule", "mass")
        for domain in DOMAINS
    )
    kinds = len(DOMAINS)
    return Bundle(
        ModelInfo(name="untrained", version="0", sha256="", trained_on=("nothing",)),
        network,
        vocabulary,
        Scope(trained=trained),
        Calibration(box={"": curve}, presence={"": presence}),
        Familiarity(torch.zeros(kinds, WIDTH), torch.eye(WIDTH).repeat(kinds, 1, 1), torch.full((kinds, 3), 1e6)),
        {"note": "untrained"},
    )
