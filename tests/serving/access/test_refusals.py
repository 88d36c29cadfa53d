from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medground.serving.access.refusals import MOST_CALLERS, PER_MINUTE, Refusals
from tests.serving.access.test_quota import Hand


def test_those_beyond_have_no_entry_and_are_told_by_the_next() -> None:
    clock = Hand()
    refusals = Refusals(clock)
    assert [refusals.admit("10.0.0.1", "missing") for _ in range(PER_MINUTE + 7)] == [0] * PER_MINUTE + [None] * 7
    assert refusals.admit("10.0.0.2", "missing") == 0
    assert refusals.admit("10.0.0.1", "scope") == 0
    clock.now += 60
    assert [refusals.admit("10.0.0.1", "missing") for _ in range(2)] == [7, 0]


def test_callers_without_number_take_no_memory() -> None:
    clock = Hand()
    refusals = Refusals(clock)
    entries = [refusals.admit(f"2001:db8::{number:x}", "missing") for number in range(MOST_CALLERS + PER_MINUTE + 5)]
    assert entries.count(None) == 5
    assert len(refusals._windows) == MOST_CALLERS + 1
    clock.now += 60
    assert refusals.admit("10.0.0.1", "missing") == 5  # of those that were forgotten
    assert len(refusals._windows) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.floats(0, 40)), max_size=400))
def test_every_refusal_is_an_entry_or_told_by_one(calls: list[tuple[str, str, float]]) -> None:
    clock = Hand()
    refusals = Refusals(clock)
    told = 0
    for source, reason, pause in calls:
        clock.now += pause
        before = refusals.admit(source, reason)
        told += 0 if before is None else 1 + before
    clock.now += 60
    last = [refusals.admit(source, reason) for source in "abc" for reason in "xy"]
    assert told + sum(before or 0 for before in last) == len(calls)
