"""How much one principal may ask for: a token bucket of requests and one of bytes.

The buckets live in the memory of one process: two processes of a service allow twice as much, and a restart fills
them. They guard the service against one caller's loop, and are no accounting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from medground.schema.config import StrictConfig
from medground.schema.errors import QuotaError, UsageError
from medground.serving.access.refusal import Reason
from medground.serving.access.scope import Principal

_MINUTE_S: Final = 60.0


class QuotaConfig(StrictConfig):
    """What one principal may ask for; a whole minute's worth at once, if nothing was asked the minute before.

    Attributes:
        requests_per_minute: requests.
        bytes_per_minute: bytes sent to the service.
    """

    requests_per_minute: int = Field(default=600, gt=0)
    bytes_per_minute: int = Field(default=2 * 2**30, gt=0)


class Quota:
    """The buckets of all principals; may be asked from any thread.

    Args:
        config: how much.
        monotonic_s: seconds of a clock that never goes back.
    """

    def __init__(self, config: QuotaConfig, monotonic_s: Callable[[], float]) -> None:
        self._capacities = (float(config.requests_per_minute), float(config.bytes_per_minute))
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[_Bucket, _Bucket]] = {}
        self._tidied_s = monotonic_s()

    def take(self, principal: Principal, *, requests: int = 1, bytes_: int = 0) -> float:
        """Take from a principal's buckets, from both or from neither.

        What is larger than a bucket is let through when the bucket is full, and leaves a debt that later calls wait
        for; else it would never pass.

        Args:
            principal: who asks.
            requests: how many, 0 or more.
            bytes_: how many, 0 or more.

        Returns:
            0 if they were taken, else the seconds to wait before it is worth asking again.

        Raises:
            UsageError: a number is negative, which would fill the bucket.
        """
        if requests < 0 or bytes_ < 0:
            raise UsageError(f"{requests} requests and {bytes_} bytes cannot be taken; give numbers of 0 or more")
        wanted = (float(requests), float(bytes_))
        with self._lock:
            now = self._monotonic_s()
            self._tidy(now)
            buckets = self._buckets.get(principal.subject)
            if buckets is None:
                buckets = self._buckets[principal.subject] = (
                    _Bucket(self._capacities[0], self._capacities[0], now),
                    _Bucket(self._capacities[1], self._capacities[1], now),
                )
            wait = max(bucket.wait_s(amount, now) for bucket, amount in zip(buckets, wanted, strict=True))
            if wait <= 0:
                for bucket, amount in zip(buckets, wanted, strict=True):
                    bucket.level -= amount
            return wait

    def require(self, principal: Principal, *, requests: int = 1, bytes_: int = 0) -> None:
        """The same, for callers that cannot wait.

        Raises:
            QuotaError: nothing was taken; `wait_s` says how long to wait.
        """
        wait = self.take(principal, requests=requests, bytes_=bytes_)
        if wait > 0:
            raise QuotaError(
                f"too much was asked within a minute; try again in {wait:.1f} s",
                reason=Reason.QUOTA,
                subject=principal.subject,
                wait_s=wait,
            )

    def _tidy(self, now: float) -> None:
        """Once a minute, forget buckets that are full: a new one would be the same."""
        if now - self._tidied_s >= _MINUTE_S:
            self._tidied_s = now
            self._buckets = {
                subject: buckets
                for subject, buckets in self._buckets.items()
                if any(bucket.filled(now) < bucket.capacity for bucket in buckets)
            }


@dataclass(slots=True)
class _Bucket:
    capacity: float
    level: float
    at_s: float

    def filled(self, now: float) -> float:
        """The level now; it rises by a capacity a minute."""
        self.level = min(self.capacity, self.level + (now - self.at_s) * self.capacity / _MINUTE_S)
        self.at_s = now
        return self.level

    def wait_s(self, amount: float, now: float) -> float:
        missing = min(amount, self.capacity) - self.filled(now)
        return max(0.0, missing * _MINUTE_S / self.capacity) if amount > 0 else 0.0
