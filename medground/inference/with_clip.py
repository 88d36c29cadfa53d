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
from medground.model.reading import ImageReading, LookGroup, Phrase, Portrait
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

    def liken(self, portraits: Sequence[Portrait], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        """The mean of both over all words of a group asked for; of what the reader says nothing, CLIP alone."""
        own = self.reader.liken(portraits, groups)
        crops = [portrait.crop() for portrait in portraits]
        alike: dict[tuple[str, Domain], list[int]] = {}
        for row, portrait in enumerate(portraits):
            alike.setdefault((portrait.concept, portrait.domain), []).append(row)
        told: list[dict[str, float]] = [{} for _ in portraits]
        for group in (group for group in groups if group.asked):
            for rows in alike.values():
                sentences = [self._sentence(word, portraits[rows[0]]) for word in group.words]
                seen = self.clip.probabilities([crops[row] for row in rows], sentences).tolist()
                for row, fits in zip(rows, seen, strict=True):
                    share = 0.5 if any(word in own[row] for word in group.words) else 0.0
                    told[row] |= {
                        word: share * own[row].get(word, 0.0) + (1 - share) * fit
                        for word, fit in zip(group.words, fits, strict=True)
                    }
        return told

    def _sentence(self, word: str, portrait: Portrait) -> str:
        name = self.vocabulary[portrait.concept].name
        return f"{with_article(portrait.domain.value)} with {with_article(f'{word} {name}')}"
