"""Whether a model still does what it did: its scores and what people make of its findings, week by week.

Pure functions of what a service answered and of what reviewers said. A week is that of the answer, from Monday, UTC.

Rules of alarms, strict since each finding is looked at each week:
scores       the population stability index of a week against the evaluation on the card is `PSI_ALARM` or more, and
             more than chance gives once in a thousand times (`psi_by_chance`); `LEAST_SCORES` boxes or more are behind
             both.
acceptance   the interval of 99.9% of a week's acceptance lies wholly below that of all weeks before it;
             `LEAST_REVIEWED` findings or more are behind both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from medground.cards.drift_figures import (
    BINS,
    Z_95,
    Z_999,
    Rate,
    edges_from,
    histogram,
    psi_by_chance,
    stability_index,
    wilson,
)
from medground.cards.rounding import shown
from medground.evaluation.scene import Scene
from medground.schema.config import StrictConfig

PSI_ALARM: Final = 0.25
"""As usual for the index: below 0.1 nothing, from 0.25 on another distribution.

Source: Siddiqi, Credit Risk Scorecards, 2006.
"""
LEAST_SCORES: Final = 50
LEAST_REVIEWED: Final = 20


class ReviewOutcome(StrEnum):
    """What a reviewer made of a finding."""

    UNREVIEWED = "unreviewed"
    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"
    ADDED = "added"
    """It was not found, and a reviewer drew it: it has no score."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A finding as the service gave it, or one that a reviewer added.

    Attributes:
        concept: of the model; of an added one as the reviewer named it.
        score: None of an added one.
        at: when the question was answered, with its offset from UTC.
        outcome: what became of it.
    """

    concept: str
    score: float | None
    at: datetime
    outcome: ReviewOutcome


class Week(StrictConfig):
    """A finding in one week.

    Attributes:
        monday: first day of the week.
        scores: boxes by bin of their score.
        psi: population stability index against the card; None where either has no box.
        outcomes: findings by what became of them.
        acceptance: accepted as they were, of all that were accepted, edited or rejected; None without any.
    """

    monday: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    scores: tuple[int, ...]
    psi: float | None
    outcomes: dict[ReviewOutcome, int]
    acceptance: Rate | None

    @property
    def n(self) -> int:
        """Boxes with a score."""
        return sum(self.scores)


class Alarm(StrictConfig):
    """Something that somebody should look at."""

    rule: Literal["scores", "acceptance"]
    concept: str
    monday: str
    words: str


class ConceptDrift(StrictConfig):
    """A finding over time.

    Attributes:
        concept, name: which.
        expected: boxes of the card's evaluation by bin of their score; zeros where it has none.
        weeks: with something in them, oldest first.
    """

    concept: str
    name: str
    expected: tuple[int, ...]
    weeks: tuple[Week, ...]


class Drift(StrictConfig):
    """All findings over time.

    Attributes:
        model: SHA-256 of the bundle.
        least_score: boxes below it are not counted, here and on the card.
        edges: of the bins of scores.
        results: that were looked at.
        left_out: whether there are older ones within the time that was asked for.
        has_card: whether there is an evaluation to compare scores with.
        concepts: by name.
        alarms: newest first.
    """

    format: Literal[1] = 1
    model: str
    least_score: float
    edges: tuple[float, ...]
    results: int
    left_out: bool
    has_card: bool
    concepts: tuple[ConceptDrift, ...]
    alarms: tuple[Alarm, ...]


def drift_of(
    sightings: Iterable[Sighting],
    expected: Mapping[str, Sequence[int]] | None,
    names: Mapping[str, str],
    *,
    model: str,
    least_score: float,
    results: int,
    left_out: bool,
) -> Drift:
    """What was answered and reviewed, by finding and week.

    Args:
        sightings: of one model and one tenant.
        expected: boxes of the card's evaluation by bin, from `expected_scores`; None without a card.
        names: concept to its name.
        model: SHA-256 of the bundle.
        least_score: boxes below it are left out.
        results: that the sightings come from.
        left_out: whether there are more.
    """
    edges = edges_from(least_score)
    by_concept: dict[str, dict[str, list[Sighting]]] = defaultdict(lambda: defaultdict(list))
    for one in sightings:
        if one.score is None or one.score >= least_score:
            by_concept[one.concept][monday_of(one.at)].append(one)
    nothing = (0,) * BINS
    concepts = tuple(
        _concept(concept, names.get(concept, concept), weeks, tuple((expected or {}).get(concept, nothing)), edges)
        for concept, weeks in sorted(by_concept.items(), key=lambda item: names.get(item[0], item[0]))
    )
    alarms = sorted((a for one in concepts for a in _alarms(one)), key=lambda a: (a.monday, a.concept), reverse=True)
    return Drift(
        model=model,
        least_score=least_score,
        edges=edges,
        results=results,
        left_out=left_out,
        has_card=expected is not None,
        concepts=concepts,
        alarms=tuple(alarms),
    )


def expected_scores(scenes: Iterable[Scene], least_score: float) -> dict[str, tuple[int, ...]]:
    """Boxes of an evaluation by bin of their score, by finding.

    Args:
        scenes: untouched ones of the card.
        least_score: boxes below it are left out.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for scene in scenes:
        for image in scene.images:
            for concept, _, score in image.detections:
                if score >= least_score:
                    found[concept].append(score)
    edges = edges_from(least_score)
    return {concept: histogram(scores, edges) for concept, scores in found.items()}


def monday_of(at: datetime) -> str:
    """The first day of a time's week, UTC."""
    day = at.astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def _concept(
    concept: str, name: str, weeks: Mapping[str, Sequence[Sighting]], expected: tuple[int, ...], edges: Sequence[float]
) -> ConceptDrift:
    made = tuple(_week(monday, weeks[monday], expected, edges) for monday in sorted(weeks))
    return ConceptDrift(concept=concept, name=name, expected=expected, weeks=made)


def _week(monday: str, sightings: Sequence[Sighting], expected: Sequence[int], edges: Sequence[float]) -> Week:
    scores = histogram((one.score for one in sightings if one.score is not None), edges)
    outcomes = Counter(one.outcome for one in sightings)
    return Week(
        monday=monday,
        scores=scores,
        psi=stability_index(scores, expected),
        outcomes={outcome: outcomes[outcome] for outcome in ReviewOutcome},
        acceptance=_acceptance(outcomes),
    )


def _acceptance(outcomes: Mapping[ReviewOutcome, int], z: float = Z_95) -> Rate | None:
    counted = (ReviewOutcome.ACCEPTED, ReviewOutcome.EDITED, ReviewOutcome.REJECTED)
    return wilson(outcomes[ReviewOutcome.ACCEPTED], sum(outcomes[outcome] for outcome in counted), z)


def _alarms(one: ConceptDrift) -> Iterator[Alarm]:
    before: Counter[ReviewOutcome] = Counter()
    expected = sum(one.expected)
    for week in one.weeks:
        if min(week.n, expected) >= LEAST_SCORES and (week.psi or 0) >= max(PSI_ALARM, psi_by_chance(week.n, expected)):
            words = (
                f"{one.name}: scores lie otherwise than in the evaluation: stability index {shown(week.psi)}, "
                f"{shown(PSI_ALARM)} or more is another distribution; n = {shown(week.n)} and {shown(expected)}"
            )
            yield Alarm(rule="scores", concept=one.concept, monday=week.monday, words=words)
        now, then = _acceptance(week.outcomes, Z_999), _acceptance(before, Z_999)
        if now and then and min(now.n, then.n) >= LEAST_REVIEWED and now.high < then.low:
            words = f"{one.name}: fewer are accepted than before: {_rate(now)}, in the weeks before {_rate(then)}"
            yield Alarm(rule="acceptance", concept=one.concept, monday=week.monday, words=words)
        before.update(week.outcomes)


def _rate(rate: Rate) -> str:
    return f"{shown(rate.value)} (99.9%: {shown(rate.low)} to {shown(rate.high)}), n = {shown(rate.n)}"
