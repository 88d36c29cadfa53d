"""Puts the prototypes of a trained network on the scale of its text scores, and gives them their share.

Legend: N locations, C concepts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medground.data.augment import AugmentConfig
from medground.data.dataset import MixedDataset, Pool
from medground.model.network import GroundingNetwork
from medground.model.prototypes import ABSENT
from medground.schema.vocabulary import Vocabulary
from medground.training.batch import Batch
from medground.training.objective import dense_losses
from medground.training.prototype_scale import fit_scale
from medground.training.recipe import Recipe
from medground.training.step import Rows, prototype_rows
from pipelines.sources import say

VIEWS, BATCH = 320, 8
SHARES = (0.0, 0.2, 0.4)
Ratio = Callable[[Tensor, Sequence[int]], Tensor]


@torch.no_grad()
def fit_prototypes(recipe: Recipe, network: GroundingNetwork, vocabulary: Vocabulary, pools: Sequence[Pool]) -> None:
    """Counts the images of each class without pasted copies; fits ground, slopes and offsets on views of the pools.

    The maps are pooled over classes: they are learned where there are many examples, and serve where there are few.
    That of added classes is learned from the trained ones, each scored as if it had been added.

    Args:
        recipe: what was trained.
        network: in evaluation mode; its bank is changed in place.
        vocabulary: names of the concepts.
        pools: training images.
    """
    bank, concepts = network.prototypes, recipe.concepts
    once = [held for pool in pools for held in pool.items if not held.copied]
    images = Counter(concept for held in once for concept in set(held.concepts))
    bank.set_images(torch.tensor([images[concept] for concept in concepts]))
    bank.ground.forget()
    plain = AugmentConfig(size_px=recipe.augment.size_px, scale=recipe.augment.scale)
    labelled = [pool for pool in pools if any(held.concepts for held in pool.items)]
    if not labelled:
        return
    views = MixedDataset(labelled, concepts, plain, seed=recipe.seed + 77, length=VIEWS)
    text_CD = network.backbone.read([vocabulary[concept].name for concept in concepts])
    seen: list[Rows] = []
    for start in range(0, VIEWS, BATCH):
        batch = Batch.of([views[number] for number in range(start, start + BATCH)])
        pyramid = network.backbone.look(batch.images_BCHW)
        dense = network.dense(pyramid, text_CD)
        bank.ground.see(dense.embedding_BAD.flatten(0, 1))
        seen.append(prototype_rows(dense, batch, dense_losses(network, batch, pyramid, dense, text_CD)[1]))
    for ratio, slope, offset in (
        (bank.log_ratio, bank.slope, bank.offset),
        (bank.ground_ratio, bank.added_slope, bank.added_offset),
    ):
        for buffer, value in zip((slope, offset), _scale(ratio, seen, len(concepts)), strict=True):
            buffer.fill_(value)


def _scale(ratio: Ratio, seen: Sequence[Rows], concepts: int) -> tuple[float, float]:
    """Slope and offset from log ratios to text scores: rows of lesions are hits of their class, background is none."""
    ratios, hits = [], []
    for rows in seen:
        on_NC = ratio(rows.embeddings_ND, range(concepts))
        off_NC = ratio(rows.background_ND, range(concepts))
        ratios += [on_NC.gather(1, rows.concept_N[:, None]).squeeze(1), off_NC.flatten()]
        hits += [torch.ones(len(on_NC)), torch.zeros(off_NC.numel())]
    ratio_N, hit_N = torch.cat(ratios), torch.cat(hits)
    known_N = ratio_N > ABSENT
    return fit_scale(ratio_N[known_N], hit_N[known_N], _balanced(hit_N[known_N]))


def _balanced(hit_N: Tensor) -> Tensor:
    """Weights under which hits and misses weigh as they do for the text: a miss a tenth of what its number says."""
    return torch.where(hit_N > 0, 1.0, 0.1)


def choose_share(network: GroundingNetwork, figures: Callable[[], dict[str, float]]) -> dict[str, dict[str, float]]:
    """Gives the prototypes the share of the score with which most is found on the development part; none if in doubt.

    Args:
        network: with a fitted bank; left with the chosen share. One without prototypes (share 0) stays so.
        figures: AP50 by concept as the network stands.

    Returns:
        AP50 by share.
    """
    tables: dict[str, dict[str, float]] = {}
    if network.config.prototypes.max_share == 0:
        return tables
    best = (-1.0, 0.0)
    for share in SHARES:
        network.weigh_prototypes(share)
        found = figures()
        mean = sum(found.values()) / max(1, len(found))
        tables[f"prototype share {share}"] = {"mean": mean, **found}
        say(f"prototype share {share}: mean development AP50 {mean:.4f}")
        best = max(best, (mean, -share))
    network.weigh_prototypes(abs(best[1]))
    return tables
