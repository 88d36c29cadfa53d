from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medground.schema.errors import QuotaError, UsageError
from medground.serving.access.quota import Quota, QuotaConfig
from medground.serving.access.scope import Principal, PrincipalKind


class Hand:
    """A clock moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def who(name: str = "a") -> Principal:
    return Principal(f"token:{name}", PrincipalKind.TOKEN, "main", frozenset(), "Ada Example")


def quota(clock: Hand, requests: int = 6, bytes_: int = 6000) -> Quota:
    return Quota(QuotaConfig(requests_per_minute=requests, bytes_per_minute=bytes_), clock)


def test_requests_run_out_and_come_back() -> None:
    clock = Hand()
    one = quota(clock)
    assert [one.take(who()) for _ in range(7)] == [0.0] * 6 + [pytest.approx(10.0)]
    clock.now += 9.5
    assert one.take(who()) == pytest.approx(0.5)
    clock.now += 0.5001
    assert one.take(who()) == 0.0
    assert one.take(who()) == pytest.approx(10.0, abs=1e-3)
    clock.now += 3600
    assert [one.take(who()) for _ in range(7)] == [0.0] * 6 + [pytest.approx(10.0)]  # never more than a minute's worth


def test_bytes_run_out_and_nothing_is_taken_then() -> None:
    clock = Hand()
    one = quota(clock)
    assert one.take(who(), bytes_=5000) == 0.0
    assert one.take(who(), bytes_=2000) == pytest.approx(10.0)
    assert one.take(who(), bytes_=1000) == 0.0
    assert [one.take(who()) for _ in range(5)] == [0.0] * 4 + [pytest.approx(10.0)]  # two requests were let through


def test_what_is_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt() -> None:
    clock = Hand()
    one = quota(clock)
    assert one.take(who(), bytes_=18_000) == 0.0
    assert one.take(who(), bytes_=1) == pytest.approx(120.01)
    assert one.take(who()) == 0.0  # what costs no bytes does not wait for them
    clock.now += 120.02
    assert one.take(who(), bytes_=1) == 0.0
    assert one.take(who(), bytes_=18_000) == pytest.approx(60, abs=0.02)


def test_principals_do_not_share() -> None:
    one = quota(Hand(), requests=1)
    assert [one.take(who(name)) > 0 for name in "aabb"] == [False, True, False, True]


def test_the_error_says_how_long_to_wait() -> None:
    one = quota(Hand())
    one.require(who(), requests=6)
    with pytest.raises(QuotaError, match=r"try again in 10\.0 s") as caught:
        one.require(who())
    error = caught.value
    assert (error.http_status, error.reason, error.subject) == (429, "quota", "token:a")
    assert error.wait_s == pytest.approx(10)
    assert "Ada" not in str(error)


def test_a_debt_outlives_the_tidying_and_memory_does_not_grow() -> None:
    clock = Hand()
    one = quota(clock)
    one.take(who("debtor"), bytes_=60_000)  # ten minutes' worth
    for number in range(500):
        one.take(who(str(number)))
    clock.now += 61
    assert one.take(who("debtor"), bytes_=1) == pytest.approx(540 - 61 + 0.01, abs=0.02)
    assert len(one._buckets) == 1


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 9), st.integers(0, 9000)), max_size=60))
def test_over_any_time_no_more_passes_than_a_bucket_and_what_flows_in(steps: list[tuple[float, int, int]]) -> None:
    clock = Hand()
    one = quota(clock, requests=10, bytes_=9000)
    passed_requests = passed_bytes = 0
    for pause, requests, bytes_ in steps:
        clock.now += pause
        if one.take(who(), requests=requests, bytes_=bytes_) == 0.0:
            passed_requests += requests
            passed_bytes += bytes_
        minutes = (clock.now - 100) / 60
        assert passed_requests <= 10 * (1 + minutes) + 1e-6
        assert passed_bytes <= 9000 * (1 + minutes) + 1e-3


def test_nothing_negative_is_taken() -> None:
    one = quota(Hand(), requests=1)
    assert one.take(who()) == 0.0
    for wrong in ({"requests": -1}, {"bytes_": -1}):
        with pytest.raises(UsageError, match="-1 "):
            one.take(who(), **wrong)
    assert one.take(who()) == pytest.approx(60)


def test_threads_do_not_take_more_than_there_is() -> None:
    one = quota(Hand(), requests=100)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: one.take(who()) == 0.0, range(400)))
    assert sum(taken) == 100


@pytest.mark.parametrize("wrong", [{"requests_per_minute": 0}, {"bytes_per_minute": -1}, {"per_hour": 1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        QuotaConfig.model_validate(wrong)
