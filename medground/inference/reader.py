"""Reader: what inference asks of a model, so that any model can stand behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from medground.imaging.preprocess import ModelImage
from medground.model.reading import ImageReading, LookGroup, Phrase, Portrait
from medground.model.scope import Scope
from medground.schema.anatomy import Domain
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary


class Reader(Protocol):
    """A model that reads images for phrases; `medground.model.grounder.Grounder` is the one that ships."""

    @property
    def info(self) -> ModelInfo:
        """Name, version and digest."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The concepts it knows by name."""

    @property
    def scope(self) -> Scope:
        """What it answers about, and its thresholds."""

    @property
    def image_size_px(self) -> int:
        """Long side of the frame it wants its images in."""

    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        *,
        max_boxes: int,
        min_score: float,
        known: Sequence[Domain] | None = None,
    ) -> list[ImageReading]:
        """Read each image for each phrase.

        Args:
            images: images in the model frame.
            phrases: what to look for; may be empty, then only the kind of image is read.
            max_boxes: at most so many boxes per phrase and image.
            min_score: boxes below this score are left out, 0..1.
            known: the kind of each image, where these are crops of images that were read before.

        Returns:
            One reading per image, with one phrase reading per phrase, in the order given; no candidate is described.
        """

    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        """Say what regions look like, all of them at once.

        Args:
            regions: `Candidate.region` of this reader's readings, the concept it was read as, and the kind of image.

        Returns:
            Appearance words of each, most certain first, in the order given; none where nothing can be said.
        """

    def liken(self, portraits: Sequence[Portrait], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        """Say how well words fit regions.

        Args:
            portraits: the regions.
            groups: of words, in the order in which they are said.

        Returns:
            Words of the groups asked for with probabilities, for each region in the order given; those of a group add
            up to 1. A group of which nothing can be told is left out, and so are words that were never learnt of the
            class.
        """
