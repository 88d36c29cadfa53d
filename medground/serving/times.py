"""Times: microseconds since 1970 in the database, dates with their offset in answers."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_us() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def utc_now() -> datetime:
    """The time, with its offset."""
    return datetime.now(UTC)


def time_of(microseconds: int) -> datetime:
    """A time of the database as answers have it."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC)
