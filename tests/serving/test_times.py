"""Times in the database and in answers are the same moments."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from medground.serving.times import now_us, time_of, utc_now


def test_now_is_now() -> None:
    assert abs(now_us() / 1e6 - time.time()) < 60
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(seconds=60)
    assert utc_now().utcoffset() == timedelta(0)


def test_a_time_of_the_database_in_answers() -> None:
    assert time_of(1_800_000_000_123_456) == datetime(2027, 1, 15, 8, 0, 0, 123456, tzinfo=UTC)
    assert time_of(0).isoformat() == "1970-01-01T00:00:00+00:00"
