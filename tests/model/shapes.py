"""A small network that learned three drawn shapes in ten seconds, and films with a fourth one.

Dark discs are what a bundle is to learn from a few films afterwards.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from medground.data.sample import Sample
from medground.data.vocabulary import load_vocabulary
from medground.imaging.preprocess import ModelImage, prepare
from medground.model.backbones.build import build_backbone
from medground.model.bundle import Bundle
from medground.model.bundle_write import round_as_stored
from medground.model.calibration import Calibration, Curve
from medground.model.config import CompactConfig, DecoderConfig, DescriberConfig, ModelConfig, TextConfig
from medground.model.familiarity import Familiarity
from medground.model.network import GroundingNetwork, channels_last
from medground.model.prototypes import PrototypeConfig
from medground.model.scope import Scope, TrainedConcept
from medground.model.tokenizer import train_tokenizer
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.result import ModelInfo
from medground.training.batch import Batch
from medground.training.objective import LossWeights, dense_losses, means, weighted
from medground.training.step import prototype_rows

SIDE_PX = 64
CLASSES = {"s": "nodule", "S": "mass", "x": "cavity"}
NEW = "D"
FILM = Domain.CHEST_RADIOGRAPH
Boxes = tuple[tuple[float, float, float, float], ...]


def drawn_picture(seed: int, shapes: str) -> tuple[NDArray[np.float32], Boxes]:
    """A film (rows, columns), 0..1, with one shape a quarter, and their boxes, xyxy pixels.

    Letters are the shapes: `s` a square, `x` a cross, `d` a disc; small ones bright, capital ones dark.
    """
    rng = np.random.default_rng(seed)
    picture = rng.normal(0.5, 0.04, (SIDE_PX, SIDE_PX))
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    boxes: list[tuple[float, float, float, float]] = []
    quarters = rng.permutation(4)[: len(shapes)]
    for shape, quarter in zip(shapes, quarters, strict=True):
        radius = rng.integers(7, 12)
        low, high = radius + 2, SIDE_PX // 2 - radius - 2
        cx = rng.integers(low, high + 1) + SIDE_PX // 2 * (quarter % 2)
        cy = rng.integers(low, high + 1) + SIDE_PX // 2 * (quarter // 2)
        dx, dy = np.abs(x - cx), np.abs(y - cy)
        kind = shape.lower()
        if kind == "s":
            inside = np.maximum(dx, dy) < radius
        elif kind == "x":
            inside = (np.minimum(dx, dy) < radius / 3) & (np.maximum(dx, dy) < radius)
        else:
            inside = np.hypot(dx, dy) < radius
        picture[inside] += rng.uniform(0.3, 0.45) * (1 if shape.islower() else -1)
        boxes.append((cx - radius, cy - radius, cx + radius, cy + radius))
    return np.clip(picture, 0, 1).astype(np.float32), tuple(boxes)


def model_film(seed: int, shapes: str) -> tuple[ModelImage, Boxes]:
    """The same in the model frame."""
    picture, boxes = drawn_picture(seed, shapes)
    return prepare(picture, SIDE_PX), boxes


def _sample(seed: int) -> Sample:
    shapes = ("s", "xS", "sx", "SxS", "", "S", "x")[seed % 7]
    image, boxes = model_film(seed, shapes)
    return Sample(
        image.pixels_HW[None],
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor([list(CLASSES).index(shape) for shape in shapes], dtype=torch.int64),
        torch.ones(len(CLASSES), dtype=torch.bool),
        DOMAINS.index(FILM),
        ((),) * len(boxes),
    )


def _network() -> GroundingNetwork:
    compact = CompactConfig(
        channels=(16, 24, 32, 48),
        blocks=(1, 1, 1, 1),
        pyramid_width=32,
        text=TextConfig(tokens=300, width=32, layers=1),
        describer=DescriberConfig(words=("round",), width=16),
    )
    tokenizer = train_tokenizer([*CLASSES.values(), "结节"], compact.text.tokens)
    config = ModelConfig(
        image_size_px=SIDE_PX,
        backbone=compact,
        decoder=DecoderConfig(queries=12, layers=1, feedforward=32),
        prototypes=PrototypeConfig(per_class=2, background=4, keep=0.95),
        classes=tuple(CLASSES.values()),
    )
    return GroundingNetwork(config, build_backbone(compact, tokenizer=tokenizer))


@cache
def trained_bundle(steps: int = 300) -> Bundle:
    """The bundle; read it, never change it. Trained once in a process."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = _network().train()
    channels_last(network)
    samples = [_sample(seed) for seed in range(84)]
    learned = [value for name, value in network.named_parameters() if not name.startswith("decoder")]
    adam = torch.optim.AdamW(learned, lr=4e-3, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, total_steps=steps, pct_start=0.15)
    rng = np.random.default_rng(0)
    for step in range(steps):
        batch = Batch.of([samples[at] for at in rng.choice(len(samples), 8, replace=False)])
        text_CD = network.backbone.read(list(CLASSES.values()))
        pyramid = network.backbone.look(batch.images_BCHW)
        dense = network.dense(pyramid, text_CD)
        terms, found = dense_losses(network, batch, pyramid, dense, text_CD)
        adam.zero_grad()
        weighted(means(terms, lambda sums: sums), LossWeights()).backward()
        adam.step()
        plan.step()
        if step >= steps // 2:
            rows = prototype_rows(dense, batch, found)
            network.prototypes.update(rows.embeddings_ND, rows.concept_N, rows.weight_N, rows.background_ND)
    network.prototypes.set_images(torch.full((len(CLASSES),), 36))
    network.eval().requires_grad_(False)
    round_as_stored(network)
    channels_last(network)
    with torch.no_grad():
        seen = network.backbone.look(Batch.of(samples).images_BCHW)
        network.prototypes.ground.see(network.dense(seen, torch.zeros(0, 32)).embedding_BAD.flatten(0, 1))
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
    return _bundle(network)


def _bundle(network: GroundingNetwork) -> Bundle:
    """The network with a vocabulary, a scope and curves that change nothing."""
    trained = tuple(
        TrainedConcept(
            concept=key, domain=FILM, images=36, boxes=48, real_boxes=0, synthetic_only=True, described=False
        )
        for key in CLASSES.values()
    )
    kinds, width = len(DOMAINS), network.backbone.image_width
    plain, either = (Curve(weights=w, offset=0.0, positives=1, negatives=1) for w in ((1.0,), (0.5, 0.5)))
    return Bundle(
        ModelInfo(name="shapes", version="1", sha256="", trained_on=("drawn",)),
        network,
        load_vocabulary(),
        Scope(trained=trained, min_familiarity=0.0, min_side_px=32, min_domain_probability=0.0, query_weight=0.0),
        Calibration(box={"": plain}, presence={"": either}),
        Familiarity(torch.zeros(kinds, width), torch.eye(width).repeat(kinds, 1, 1), torch.full((kinds, 3), 1e6)),
        {"note": "shapes"},
    )
