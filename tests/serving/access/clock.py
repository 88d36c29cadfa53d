"""A clock that tests set forward."""

from __future__ import annotations

import time

START_US = 1_800_000_000_000_000


class Clock:
    """Time of day from `START_US` on, which stands still, and a running clock beside; `forward` moves both."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_us(self) -> int:
        return START_US + round(self.ahead_s * 1_000_000)

    @property
    def now_s(self) -> int:
        return self.now_us() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic() + self.ahead_s

    def forward(self, seconds: float) -> None:
        self.ahead_s += seconds
