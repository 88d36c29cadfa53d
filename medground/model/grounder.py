"""Grounder: images and phrases in, calibrated readings out.

Legend: B images, P phrases, A locations, N image-phrase pairs, Q queries, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from medground.imaging.boxes import clip, nms
from medground.imaging.preprocess import ModelImage, mirrored, stacked
from medground.model.backbones.interface import Pyramid
from medground.model.bundle import Bundle, read_bundle
from medground.model.decoder import Refined
from medground.model.dense_head import Dense
from medground.model.network import Proposals
from medground.model.raw_reading import FINAL_NMS_IOU, LOWEST_LOGIT, RawReading, fused_with_mirrored
from medground.model.reading import (
    Candidate,
    ImageReading,
    LookGroup,
    Phrase,
    PhraseReading,
    Portrait,
    Resemblance,
)
from medground.model.scope import Scope, TrainedConcept
from medground.schema.anatomy import DOMAINS, Domain
from medground.schema.errors import UsageError
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary

LEAST_CERTAIN_WORD = 0.5  # what is less probable is not said: silence beats a guess
READ_AT_ONCE_PX = 2**20  # of images of one size: larger batches save a CPU nothing
FUSED_BOXES = 100  # of each view, before they are taken together
DESCRIBED_AT_ONCE = 64  # a language model keeps a row of states for each region; more would not fit beside its weights


class Grounder:
    """Answers phrases on images with one bundle.

    Args:
        bundle: a bundle that was read and checked.
        query_weight: share of the query decoder in the score, 0 (dense proposals alone) to 1; the bundle's own if None.
        mirror: read each image mirrored too; the bundle's own choice if None.
        device: where the network runs; readings are always on the CPU.
    """

    def __init__(
        self, bundle: Bundle, *, query_weight: float | None = None, mirror: bool | None = None, device: str = "cpu"
    ) -> None:
        self.bundle = bundle
        self.device = torch.device(device)
        bundle.network.to(self.device)
        self.mirror = bundle.scope.mirror if mirror is None else mirror
        chosen = bundle.scope.query_weight if query_weight is None else query_weight
        self.query_weight = 1.0 if bundle.network.config.decoder.learned else chosen  # then there are no proposals

    @property
    def info(self) -> ModelInfo:
        """Name, version and digest of the bundle."""
        return self.bundle.info

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary the bundle was trained with."""
        return self.bundle.vocabulary

    @property
    def scope(self) -> Scope:
        """What the bundle answers about."""
        return self.bundle.scope

    @property
    def image_size_px(self) -> int:
        """Long side of the model frame."""
        return self.bundle.network.config.image_size_px

    @torch.inference_mode()
    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        *,
        max_boxes: int,
        min_score: float,
        known: Sequence[Domain] | None = None,
    ) -> list[ImageReading]:
        """Reads each image for each phrase; no words are decoded, see `describe`.

        Args:
            images: images in the model frame; any sizes, those of one size are read together.
            phrases: what to look for; may be empty, then only the kind of image is read.
            max_boxes: at most so many boxes per phrase and image.
            min_score: boxes below this calibrated score are left out.
            known: the kind of each image, for crops of images that were read before: a crop shows its kind badly, and
                its scores have a calibration of their own.
        """
        readings: dict[int, ImageReading] = {}
        with self._on_device():
            for rows in _alike(images):
                batch = [images[row] for row in rows]
                kinds = [known[row] for row in rows] if known else None
                read = self._read_alike(batch, phrases, kinds, max_boxes, min_score)
                readings |= dict(zip(rows, read, strict=True))
        return [readings[row] for row in range(len(images))]

    @torch.inference_mode()
    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        """Decodes the appearance words of regions, all at once as far as their classes may be said the same words of.

        Args:
            regions: `Candidate.region` of a reading, the key of the class it was read as, and the kind of its image.

        Returns:
            The words of each, in the order given; none where a candidate has no features.
        """
        said: list[tuple[str, ...]] = [()] * len(regions)
        with self._on_device():
            for allowed, rows, regions_NCSS in self._described_alike(regions):
                statements = self.bundle.network.backbone.describe(regions_NCSS, allowed=allowed or None)
                for row, own in zip(rows, statements, strict=True):
                    said[row] = tuple(s.text for s in own if s.probability >= LEAST_CERTAIN_WORD)
        return said

    @torch.inference_mode()
    def liken(self, portraits: Sequence[Portrait], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        """How well words fit regions, by what the describer would rather say of them; the pixels are not asked.

        Args:
            portraits: the regions.
            groups: of words, in the order in which they are said.

        Returns:
            Words of the groups asked for with probabilities, for each region in the order given: of those its class
            was described by in training, if these are at least two. Nothing where a candidate has no features.
        """
        likeness: list[dict[str, float]] = [{} for _ in portraits]
        regions = [(one.region, one.concept, one.domain) for one in portraits]
        with self._on_device():
            for allowed, rows, regions_NCSS in self._described_alike(regions):
                able = [(tuple(w for w in group.words if w in allowed), group.asked) for group in groups]
                said = [(words, asked) for words, asked in able if words]
                tables = self.bundle.network.backbone.liken(regions_NCSS, [words for words, _ in said])
                for (words, asked), table in zip(said, tables, strict=True):
                    for row, fits in zip(rows, table.tolist(), strict=True):
                        likeness[row] |= zip(words, fits, strict=True) if asked and len(words) > 1 else ()
        return likeness

    def _described_alike(
        self, regions: Sequence[tuple[object, str, Domain]]
    ) -> Iterator[tuple[tuple[str, ...], list[int], Tensor]]:
        """Batches of regions of which the same words may be said: these (any if empty), the rows, the features."""
        by_words: dict[tuple[str, ...], list[tuple[int, Tensor]]] = {}
        for row, (features, concept, domain) in enumerate(regions):
            entry = self._described(concept, domain)
            if entry is not None and isinstance(features, Tensor):
                by_words.setdefault(tuple(sorted(set(entry.words))), []).append((row, features))
        for allowed, held in by_words.items():
            for start in range(0, len(held), DESCRIBED_AT_ONCE):
                batch = held[start : start + DESCRIBED_AT_ONCE]
                yield allowed, [row for row, _ in batch], torch.stack([one for _, one in batch]).to(self.device)

    def _on_device(self) -> AbstractContextManager[object]:
        """New tensors on the device; on a CPU they are anyway, and asking would slow every operation down."""
        return nullcontext() if self.device.type == "cpu" else self.device

    def _read_alike(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        known: Sequence[Domain] | None,
        max_boxes: int,
        min_score: float,
    ) -> list[ImageReading]:
        """Readings of images of one size."""
        pyramid, raws = self._raws(images, phrases, max_boxes)
        readings = []
        for row, own in enumerate(raws):
            domain, probability, familiarity = self._kind(pyramid, row)
            domain = known[row] if known else domain
            scored = []
            for phrase, raw in zip(phrases, own, strict=True):
                scores = [self._score(float(x), phrase.concept, domain, close=known is not None) for x in raw.logits_N]
                scored.append(scores[: sum(score >= min_score for score in scores)])
            frame_boxes = [raw.frame_boxes_N4[: len(scores)] for raw, scores in zip(own, scored, strict=True)]
            regions = self._regions(pyramid, row, [phrase.concept for phrase in phrases], frame_boxes, domain)
            heard = []
            for phrase, raw, scores, features_NCSS in zip(phrases, own, scored, regions, strict=True):
                seen = self._kept(phrase.concept, domain, features_NCSS, len(scores))
                similar = self._similar(phrase.concept, domain, features_NCSS, len(scores))
                boxes = raw.boxes_N4[: len(scores)].tolist()
                candidates = tuple(
                    Candidate((x1, y1, x2, y2), score, region=region, similar=like)
                    for (x1, y1, x2, y2), score, region, like in zip(boxes, scores, seen, similar, strict=True)
                )
                heard.append(PhraseReading(phrase, self.presence(phrase.concept, raw, domain), candidates))
            readings.append(ImageReading(domain, probability, familiarity, tuple(heard)))
        return readings

    def _score(self, logit: float, concept: str, domain: Domain, *, close: bool) -> float:
        calibration = self.bundle.calibration
        if close:
            return calibration.close_probability(logit, concept, domain)
        return calibration.box_probability(logit, concept, domain)

    @torch.inference_mode()
    def raw(
        self, image: ModelImage, phrases: Sequence[Phrase], *, max_boxes: int = 300
    ) -> tuple[list[RawReading], Tensor]:
        """Uncalibrated readings and the image vector: what calibration and familiarity are fitted on."""
        with self._on_device():
            pyramid, raws = self._raws([image], phrases, max_boxes)
            return raws[0], pyramid.image_BC[0].cpu()

    def _raws(
        self, images: Sequence[ModelImage], phrases: Sequence[Phrase], max_boxes: int
    ) -> tuple[Pyramid, list[list[RawReading]]]:
        """The pyramid of images of one size as they are, and their readings, with those of their mirror images."""
        pyramid, text_PD, dense = self._look(images, phrases)
        if not self.mirror or not phrases:
            return pyramid, self._raw(images, phrases, pyramid, text_PD, dense, max_boxes=max_boxes)
        most = max(max_boxes, FUSED_BOXES)  # a box counts by what the other view makes of it, however little is wanted
        raws = self._raw(images, phrases, pyramid, text_PD, dense, max_boxes=most)
        turned = [mirrored(image) for image in images]
        others = self._raw(turned, phrases, *self._look(turned, phrases), max_boxes=most)
        both = [
            [fused_with_mirrored(image, a, b, max_boxes) for a, b in zip(own, other, strict=True)]
            for image, own, other in zip(images, raws, others, strict=True)
        ]
        return pyramid, both

    def _look(self, images: Sequence[ModelImage], phrases: Sequence[Phrase]) -> tuple[Pyramid, Tensor, Dense]:
        network = self.bundle.network
        images_BCHW = stacked([image.channels_CHW for image in images]).to(self.device)
        pyramid = network.backbone.look(images_BCHW.contiguous(memory_format=torch.channels_last))
        text_PD = network.backbone.read([phrase.text for phrase in phrases])
        return pyramid, text_PD, self._with_prototypes(network.dense(pyramid, text_PD), phrases)

    def _with_prototypes(self, dense: Dense, phrases: Sequence[Phrase]) -> Dense:
        """Dense scores in which the prototypes of each phrase's class have their share."""
        network = self.bundle.network
        classes = network.config.classes
        columns = [classes.index(phrase.concept) if phrase.concept in classes else -1 for phrase in phrases]
        return replace(dense, logits_BAP=network.prototypes.blend(dense.logits_BAP, dense.embedding_BAD, columns))

    def _kind(self, pyramid: Pyramid, row: int) -> tuple[Domain, float, float]:
        probability, index = self.bundle.network.kind(pyramid.image_BC[row]).softmax(-1).max(-1)
        familiarity = self.bundle.familiarity.share_less_typical(pyramid.image_BC[row].cpu(), int(index))
        return DOMAINS[int(index)], float(probability), familiarity

    def _is_added(self, concept: str) -> bool:
        """Whether its class was added after training: then neither its words nor the whole image say anything of it."""
        return self.bundle.is_added(concept)

    def presence(self, concept: str, raw: RawReading, domain: Domain) -> float:
        """Calibrated probability, 0..1, that a class is on an image; of an added class that of its best box."""
        calibration = self.bundle.calibration
        if self._is_added(concept):
            return calibration.box_probability(raw.best_logit, concept, domain)
        return calibration.presence_probability(raw.presence_logit, raw.best_logit, concept, domain)

    def _raw(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        pyramid: Pyramid,
        text_PD: Tensor,
        dense: Dense,
        *,
        max_boxes: int,
    ) -> list[list[RawReading]]:
        """Dense and query scores together; an added class has the dense ones only, and the best of them as presence."""
        network, count = self.bundle.network, len(phrases)
        if count == 0:
            return [[] for _ in images]
        image_N = torch.arange(len(images)).repeat_interleave(count)
        phrase_N = torch.arange(count).repeat(len(images))
        queries = network.config.decoder.queries
        if network.config.decoder.learned:
            size_px = float(max(pyramid.levels_BCHW[0].shape[2:]) * pyramid.strides_px[0])
            found = network.start_from(dense, image_N, phrase_N, size_px)
        else:
            found = network.propose(dense, image_N, phrase_N, max(queries, max_boxes))
        head = Proposals(found.boxes_NQ4[:, :queries], found.logits_NQ[:, :queries], found.level_NQ[:, :queries])
        refined = network.refine(pyramid, text_PD, image_N, phrase_N, head)[-1] if self.query_weight > 0 else None
        best_BP = dense.logits_BAP.amax(1)
        presence_BP = network.presence(pyramid.image_BC, text_PD, best_BP)
        raws = []
        for row, image in enumerate(images):
            own = []
            for column, phrase in enumerate(phrases):
                pair = row * count + column
                added = self._is_added(phrase.concept)
                presence = float((best_BP if added else presence_BP)[row, column])
                own.append(self._settle(image, found, None if added else refined, pair, presence, max_boxes))
            raws.append(own)
        return raws

    def _settle(
        self, image: ModelImage, found: Proposals, refined: Refined | None, row: int, presence: float, max_boxes: int
    ) -> RawReading:
        """Fuses dense and query scores and boxes, suppresses duplicates, goes back to stored pixels."""
        boxes_Q4, logits_Q = found.boxes_NQ4[row].clone(), found.logits_NQ[row].clone()
        if refined is not None:
            count, weight = refined.logits_NQ.shape[1], self.query_weight
            real = logits_Q[:count] > -19
            mixed = (1 - weight) * logits_Q[:count] + weight * refined.logits_NQ[row]
            logits_Q[:count] = torch.where(real, mixed, logits_Q[:count])
            boxes_Q4[:count] = (1 - weight) * boxes_Q4[:count] + weight * refined.boxes_NQ4[row]
        box = image.letterbox
        boxes_Q4, logits_Q = clip(boxes_Q4.cpu(), box.inner_columns, box.inner_rows), logits_Q.cpu()
        size_Q2 = boxes_Q4[:, 2:] - boxes_Q4[:, :2]
        keep = (logits_Q > LOWEST_LOGIT) & (size_Q2.amin(1) >= 1.0)
        boxes_Q4, logits_Q = boxes_Q4[keep], logits_Q[keep]
        best = nms(boxes_Q4, logits_Q, FINAL_NMS_IOU, max_boxes)
        stored = torch.from_numpy(box.to_stored(boxes_Q4[best].double().numpy()))
        return RawReading(clip(stored, box.columns, box.rows), logits_Q[best], boxes_Q4[best], presence)

    def _described(self, concept: str, domain: Domain) -> TrainedConcept | None:
        """The scope entry of a class whose looks were trained; None of any other."""
        entry = self.bundle.scope.find(concept, domain)
        return entry if entry is not None and entry.described else None

    def _shows_cases(self, concept: str, domain: Domain) -> bool:
        """Whether findings of a class are shown with cases: it is rare, and there are some."""
        return self.bundle.may_show_cases(concept, domain) and self.bundle.cases.are_of(concept, domain)

    def _regions(
        self, pyramid: Pyramid, row: int, concepts: Sequence[str], frame_boxes: Sequence[Tensor], domain: Domain
    ) -> list[Tensor | None]:
        """What the describer sees of the boxes of each class, on the CPU; None of a class that nobody asks it of.

        The pyramid of an image is gone when its boxes are described, so the few numbers of each are kept instead.
        """
        able = [
            len(boxes_N4) > 0 and (self._described(concept, domain) is not None or self._shows_cases(concept, domain))
            for concept, boxes_N4 in zip(concepts, frame_boxes, strict=True)
        ]
        wanted = [boxes_N4 for boxes_N4, is_able in zip(frame_boxes, able, strict=True) if is_able]
        parts: Iterator[Tensor] = iter(())
        if wanted:
            boxes_N4 = torch.cat(wanted).to(self.device)
            image_N = torch.full((len(boxes_N4),), row)
            features_NCSS = self.bundle.network.to_describe(pyramid, boxes_N4, image_N).cpu()
            parts = iter(torch.split(features_NCSS, [len(one) for one in wanted]))
        return [next(parts) if is_able else None for is_able in able]

    def _kept(self, concept: str, domain: Domain, features_NCSS: Tensor | None, count: int) -> Sequence[Tensor | None]:
        """The features that each of `count` candidates of a class is described by; None if nothing can be said."""
        if features_NCSS is None or self._described(concept, domain) is None:
            return [None] * count
        return features_NCSS.unbind()

    def _similar(
        self, concept: str, domain: Domain, features_NCSS: Tensor | None, count: int
    ) -> list[tuple[Resemblance, ...]]:
        """The cases that each of `count` candidates of a class looks like; none if it is not rare."""
        if features_NCSS is None or not self._shows_cases(concept, domain):
            return [()] * count
        nearest = self.bundle.cases.nearest(concept, domain, features_NCSS.flatten(1).float().numpy())
        return [tuple(Resemblance(case, alike) for case, alike in own) for own in nearest]


def _alike(images: Sequence[ModelImage]) -> Iterator[list[int]]:
    """Rows of images of one size, so few together that memory is bounded."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        by_size.setdefault(tuple(image.pixels_HW.shape), []).append(row)
    for (rows, columns), members in by_size.items():
        most = max(1, READ_AT_ONCE_PX // (rows * columns))
        for start in range(0, len(members), most):
            yield members[start : start + most]


def load_grounder(folder: Path | None = None, device: str = "auto", *, base: str | Path | None = None) -> Grounder:
    """A grounder from a bundle folder.

    Args:
        folder: the shipped bundle if None.
        base: pretrained weights, for a bundle that was trained beside some.
        device: `cpu`, `cuda`, or `auto` for CUDA where there is one.

    Raises:
        UsageError: if `cuda` is asked for and there is none.
        BundleMissingError: if there is none.
        BundleDamagedError: if it differs from its manifest.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: this machine, or this build of torch, has no CUDA device; use --device cpu")
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    return Grounder(read_bundle(folder, base=base), device=chosen)
