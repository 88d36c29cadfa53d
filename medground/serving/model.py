"""The model of a service: loaded once, shared by all jobs, and what waits at the same time is read together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from medground.imaging.preprocess import ModelImage
from medground.inference.reader import Reader
from medground.model.reading import ImageReading, LookGroup, Phrase, Portrait
from medground.model.scope import Scope
from medground.schema.anatomy import Domain
from medground.schema.result import ModelInfo
from medground.schema.vocabulary import Vocabulary

READ_TOGETHER = 8  # images; more save a CPU nothing, and the first of them would wait


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """A call of `read`, with where its answer goes; equal to itself alone, since tensors cannot be compared."""

    images: Sequence[ModelImage]
    phrases: tuple[Phrase, ...]
    max_boxes: int
    min_score: float
    known: tuple[Domain, ...] | None
    answer: Future[list[ImageReading]]

    def goes_with(self, other: _Wanted) -> bool:
        """Whether one reading serves both."""
        alike = (self.phrases, self.max_boxes, self.min_score) == (other.phrases, other.max_boxes, other.min_score)
        return alike and (self.known is None) == (other.known is None)


class SharedReader:
    """A `Reader` that many threads use at once; one thread of its own runs the network.

    While it reads, calls gather; those with the same phrases and limits are then read as one batch, at most
    `READ_TOGETHER` images. Nobody waits for company.

    Args:
        reader: the model; from now on only used in here.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._wanted: queue.SimpleQueue[_Wanted | None] = queue.SimpleQueue()
        self._door, self._words = threading.Lock(), threading.Lock()
        self._ended = threading.Event()
        self.batches = self.images = 0
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def info(self) -> ModelInfo:
        """Name, version and digest."""
        return self._reader.info

    @property
    def vocabulary(self) -> Vocabulary:
        """The concepts it knows by name."""
        return self._reader.vocabulary

    @property
    def scope(self) -> Scope:
        """What it answers about, and its thresholds."""
        return self._reader.scope

    @property
    def image_size_px(self) -> int:
        """Long side of the frame it wants its images in."""
        return self._reader.image_size_px

    @property
    def is_alive(self) -> bool:
        """Whether it can still read."""
        return self._thread.is_alive() and not self._ended.is_set()

    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],
        *,
        max_boxes: int,
        min_score: float,
        known: Sequence[Domain] | None = None,
    ) -> list[ImageReading]:
        """See `Reader.read`.

        Raises:
            RuntimeError: the reader was closed.
        """
        answer: Future[list[ImageReading]] = Future()
        kinds = None if known is None else tuple(known)
        with self._door:  # nothing gets in behind the end, where nobody would answer it
            if self._ended.is_set():
                raise RuntimeError("the model was closed: the service is ending")
            self._wanted.put(_Wanted(images, tuple(phrases), max_boxes, min_score, kinds, answer))
        return answer.result()

    def describe(self, regions: Sequence[tuple[object, str, Domain]]) -> list[tuple[str, ...]]:
        """See `Reader.describe`."""
        with self._words:
            return self._reader.describe(regions)

    def liken(self, portraits: Sequence[Portrait], groups: Sequence[LookGroup]) -> list[dict[str, float]]:
        """See `Reader.liken`."""
        with self._words:
            return self._reader.liken(portraits, groups)

    def close(self) -> None:
        """Answer what waits, then end."""
        with self._door:
            self._ended.set()
            self._wanted.put(None)
        self._thread.join()

    def _run(self) -> None:
        waiting: list[_Wanted] = []
        while True:
            if not waiting:
                first = self._wanted.get()
                if first is None:
                    return
                waiting.append(first)
            is_last = self._gather(waiting)
            first = waiting[0]
            batch, count = [], 0
            for one in list(waiting):
                if one is first or (first.goes_with(one) and count + len(one.images) <= READ_TOGETHER):
                    batch.append(one)
                    waiting.remove(one)
                    count += len(one.images)
            self._answer(batch)
            if is_last:
                self._wanted.put(None)

    def _gather(self, waiting: list[_Wanted]) -> bool:
        """Take everything that has come meanwhile; True if the end was among it."""
        is_last = False
        while True:
            try:
                one = self._wanted.get_nowait()
            except queue.Empty:
                return is_last
            if one is None:
                is_last = True
            else:
                waiting.append(one)

    def _answer(self, batch: Sequence[_Wanted]) -> None:
        first = batch[0]
        images = [image for one in batch for image in one.images]
        known = None if first.known is None else [kind for one in batch for kind in one.known or ()]
        self.batches += 1
        self.images += len(images)
        try:
            readings = self._reader.read(
                images, first.phrases, max_boxes=first.max_boxes, min_score=first.min_score, known=known
            )
        except BaseException as error:  # it belongs to those who asked; the model goes on
            for one in batch:
                one.answer.set_exception(error)
            return
        for one in batch:
            one.answer.set_result(readings[: len(one.images)])
            readings = readings[len(one.images) :]
