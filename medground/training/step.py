"""One step's losses: what of the network a stage teaches, by what questions.

Legend: B images, C trained concepts, A locations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medground.data.questions import sample_phrase
from medground.model.assigner import Assignment
from medground.model.backbones.interface import Pyramid, exact
from medground.model.decoder import Refined
from medground.model.dense_head import Dense
from medground.model.network import GroundingNetwork
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.vocabulary import Concept
from medground.training.batch import Batch
from medground.training.denoising import DENOISING_LOSSES, denoising_terms, shown, split, with_shown
from medground.training.finite import is_finite, no_number
from medground.training.miner import Hard, mine
from medground.training.objective import (
    DENSE_LOSSES,
    QUERY_LOSSES,
    Pairs,
    Terms,
    choose_pairs,
    dense_losses,
    query_losses,
    word_loss,
)
from medground.training.recipe import Recipe, Stage
from medground.training.restoration import RestorationHead, hide, restoration_loss

TWO_SIDED = frozenset({DOMAINS.index(Domain.CHEST_RADIOGRAPH), DOMAINS.index(Domain.CHEST_CT)})
BACKGROUND_ROWS = 64  # embeddings of locations on nothing that a step gives the prototypes
LEAST_QUALITY = 0.3  # a location that overlaps its box less is no example of it


@dataclass(frozen=True, slots=True)
class Rows:
    """Embeddings of a step for the prototypes: of matched locations with concept and weight, and of background."""

    embeddings_ND: Tensor
    concept_N: Tensor
    weight_N: Tensor
    background_ND: Tensor


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step gives: losses as sums and counts, mistakes to replay, rows for the prototypes."""

    terms: Terms
    mistakes: list[Hard]
    rows: Rows | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step stands.

    Attributes:
        stage: index of the stage.
        step: in the stage.
        positions: of this process's images in the global batch.
        images: in the global batch.
        mined: whether they were drawn from the replay pool.
    """

    stage: int
    step: int
    positions: range
    images: int
    mined: bool = False


class StepLosses:
    """Losses of a batch under a stage; what is drawn depends on seed, stage, step and position alone.

    Args:
        recipe: with its concepts.
        network: in the modes of the stage.
        concepts: in the order of the label columns.
        restorer: restores hidden patches.
        autocast: what the towers and the describer compute in. Heads, queries and losses are float32: they add up what
            many locations say, and bfloat16 keeps three digits.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: GroundingNetwork,
        concepts: Sequence[Concept],
        restorer: RestorationHead | None,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.recipe, self.network, self.concepts, self.restorer = recipe, network, concepts, restorer
        self.autocast = autocast
        columns = {key: column for column, key in enumerate(recipe.concepts)}
        self.confusable = {
            columns[concept.key]: frozenset(columns[key] for key in concept.confusable_with if key in columns)
            for concept in concepts
        }

    def __call__(self, stage: Stage, place: Place, batch: Batch, numbers: Sequence[int]) -> Outcome:
        """The losses of the images of this process.

        Which losses there are, and which levels they send gradients into, follows from the stage alone: processes meet
        in the norms and where counts are added, so all of them must come by the same places, with or without boxes.

        Args:
            stage: what is taught.
            place: where in the training this is.
            batch: this process's part of the global batch.
            numbers: of its samples.
        """
        if stage.restoration is not None and self.restorer is not None:
            return Outcome({"restoration": self._restoration(self.restorer, place, batch)}, [], None)
        rng = np.random.default_rng((self.recipe.seed, place.stage, place.step))
        phrases = [sample_phrase(concept, rng) for concept in self.concepts]
        network = self.network
        with torch.set_grad_enabled(stage.dense or stage.joint):
            with self.autocast():
                text_CD = network.backbone.read(phrases)
                pyramid = network.backbone.look(batch.images_BCHW)
            text_CD, pyramid = exact(text_CD), pyramid.exact()
            dense = network.dense(pyramid, text_CD)
        if not is_finite(dense.logits_BAP, dense.boxes_BA4):
            return Outcome(no_number(_names(stage)), [], None)
        terms: Terms = {}
        rows = None
        if stage.dense:
            terms, learned = dense_losses(network, batch, pyramid, dense, text_CD)
            rows = prototype_rows(dense, batch, learned, place.images) if stage.prototypes else None
        mistakes: list[Hard] = []
        if stage.miner.every:
            mistakes = mine(dense, batch, numbers, self.confusable, stage.miner, mirrored_domains=TWO_SIDED)
        seen, asked_CD = (pyramid, text_CD) if stage.joint else (pyramid.detached(), text_CD.detach())
        if stage.queries_per_image:
            base = int(rng.integers(2**31))
            pairs = choose_pairs(batch, stage.queries_per_image, [base + position for position in place.positions])
            seeds = [base + 7919 * position for position in place.positions]
            terms |= self._queries(stage, batch, pairs, dense, seen, asked_CD, seeds)
        if stage.words:
            with self.autocast():
                terms |= word_loss(network, batch, seen)
        if stage.dense or stage.joint:
            name, (value, count) = next(iter(terms.items()))
            terms[name] = value + _nothing(pyramid), count
        return Outcome(terms, mistakes, rows)

    def _queries(
        self, stage: Stage, batch: Batch, pairs: Pairs, dense: Dense, seen: Pyramid, asked_CD: Tensor, seeds: list[int]
    ) -> Terms:
        if not len(pairs.image_N):
            return {name: (torch.zeros(()), torch.zeros(())) for name in _query_names(stage)}
        size_px = float(batch.images_BCHW.shape[-1])
        image_N, phrase_N, network = pairs.image_N, pairs.phrase_N, self.network
        found = network.start_from(dense, image_N, phrase_N, size_px)
        if not stage.denoising:
            layers = network.refine(seen, asked_CD, image_N, phrase_N, found)
            return (
                query_losses(layers, batch, pairs, size_px) if _are_finite(layers) else no_number(_query_names(stage))
            )
        queries = found.logits_NQ.shape[1]
        places = list(zip(image_N.tolist(), phrase_N.tolist(), strict=True))
        truth = [batch.boxes[image][batch.concepts[image] == phrase] for image, phrase in places]
        added = shown(truth, stage.denoising, [seeds[image] + phrase for image, phrase in places])
        together, apart_QQ = with_shown(found, added, network.backbone.strides_px)
        layers = network.refine(seen, asked_CD, image_N, phrase_N, together, apart_QQ)
        if not _are_finite(layers):
            return no_number(_query_names(stage))
        own, mended = split(layers, queries)
        return query_losses(own, batch, pairs, size_px) | denoising_terms(mended, added, truth, size_px)

    def _restoration(self, restorer: RestorationHead, place: Place, batch: Batch) -> tuple[Tensor, Tensor]:
        parts = []
        for row, position in enumerate(place.positions):
            drawn = np.random.default_rng((self.recipe.seed, place.stage, place.step, position)).integers(2**31)
            generator = torch.Generator("cpu").manual_seed(int(drawn))
            parts.append(hide(batch.own_B1HW[row : row + 1], restorer.config, generator))
        seen_B1HW = torch.cat([seen for seen, _ in parts]).contiguous(memory_format=torch.channels_last)
        with self.autocast():
            pyramid = self.network.backbone.look(seen_B1HW)
        pyramid = pyramid.exact()
        hidden_BHW = torch.cat([hidden for _, hidden in parts])
        return restoration_loss(restorer, pyramid.levels_BCHW, pyramid.strides_px, batch.own_B1HW, hidden_BHW)


def _names(stage: Stage) -> tuple[str, ...]:
    """Of the losses of a stage that restores nothing, in the order that they come in."""
    return (
        *(DENSE_LOSSES if stage.dense else ()),
        *(_query_names(stage) if stage.queries_per_image else ()),
        *(("words",) if stage.words else ()),
    )


def _query_names(stage: Stage) -> tuple[str, ...]:
    return QUERY_LOSSES + (DENOISING_LOSSES if stage.denoising else ())


def _are_finite(layers: Sequence[Refined]) -> bool:
    return all(is_finite(layer.logits_NQ, layer.boxes_NQ4) for layer in layers)


def _nothing(pyramid: Pyramid) -> Tensor:
    """0, with a graph through every level."""
    return torch.stack([features.sum() for features in (*pyramid.levels_BCHW, pyramid.image_BC)]).sum() * 0.0


@torch.no_grad()
def prototype_rows(dense: Dense, batch: Batch, learned: Sequence[Assignment], images: int | None = None) -> Rows:
    """Embeddings of locations that learned a box, weighted by quality, and of the best-scored locations on nothing.

    Args:
        dense: what the head said.
        batch: with its truth.
        learned: of each image, which locations learned which boxes.
        images: that share `BACKGROUND_ROWS`, those of the other processes too; those of the batch if None.
    """
    each = max(1, BACKGROUND_ROWS // (images or len(learned)))
    embeddings, concepts, weights, background = [], [], [], []
    for image, found in enumerate(learned):
        sure = found.quality_N >= LEAST_QUALITY
        embeddings.append(dense.embedding_BAD[image, found.locations_N[sure]])
        concepts.append(batch.concepts[image][found.boxes_N[sure]])
        weights.append(found.quality_N[sure])
        free_A = _on_nothing(dense, batch, image)
        judged_C = batch.exhaustive_BC[image]
        if bool(judged_C.any()) and len(free_A):
            score_A = dense.logits_BAP[image][free_A][:, judged_C].amax(1)
            best = score_A.topk(min(each, len(score_A))).indices
            background.append(dense.embedding_BAD[image, free_A[best]])
    width = dense.embedding_BAD.shape[-1]
    return Rows(
        torch.cat(embeddings).float(),
        torch.cat(concepts),
        torch.cat(weights).float(),
        torch.cat(background).float() if background else torch.zeros(0, width),
    )


def _on_nothing(dense: Dense, batch: Batch, image: int) -> Tensor:
    """Locations outside every box of the image."""
    boxes_G4, centres_A2 = batch.boxes[image], dense.centres_A2
    if not len(boxes_G4):
        return torch.arange(len(centres_A2))
    offsets = torch.cat([centres_A2[None] - boxes_G4[:, None, :2], boxes_G4[:, None, 2:] - centres_A2[None]], -1)
    return (offsets.amin(-1) <= 0).all(0).nonzero().squeeze(1)
