"""A reader that is told the truth, image by image in the order of reading, so that all the rest can be tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from medground.data.vocabulary import load_vocabulary
from medground.imaging.preprocess import ModelImage
from medground.model.reading import Candidate, ImageReading, LookGroup, Phrase, PhraseReading, Portrait
from medground.model.scope import Scope
from medground.schema.anatomy import Domain
from medground.schema.box import Box
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary
from tests.inference.blob_reader import trained

SURE = 0.97
CONCEPTS = ("nodule", "pleural_effusion", "pneumothorax", "mass", "consolidation")


class TruthReader:
    """`truth` holds (concept, box) pairs for each image, `scores` how sure it is of a concept."""

    image_size_px = 256

    def __init__(
        self,
        truth: Sequence[Sequence[tuple[str, Box]]],
        domain: Domain,
        scores: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._truth = list(truth)
        self._scores = scores
        self._domain = domain
        self._next = 0

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(name="truth", version="1", sha256="f" * 64, trained_on=("phantom",))

    @property
    def vocabulary(self) -> Vocabulary:
        return load_vocabulary()

    @property
    def scope(self) -> Scope:
        return Scope(trained=tuple(trained(concept, self._domain, synthetic_only=True) for concept in CONCEPTS))

    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        *,
        max_boxes: int,
        min_score: float,
        known: Sequence[Domain] | None = None,  # noqa: ARG002 - the protocol's signature
    ) -> list[ImageReading]:
        readings = []
        for _ in images:
            shown = self._truth[self._next]
            self._next += 1
            heard = []
            for phrase in phrases:
                score = self._scores.get(phrase.concept, SURE)
                boxes = [box for concept, box in shown if concept == phrase.concept and min_score <= score]
                candidates = [Candidate(box.xyxy_px, score, region=box) for box in boxes]
                heard.append(PhraseReading(phrase, score if boxes else 0.01, tuple(candidates[:max_boxes])))
            readings.append(ImageReading(self._domain, 0.99, 0.5, tuple(heard)))
        return readings

    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        return [("round",)] * len(regions)

    def liken(self, portraits: Sequence[Portrait], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        said = self.describe([(one.region, one.concept, one.domain) for one in portraits])
        return [fits_of(words, [group.words for group in groups if group.asked]) for words in said]


def fits_of(words: Sequence[str], groups: Sequence[Sequence[str]], sure: float = 0.9) -> dict[str, float]:
    """How well the words of each group fit what is described by one of them; nothing of the other groups."""
    fits: dict[str, float] = {}
    for group in groups:
        if set(group) & set(words):
            fits |= {word: sure if word in words else (1 - sure) / (len(group) - 1) for word in group}
    return fits
