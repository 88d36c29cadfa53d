"""A clock that tests set forward."""

from __future__ import annotations

START_US = 1_800_000_000_000_000


class Clock:
    """Time of day from `START_US` on, and a monotonic clock beside; both stand still but for `forward`."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_us(self) -> int:
        return START_US + round(self.ahead_s * 1_000_000)

    @property
    def now_s(self) -> int:
        return self.now_us() // 1_000_000

    def monotonic_s(self) -> float:
        return 1000.0 + self.ahead_s

    def forward(self, seconds: float) -> None:
        self.ahead_s += seconds
