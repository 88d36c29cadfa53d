"""Which refusals get an entry of their own in the audit log: not every one of a caller who knocks without end.

An entry is synchronised to the disk and never removed, so whoever is let in nowhere could fill it. So many a minute
from one address for one reason are entries; those beyond are counted, and the next entry tells how many they were.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PER_MINUTE: Final = 30
MOST_CALLERS: Final = 4096
_MINUTE_S: Final = 60.0


@dataclass(slots=True)
class _Window:
    began_s: float
    entries: int = 0
    untold: int = 0


class Refusals:
    """Counts refusals by who was refused and why; may be asked from any thread.

    Args:
        monotonic_s: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, str], _Window] = {}
        self._forgotten = 0

    def admit(self, source: str, reason: str) -> int | None:
        """Count a refusal.

        Args:
            source: address that was refused.
            reason: why.

        Returns:
            How many refusals before it had no entry, for the entry of this one; None if this one is to have none.
        """
        with self._lock:
            now = self._monotonic_s()
            key = (source, reason)
            if key not in self._windows and len(self._windows) >= MOST_CALLERS:
                self._tidy(now)
                if len(self._windows) >= MOST_CALLERS:
                    key = ("", reason)
            window = self._windows.setdefault(key, _Window(now))
            if now - window.began_s >= _MINUTE_S:
                window.began_s, window.entries = now, 0
            if window.entries >= PER_MINUTE:
                window.untold += 1
                return None
            window.entries += 1
            before, window.untold = window.untold + self._forgotten, 0
            self._forgotten = 0
            return before

    def _tidy(self, now: float) -> None:
        """Forget callers that were not refused for a minute; what was not told of them is told with the next entry."""
        kept = {key: window for key, window in self._windows.items() if now - window.began_s < _MINUTE_S}
        self._forgotten += sum(window.untold for key, window in self._windows.items() if key not in kept)
        self._windows = kept
