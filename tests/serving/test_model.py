"""Many threads ask one model: each gets its own answer, and what waits together is read together."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from medground.imaging.letterbox import Letterbox
from medground.imaging.preprocess import ModelImage
from medground.model.reading import ImageReading, Phrase
from medground.schema.anatomy import Domain
from medground.serving.model import READ_TOGETHER, SharedReader
from tests.inference.blob_reader import BlobReader
from tests.serving.running import eventually

NODULE, MASS = Phrase("nodule", "a nodule"), Phrase("mass", "a mass")


@dataclass
class NumberReader(BlobReader):
    """Reads an image's first pixel as its familiarity; waits for `go`; what is negative breaks it."""

    go: threading.Event = field(default_factory=threading.Event)
    batches: list[list[float]] = field(default_factory=list)
    known: list[Any] = field(default_factory=list)

    def read(
        self,
        images: Sequence[ModelImage],
        phrases: Sequence[Phrase],  # noqa: ARG002 - the protocol's signature
        *,
        max_boxes: int,  # noqa: ARG002
        min_score: float,  # noqa: ARG002
        known: Sequence[Domain] | None = None,
    ) -> list[ImageReading]:
        numbers = [float(image.pixels_HW[0, 0]) for image in images]
        self.batches.append(numbers)
        self.known.append(known)
        assert self.go.wait(120)
        if min(numbers) < 0:
            raise ValueError(f"{min(numbers)} cannot be read")
        return [ImageReading(Domain.OTHER, 1.0, number, ()) for number in numbers]


def image(number: float) -> ModelImage:
    return ModelImage(torch.full((8, 8), float(number)), Letterbox.fit(8, 8, 8), 0.0)


@dataclass
class Asking:
    """A shared reader and threads that ask it."""

    inner: NumberReader
    shared: SharedReader
    pool: ThreadPoolExecutor

    def busy(self) -> Future[list[float]]:
        """Have the model read something, so that all that is asked now waits."""
        future = self.pool.submit(_read, self.shared, (1000,))
        assert eventually(lambda: len(self.inner.batches) == 1)
        return future


@pytest.fixture
def asking() -> Iterator[Asking]:
    inner = NumberReader()
    shared = SharedReader(inner)
    with ThreadPoolExecutor(32) as pool:
        yield Asking(inner, shared, pool)
        inner.go.set()
        shared.close()


def _queued(asking: Asking, *calls: tuple[float, ...], **details: Any) -> list[Future[list[float]]]:
    futures = []
    for numbers in calls:
        before = asking.shared._wanted.qsize()
        futures.append(asking.pool.submit(_read, asking.shared, numbers, **details))
        assert eventually(lambda before=before: asking.shared._wanted.qsize() == before + 1)
    return futures


def _read(shared: SharedReader, numbers: Sequence[float], **details: Any) -> list[float]:
    given = {"phrases": (NODULE,), "max_boxes": 5, "min_score": 0.1, "known": None} | details
    return [one.familiarity for one in shared.read([image(n) for n in numbers], **given)]


def test_equal_calls_are_read_together_and_at_most_eight_images(asking: Asking) -> None:
    first = asking.busy()
    futures = _queued(asking, (1,), (2, 3), (4, 5, 6), (7, 8, 9), (10,), (11, 12))
    asking.inner.go.set()
    assert first.result() == [1000]
    assert [future.result() for future in futures] == [[1], [2, 3], [4, 5, 6], [7, 8, 9], [10], [11, 12]]
    # 1 to 6 are six images, and 7 to 9 would make nine; 10 is one more, and fits
    assert asking.inner.batches == [[1000], [1, 2, 3, 4, 5, 6, 10], [7, 8, 9, 11, 12]]
    assert (asking.shared.batches, asking.shared.images) == (3, 13)
    assert max(len(batch) for batch in asking.inner.batches) <= READ_TOGETHER


def test_what_is_asked_otherwise_is_read_apart(asking: Asking) -> None:
    asking.busy()
    same = _queued(asking, (1,), (2,))
    others = _queued(asking, (3,), phrases=(MASS,)) + _queued(asking, (4,), phrases=(NODULE, MASS))
    others += _queued(asking, (5,), max_boxes=6) + _queued(asking, (6,), min_score=0.2)
    others += _queued(asking, (7,), known=(Domain.CHEST_CT,))
    late = _queued(asking, (8,))
    asking.inner.go.set()
    assert [future.result() for future in same + late + others] == [[1], [2], [8], [3], [4], [5], [6], [7]]
    assert asking.inner.batches == [[1000], [1, 2, 8], [3], [4], [5], [6], [7]]


def test_what_is_known_of_images_stays_with_them(asking: Asking) -> None:
    asking.busy()
    futures = _queued(asking, (1, 2), known=(Domain.CHEST_CT, Domain.OTHER))
    futures += _queued(asking, (3,), known=(Domain.CHEST_RADIOGRAPH,))
    asking.inner.go.set()
    assert [future.result() for future in futures] == [[1, 2], [3]]
    assert asking.inner.known == [None, [Domain.CHEST_CT, Domain.OTHER, Domain.CHEST_RADIOGRAPH]]


def test_more_than_eight_images_of_one_call_are_read_alone(asking: Asking) -> None:
    asking.busy()
    many, one = _queued(asking, tuple(range(10)), (20,))
    asking.inner.go.set()
    assert many.result() == list(range(10))
    assert one.result() == [20]
    assert asking.inner.batches[1:] == [list(range(10)), [20]]


def test_an_error_reaches_those_who_asked_and_nobody_else(asking: Asking) -> None:
    first = asking.busy()
    broken = _queued(asking, (1,), (-2,))
    whole = _queued(asking, (3,), phrases=(MASS,))
    asking.inner.go.set()
    for future in broken:
        with pytest.raises(ValueError, match=r"-2\.0 cannot be read"):
            future.result()
    assert (first.result(), whole[0].result()) == ([1000], [3])
    assert asking.shared.is_alive
    assert _read(asking.shared, (4,)) == [4]


def test_the_end_answers_what_waits_and_lets_nobody_in(asking: Asking) -> None:
    first = asking.busy()
    futures = _queued(asking, (1,), (2,)) + _queued(asking, (3,), phrases=(MASS,))
    ending = asking.pool.submit(asking.shared.close)
    assert eventually(lambda: not asking.shared.is_alive)
    with pytest.raises(RuntimeError, match="the service is ending"):
        _read(asking.shared, (4,))
    assert not ending.done()
    asking.inner.go.set()
    assert [future.result(120) for future in (first, *futures)] == [[1000], [1], [2], [3]]
    ending.result(120)
    assert asking.inner.batches == [[1000], [1, 2], [3]]


def test_nobody_is_left_waiting_who_asks_while_it_ends() -> None:
    for _ in range(50):
        inner = NumberReader()
        inner.go.set()
        shared = SharedReader(inner)
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(_read, shared, (number,)) for number in range(7)]
            pool.submit(shared.close)
            for number, future in enumerate(asked):
                error = future.exception(120)
                assert (error is None and future.result() == [number]) or "is ending" in str(error)


def test_what_a_reader_says_of_itself_is_passed_on(asking: Asking) -> None:
    inner, shared = asking.inner, asking.shared
    assert (shared.info, shared.scope, shared.image_size_px) == (inner.info, inner.scope, 512)
    assert shared.vocabulary == inner.vocabulary
    assert shared.describe([]) == []
    assert inner.described == [0]
    assert shared.liken([], ()) == []
