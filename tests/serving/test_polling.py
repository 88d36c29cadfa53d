"""When a queue is looked at: at once, often or seldom, by how long the wait for the next look is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from medground.serving.polling import OFTEN_S, SELDOM_S, Polling


class Waits(threading.Condition):
    """A condition that notes how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        if not predicate():
            self.waited.append(timeout or 0.0)
        return predicate()


class LongWait(threading.Condition):
    """A condition that tells when somebody waits for it for the second time: a turn waits shortly first, then long."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.begun = 0, threading.Event()

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits == 2 and not predicate():
            self.begun.set()
        return super().wait_for(predicate, timeout)


class Queue:
    """The thread of a queue, by a clock that is set forward."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.polling = Polling(lambda: self.now_s)
        self.polling._change = self.waits = Waits()

    def wait(self, timeout: float = SELDOM_S) -> float:
        """How long it waits for the next look, at most."""
        self.waits.waited.clear()
        assert not self.polling.wait(timeout)
        return pytest.approx(sum(self.waits.waited))  # type: ignore[no-any-return]


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_the_first_look_is_at_once_and_the_next_ones_are_seldom(queue: Queue) -> None:
    assert [queue.wait() for _ in range(3)] == [OFTEN_S, SELDOM_S, SELDOM_S]


def test_what_is_put_in_is_looked_for_often(queue: Queue) -> None:
    queue.wait()
    queue.polling.nudge()
    assert [queue.wait() for _ in range(3)] == [OFTEN_S] * 3
    assert queue.wait(4 * SELDOM_S) == 4 * OFTEN_S  # others are in the way: it backs off all the same
    queue.now_s += 3
    assert queue.wait() == SELDOM_S


def test_as_long_as_something_waits_it_is_looked_for_often(queue: Queue) -> None:
    queue.wait()
    for _ in range(5):
        queue.polling.hurry()
        queue.now_s += 2
        assert queue.wait() == OFTEN_S


@pytest.mark.parametrize("tell", [Polling.nudge, Polling.set])
def test_a_wait_is_broken_off(tell: Callable[[Polling], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medground.serving.polling.OFTEN_S", 0.001)
    polling = Polling()
    polling.wait(0)
    polling._change = change = LongWait()
    waited = threading.Thread(target=polling.wait, args=(600.0,), daemon=True)
    waited.start()
    assert change.begun.wait(60)
    tell(polling)
    waited.join(60)
    assert not waited.is_alive()
    assert polling.is_set() == (tell is Polling.set)
    assert polling.wait(0) == polling.is_set()
