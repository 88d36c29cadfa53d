"""What a bundle was trained for, and the thresholds its answers are judged by."""

from __future__ import annotations

from pydantic import Field

from medground.schema.anatomy import Domain
from medground.schema.config import StrictConfig
from medground.schema.rarity import RARE_REAL_BOXES


class TrainedConcept(StrictConfig):
    """A finding the bundle can answer about on one kind of image.

    Attributes:
        concept: vocabulary key.
        domain: kind of image.
        images, boxes: how many were in the training part, real and synthetic together.
        real_boxes: how many of the boxes are real.
        synthetic_only: True where every training box is synthetic.
        described: True where appearance words were trained for it.
        words: the appearance words that were seen with it; nothing else is said of it. Empty in bundles that did not
            keep them.
    """

    concept: str
    domain: Domain
    images: int
    boxes: int
    real_boxes: int
    synthetic_only: bool
    described: bool
    words: tuple[str, ...] = ()

    @property
    def is_rare(self) -> bool:
        """Whether few real examples stand behind it."""
        return self.real_boxes < RARE_REAL_BOXES


class Scope(StrictConfig):
    """The bundle's range and decision thresholds.

    Attributes:
        trained: every concept and domain it answers about.
        found_threshold: presence at or above it is `found`, if a box stands too.
        not_found_threshold: presence at or below it is `not_found`.
        min_familiarity: images less typical than this are not answered.
        min_domain_probability: nor are images whose kind is less certain than this.
        default_min_score: boxes below this calibrated score are not reported.
        min_side_px: smallest side of an image that is answered.
        max_colourfulness: more colourful pictures are not radiographs.
        query_weight: share of the query decoder in scores and boxes, chosen on the development part; 0 leaves it out.
        mirror: whether each image is read a second time, mirrored, and both readings are taken together: chosen on the
            development part, for twice the time.
        reads_crops: kinds of image that it was trained on, and calibrated for, at full resolution in parts too.
    """

    trained: tuple[TrainedConcept, ...]
    found_threshold: float = Field(default=0.5, ge=0, le=1)
    not_found_threshold: float = Field(default=0.2, ge=0, le=1)
    min_familiarity: float = Field(default=0.002, ge=0, le=1)
    min_domain_probability: float = Field(default=0.94, ge=0, le=1)
    default_min_score: float = Field(default=0.2, ge=0, le=1)
    min_side_px: int = Field(default=128, ge=1)
    max_colourfulness: float = Field(default=0.08, ge=0, le=1)
    query_weight: float = Field(default=0.5, ge=0, le=1)
    mirror: bool = False
    reads_crops: tuple[Domain, ...] = ()

    def find(self, concept: str, domain: Domain) -> TrainedConcept | None:
        """The entry for that concept on that kind of image, or None."""
        for entry in self.trained:
            if entry.concept == concept and entry.domain == domain:
                return entry
        return None
