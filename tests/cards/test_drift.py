"""Drift by week and finding, and the rules of its alarms at their edges."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from medground.cards.drift import Drift, ReviewOutcome, Sighting, drift_of, expected_scores, monday_of
from medground.cards.drift_figures import edges_from, histogram, wilson
from tests.cards.made_cards import RARE, films

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
NAMES = {"nodule": "Nodule", "mass": "Mass"}


def seen(
    count: int, outcome: ReviewOutcome = ReviewOutcome.UNREVIEWED, *, week: int = 0, score: float = 0.5
) -> list[Sighting]:
    at = MONDAY + timedelta(weeks=week, days=2)
    return [Sighting("nodule", score, at, outcome)] * count


def drift(*sightings: list[Sighting], expected: dict[str, tuple[int, ...]] | None = None) -> Drift:
    flat = [one for some in sightings for one in some]
    return drift_of(flat, expected, NAMES, model="ab" * 32, least_score=0.2, results=len(flat), left_out=False)


def test_a_week_begins_on_monday_in_utc() -> None:
    assert monday_of(MONDAY) == "2026-01-05"
    assert monday_of(MONDAY - timedelta(microseconds=1)) == "2025-12-29"
    assert monday_of(datetime(2026, 1, 5, 1, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-29"


def test_what_the_card_lets_expect() -> None:
    scene = films()  # of each finding some boxes of 0.9, the others of 0.3
    expected = expected_scores([scene, scene], 0.2)
    assert expected[RARE] == histogram([0.9] * 32 + [0.3] * 8, edges_from(0.2))
    assert sum(expected_scores([scene], 0.5)[RARE]) == 16


def test_counts_by_week_and_outcome() -> None:
    found = drift(
        seen(3, ReviewOutcome.ACCEPTED),
        seen(1, ReviewOutcome.EDITED),
        seen(2, ReviewOutcome.REJECTED),
        seen(4),
        [Sighting("nodule", None, MONDAY, ReviewOutcome.ADDED)],
        [Sighting("nodule", 0.1, MONDAY, ReviewOutcome.ACCEPTED)],  # below the least score
        seen(2, ReviewOutcome.ACCEPTED, week=2, score=1.0),
        [Sighting("mass", 0.4, MONDAY, ReviewOutcome.REJECTED)],
    )
    mass, nodule = found.concepts
    assert (mass.name, nodule.name) == ("Mass", "Nodule")
    first, later = nodule.weeks
    assert (first.monday, later.monday) == ("2026-01-05", "2026-01-19")
    assert first.outcomes == {"unreviewed": 4, "accepted": 3, "edited": 1, "rejected": 2, "added": 1}
    assert first.acceptance == wilson(3, 6)
    assert (first.n, later.scores[-1], first.psi) == (10, 2, None)
    assert not found.has_card
    assert Drift.model_validate_json(found.model_dump_json()) == found


def alarms(found: Drift) -> Iterator[tuple[str, str]]:
    return ((alarm.rule, alarm.monday) for alarm in found.alarms)


@pytest.mark.parametrize(
    ("count", "expected", "rings"),
    [
        (50, (0, 0, 0, 0, 0, 0, 0, 50), True),
        (49, (0, 0, 0, 0, 0, 0, 0, 50), False),  # too few this week
        (50, (0, 0, 0, 0, 0, 0, 0, 49), False),  # too few on the card
        (50, histogram([0.5] * 50, edges_from(0.2)), False),  # as expected
        (50, (0, 0, 0, 44, 6, 0, 0, 0), False),  # an index of 0.30, and chance gives up to 0.97
        (500, (0, 0, 0, 440, 60, 0, 0, 0), True),  # of 0.59, and it gives up to 0.10
    ],
)
def test_scores_that_lie_otherwise(count: int, expected: tuple[int, ...], rings: bool) -> None:
    found = drift(seen(count), expected={"nodule": expected})
    assert list(alarms(found)) == ([("scores", "2026-01-05")] if rings else [])
    if rings:
        assert found.alarms[0].words.startswith("Nodule: scores lie otherwise than in the evaluation: stability index ")
        assert found.alarms[0].words.endswith(f"n = {count} and {sum(expected)}")


@pytest.mark.parametrize(
    ("then", "now", "rings"),
    [
        ((90, 10), (10, 30), True),
        ((90, 10), (20, 20), True),  # 0.50, of 99.9% up to 0.731, and 0.90 from 0.759 on
        ((90, 10), (30, 10), False),  # 0.75, up to 0.904
        ((90, 10), (4, 15), False),  # 19 are too few
        ((18, 1), (0, 40), False),  # so are 19 before
        ((10, 30), (90, 10), False),  # better is no alarm
    ],
)
def test_fewer_that_are_accepted(then: tuple[int, int], now: tuple[int, int], rings: bool) -> None:
    weeks = [
        seen(count, outcome, week=week)
        for week, (accepted, rejected) in enumerate((then, now))
        for count, outcome in ((accepted, ReviewOutcome.ACCEPTED), (rejected, ReviewOutcome.REJECTED))
    ]
    found = drift(*weeks)
    assert list(alarms(found)) == ([("acceptance", "2026-01-12")] if rings else [])
    if now == (10, 30):
        assert found.alarms[0].words == (
            "Nodule: fewer are accepted than before: 0.250 (99.9%: 0.096 to 0.510), n = 40, in the weeks before "
            "0.900 (99.9%: 0.759 to 0.963), n = 100"
        )
