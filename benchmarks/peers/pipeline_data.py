"""The data sets of the pipelines as a peer takes them: the same samples, parts and folds as ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from benchmarks.peers.measure import Images
from medground.data.splits import DEV
from medground.imaging.preprocess import prepare
from medground.schema.record import ImageRecord
from medground.training.batch import Batch
from pipelines.sets import training_set


class TrainingSet(Protocol):
    """What `pipelines.sets.training_set` returns."""

    @property
    def concepts(self) -> Sequence[str]:
        """Vocabulary keys, in the order of the label columns."""
        ...

    @property
    def training_boxes(self) -> Mapping[str, int]:
        """How many boxes of each concept the training part has."""
        ...

    @property
    def dev(self) -> Sequence[ImageRecord]:
        """The part that tuning uses."""
        ...

    @property
    def valid(self) -> Sequence[ImageRecord]:
        """The part that is measured."""
        ...

    @property
    def frame_px(self) -> int:
        """Long side of the frame that images are kept in, seen in views and measured in."""
        ...

    def batches(self, start: int, end: int) -> Iterator[Batch]:
        """Batches of steps start..end; what they hold depends on seed and step alone."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineData:
    """A training set with its images read from disk when their turn comes, in the frame that the views come from."""

    source: TrainingSet

    @classmethod
    def load(cls, name: str, data: Path, *, fold: int | None, size_px: int, batch: int, seed: int) -> Self:
        """The data set of that name.

        Args:
            name: `fracatlas`, `cxr` or `bccd`.
            data: folder of the data sets.
            fold: which fold is measured; None for the published parts.
            size_px: side of the square views it is trained on.
            batch: images of a step.
            seed: of the samples.
        """
        return cls(training_set(name, data, fold=fold, size_px=size_px, batch=batch, seed=seed))

    @property
    def concepts(self) -> Sequence[str]:
        """Vocabulary keys, in the order of the label columns."""
        return self.source.concepts

    @property
    def training_boxes(self) -> Mapping[str, int]:
        """How many boxes of each concept the training part has."""
        return self.source.training_boxes

    @property
    def frame_px(self) -> int:
        """Long side of the frame that images are measured in, as our recipe has it."""
        return self.source.frame_px

    def batches(self, start: int, end: int) -> Iterator[Batch]:
        """Batches of steps start..end."""
        return self.source.batches(start, end)

    def images(self, part: str) -> Images:
        """Images of `dev` or `valid`, each read when its turn comes."""
        for record in self.source.dev if part == DEV else self.source.valid:
            if record.path is not None:
                yield record, prepare(record.path, self.source.frame_px)
