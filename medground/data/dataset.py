"""Training samples as a pure function of their number, so that a resumed run sees what an unbroken one would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from medground.data.augment import AugmentConfig, change_intensity, crop_and_scale, tiled, turn, turn_map
from medground.data.midline import Map, opposite
from medground.data.sample import Held, Sample
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.errors import DataSetError

LIMB = DOMAINS.index(Domain.LIMB_RADIOGRAPH)


@dataclass(frozen=True, slots=True)
class Pool:
    """Images drawn from together: `share` of every batch comes from here, each image as often as its weight says.

    Attributes:
        name: of the pool.
        share: of every batch.
        items: the images.
        weights: of each.
        scale: of images kept larger than the model frame: smallest and largest magnification of views that look closely
            at a part of one. None for images in the model frame, whose views stray as the stage says.
    """

    name: str
    share: float
    items: tuple[Held, ...]
    weights: tuple[float, ...]
    scale: tuple[float, float] | None = None


def inverse_root_weights(items: Sequence[Held]) -> tuple[float, ...]:
    """How often to draw each image: as often as its rarest finding asks, by the inverse root of its frequency.

    Source: repeat-factor sampling, Gupta et al., LVIS, 2019, section 4.1, without a threshold.
    """
    counts: dict[str, int] = {}
    for held in items:
        for concept in set(held.concepts):
            counts[concept] = counts.get(concept, 0) + 1
    if not counts:
        return (1.0,) * len(items)
    most = max(counts.values())
    return tuple(max(((most / counts[c]) ** 0.5 for c in held.concepts), default=1.0) for held in items)


class MixedDataset(Dataset[Sample]):
    """Sample number `n` is drawn, and changed, by a generator seeded with (seed, n).

    Raises:
        DataSetError: if a box is not finite, or has no extent.
    """

    def __init__(
        self, pools: Sequence[Pool], concepts: Sequence[str], augment: AugmentConfig, *, seed: int, length: int
    ) -> None:
        self.pools = [pool for pool in pools if pool.items]
        for pool in self.pools:
            _check_boxes(pool)
        self.shares = np.array([pool.share for pool in self.pools])
        self.shares = self.shares / self.shares.sum()
        self.odds = [np.array(pool.weights) / sum(pool.weights) for pool in self.pools]
        self.concepts = tuple(concepts)
        self.augment = augment
        self.seed = seed
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, index))
        which = int(rng.choice(len(self.pools), p=self.shares))
        augment = _of_pool(self.augment, self.pools[which])
        count = 4 if rng.random() < augment.mosaic else 1
        items = [
            self.pools[which].items[int(rng.choice(len(self.odds[which]), p=self.odds[which]))] for _ in range(count)
        ]
        return augmented(items, self.concepts, augment, rng)


def _of_pool(config: AugmentConfig, pool: Pool) -> AugmentConfig:
    return config if pool.scale is None else config.model_copy(update={"scale": pool.scale, "mosaic": 0.0})


def _check_boxes(pool: Pool) -> None:
    for number, held in enumerate(pool.items):
        bad_G4 = held.boxes_G4[~_usable(held.boxes_G4)]
        if len(bad_G4):
            raise DataSetError(
                f"pool {pool.name!r}, image {number}: box {bad_G4[0].tolist()} is not finite with x1 < x2 and y1 < y2; "
                "mend or leave out that label"
            )


def _usable(boxes_G4: NDArray[np.float32]) -> NDArray[np.bool_]:
    ordered_G = (boxes_G4[:, 0] < boxes_G4[:, 2]) & (boxes_G4[:, 1] < boxes_G4[:, 3])
    usable_G: NDArray[np.bool_] = ordered_G & np.isfinite(boxes_G4).all(1)
    return usable_G


def channels_of(held: Held) -> Tensor:
    """The pixels as they are kept: one channel, or three where slices lie beside."""
    own_1HW = held.pixels_HW[None]
    beside_2HW = held.beside_2HW
    both = own_1HW if beside_2HW is None else np.concatenate([beside_2HW[:1], own_1HW, beside_2HW[1:]])
    return torch.from_numpy(both)


def augmented(
    items: Sequence[Held], concepts: tuple[str, ...], config: AugmentConfig, rng: np.random.Generator
) -> Sample:
    """One random view of one image, or of four of one kind; boxes of concepts that are not trained are left out."""
    images, boxes, rows, turns = [], [], [], []
    for held in items:
        known = [row for row, concept in enumerate(held.concepts) if concept in concepts]
        turned = (int(rng.integers(4)) if held.domain == LIMB else 0, bool(rng.random() < config.flip))
        image_CHW, boxes_G4 = turn(channels_of(held), torch.from_numpy(held.boxes_G4)[known], *turned)
        images.append(image_CHW)
        boxes.append(boxes_G4)
        rows += [(held, row) for row in known]
        turns.append(turned)
    image_CHW, placed = (images[0], boxes) if len(items) == 1 else tiled(images, boxes, rng)
    image_CHW, boxes_G4, kept_G, cut_33 = crop_and_scale(image_CHW, torch.cat(placed), config, rng)
    kept = [rows[row] for row in kept_G.nonzero().squeeze(1).tolist()]
    exhaustive_for = frozenset.intersection(*(held.exhaustive_for for held in items))
    return Sample(
        change_intensity(image_CHW, rng),
        boxes_G4[kept_G],
        torch.tensor([concepts.index(held.concepts[row]) for held, row in kept], dtype=torch.int64),
        torch.tensor([concept in exhaustive_for for concept in concepts]),
        items[0].domain,
        tuple(held.appearance[row] for held, row in kept),
        _opposite(items, turns, cut_33),
    )


def _opposite(items: Sequence[Held], turns: Sequence[tuple[int, bool]], cut_33: Map) -> Tensor | None:
    """Where the other side is; nowhere in several films, nor in one with lesions of others, whose sides are theirs."""
    if len(items) > 1 or items[0].copied:
        return None
    rows, columns = items[0].pixels_HW.shape
    return opposite(cut_33 @ turn_map(columns, rows, *turns[0]), columns)
