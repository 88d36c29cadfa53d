"""A real reader without weights: it takes bright blobs for findings, so that the truth of a test image is its blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from medground.data.vocabulary import load_vocabulary
from medground.imaging.preprocess import ModelImage
from medground.model.cases import Cases
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
from medground.schema.anatomy import Domain
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary

BRIGHT = 1.3  # blobs and the white edge are 2, the ground is at most 0
WIDE_PX = 60
SURE, UNSURE, ABSENT = 0.9, 0.4, 0.03


def trained(concept: str, domain: Domain, *, synthetic_only: bool = False) -> TrainedConcept:
    return TrainedConcept(
        concept=concept,
        domain=domain,
        images=100,
        boxes=100,
        real_boxes=0 if synthetic_only else 50,
        synthetic_only=synthetic_only,
        described=True,
    )


CHEST, LIMB, CT = Domain.CHEST_RADIOGRAPH, Domain.LIMB_RADIOGRAPH, Domain.CHEST_CT
SCOPE = Scope(
    trained=(
        trained("nodule", CHEST),
        trained("pleural_effusion", CHEST),
        trained("pneumothorax", CHEST, synthetic_only=True),
        trained("consolidation", CHEST),
        trained("atelectasis", CHEST),
        trained("fracture", LIMB),
        trained("nodule", CT),
    )
)


@dataclass
class Region:
    """The features of a blob: what it was read as, and where."""

    concept: str
    domain: Domain


@dataclass
class BlobReader:
    """Narrow blobs are nodules (fractures on a limb), wide ones effusions; small ones get a low score.

    After `fails_after` images it raises a RuntimeError, as a program does that runs out of memory; images after the
    first `usual` are taken for something else. `described` counts the regions of each batch it was told to describe.
    Everything looks like the cases of its concept, the first of them most.
    """

    domain: Domain = CHEST
    domain_probability: float = 0.99
    familiarity: float = 0.5
    scope: Scope = SCOPE
    sha256: str = "0" * 64
    fails_after: int | None = None
    usual: int | None = None
    image_size_px: int = 512
    cases: Cases = field(default_factory=Cases)
    images_read: int = 0
    described: list[int] = field(default_factory=list)
    phrases_read: list[tuple[Phrase, ...]] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(name="blobs", version="1", sha256=self.sha256, trained_on=("drawn images",))

    @property
    def vocabulary(self) -> Vocabulary:
        return load_vocabulary()

    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        *,
        max_boxes: int,
        min_score: float,
        known: Sequence[Domain] | None = None,  # noqa: ARG002 - the protocol's signature
    ) -> list[ImageReading]:
        self.phrases_read.append(tuple(phrases))
        readings = []
        for image in images:
            self.images_read += 1
            if self.fails_after is not None and self.images_read > self.fails_after:
                raise RuntimeError("out of memory")
            blobs = self._blobs(image)
            heard = tuple(self._hear(phrase, blobs, max_boxes, min_score) for phrase in phrases)
            odd = self.usual is not None and self.images_read > self.usual
            domain = Domain.OTHER if odd else self.domain
            readings.append(ImageReading(domain, self.domain_probability, self.familiarity, heard))
        return readings

    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        self.described.append(len(regions))
        assert all(one == Region(concept, domain) for one, concept, domain in regions)
        return [("round", "smooth")] * len(regions)

    def liken(self, portraits: Sequence[Portrait], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        return [
            {"round": 0.9, "oval": 0.1} if any("round" in group.words for group in groups if group.asked) else {}
            for _ in portraits
        ]

    def _blobs(self, image: ModelImage) -> list[tuple[tuple[float, float, float, float], float]]:
        labels, _ = ndimage.label(image.pixels_HW.numpy() > BRIGHT)
        boxes = []
        for rows, columns in ndimage.find_objects(labels):
            frame = np.array([[columns.start, rows.start, columns.stop, rows.stop]], dtype=float)
            if rows.start == 0:
                continue  # the white edge
            x1, y1, x2, y2 = (float(v) for v in image.letterbox.to_stored(frame)[0])
            size = image.letterbox
            box = (max(x1, 0.0), max(y1, 0.0), min(x2, size.columns), min(y2, size.rows))
            boxes.append((box, SURE if (x2 - x1) * (y2 - y1) >= 300 else UNSURE))
        return sorted(boxes, key=lambda pair: (-pair[1], pair[0]))

    def _hear(
        self,
        phrase: Phrase,
        blobs: list[tuple[tuple[float, float, float, float], float]],
        max_boxes: int,
        min_score: float,
    ) -> PhraseReading:
        wide = {"nodule": False, "fracture": False, "pleural_effusion": True}.get(phrase.concept)
        fitting = [(box, score) for box, score in blobs if (box[2] - box[0] > WIDE_PX) == wide]
        candidates = tuple(
            Candidate(box, score, region=Region(phrase.concept, self.domain), similar=self._similar(phrase.concept))
            for box, score in fitting[:max_boxes]
            if score >= min_score
        )
        return PhraseReading(phrase, max((score for _, score in fitting), default=ABSENT), candidates)

    def _similar(self, concept: str) -> tuple[Resemblance, ...]:
        own = [one.id for one in self.cases.known if (one.concept, one.domain) == (concept, self.domain)]
        return tuple(Resemblance(key, 0.9 - 0.1 * place) for place, key in enumerate(own))
