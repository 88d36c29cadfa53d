"""A reader whose looks are told by a CLIP model as well, which sees the stored pixels of a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medground.data.questions import with_article
from medground.imaging.preprocess import ModelImage
from medground.inference.ids import file_digest
from medground.inference.reader import Reader
from medground.model.reading import ImageReading, Phrase, Portrait
from medground.model.scope import Scope
from medground.schema.anatomy import Domain
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary


class Likener(Protocol):
    """What `medground.model.clip.Clip` is."""

    name: str
    sha256: str

    def probabilities(self, crops: Sequence[NDArray[np.float32]], sentences: Sequence[str]) -> Tensor:
        """Table (crops, sentences) of which sentence says what a crop shows; each row adds up to 1."""


class WithClip:
    """The reader, but for how well words fit regions: there both are heard, and count the same.

    Args:
        reader: finds and describes.
        clip: tells looks.
    """

    def __init__(self, reader: Reader, clip: Likener) -> None:
        self.reader, self.clip = reader, clip

    @property
    def info(self) -> ModelInfo:
        """Names both; the digest is that of both digests."""
        own = self.reader.info
        both = file_digest((own.sha256 + self.clip.sha256).encode())
        return own.model_copy(update={"name": f"{own.name} with {self.clip.name}", "sha256": both})

    @property
    def vocabulary(self) -> Vocabulary:
        """The reader's."""
        return self.reader.vocabulary

    @property
    def scope(self) -> Scope:
        """The reader's."""
        return self.reader.scope

    @property
    def image_size_px(self) -> int:
        """The reader's."""
        return self.reader.image_size_px

    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        *,
        max_boxes: int,
        min_score: float,
        known: Sequence[Domain] | None = None,
    ) -> list[ImageReading]:
        """As the reader reads."""
        return self.reader.read(images, phrases, max_boxes=max_boxes, min_score=min_score, known=known)

    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        """As the reader describes."""
        return self.reader.describe(regions)

    def liken(self, portraits: Sequence[Portrait], groups: Sequence[Sequence[str]]) -> list[dict[str, float]]:
        """The mean of both; of a group of which the reader says nothing, what CLIP makes of all its words."""
        own = self.reader.liken(portraits, groups)
        crops = [portrait.crop() for portrait in portraits]
        told: list[dict[str, float]] = []
        for portrait, crop, heard in zip(portraits, crops, own, strict=True):
            fits: dict[str, float] = {}
            for group in groups:
                words = [word for word in group if word in heard] or list(group)
                sentences = [self._sentence(word, portrait) for word in words]
                for word, seen in zip(words, self.clip.probabilities([crop], sentences)[0].tolist(), strict=True):
                    fits[word] = (heard[word] + seen) / 2 if word in heard else seen
            told.append(fits)
        return told

    def _sentence(self, word: str, portrait: Portrait) -> str:
        name = self.vocabulary[portrait.concept].name
        return f"{with_article(portrait.domain.value)} with {with_article(f'{word} {name}')}"
