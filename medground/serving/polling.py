"""Polling: when a queue of the workflows is looked at: at once if something is put in, else seldom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SELDOM_S, OFTEN_S = 2.0, 0.1  # between two looks, without and with something that waits
_HURRIES_S = 3.0  # longer than between two turns of the dispatcher


class Polling(threading.Event):
    """The event by which DBOS ends the thread of a queue; between two looks the thread waits for it.

    Args:
        clock: seconds, growing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock, self._change = clock, threading.Condition()
        self._is_ended, self._is_nudged = False, True  # what an earlier process left is begun at once
        self._hurries_until = 0.0

    def is_set(self) -> bool:
        """Whether the thread is to end."""
        return self._is_ended

    def set(self) -> None:
        """End the thread."""
        with self._change:
            self._is_ended = True
            self._change.notify_all()

    def nudge(self) -> None:
        """Something was put in: look at once, and then often."""
        self.hurry()
        with self._change:
            self._is_nudged = True
            self._change.notify_all()

    def hurry(self) -> None:
        """Something waits that was put in before: look often for a while, so that it begins once there is room."""
        self._hurries_until = self._clock() + _HURRIES_S

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next look.

        Two looks are never closer than `OFTEN_S`: what the last one begins is counted as running a moment later, and
        until then a look would begin more than there is room for.

        Args:
            timeout: about `SELDOM_S`; a multiple of it where other processes are in the way.

        Returns:
            Whether the thread is to end.
        """
        whole_s = SELDOM_S if timeout is None else timeout
        often_s = whole_s * OFTEN_S / SELDOM_S
        with self._change:
            self._change.wait_for(lambda: self._is_ended, often_s)
            if self._clock() >= self._hurries_until:
                self._change.wait_for(lambda: self._is_ended or self._is_nudged, whole_s - often_s)
            self._is_nudged = False
            return self._is_ended
