"""How the model does here, as far as a tenant's results and reviews tell; and what its card lets expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import select

from medground.cards.drift import Drift, ReviewOutcome, Sighting, drift_of, expected_scores
from medground.cards.untouched import untouched_of
from medground.cards.verified_evidence import verified_evidence
from medground.schema.result import GroundingResult
from medground.serving.database import results
from medground.serving.model_card import ServedCard
from medground.serving.result_file import JSON
from medground.serving.reviews import ReviewedFinding, standing
from medground.serving.service import Service
from medground.serving.times import time_of

MOST_RESULTS = 5_000
"""Newest first; a result is read in about a millisecond."""
WEEK_US = 7 * 24 * 3600 * 1_000_000


def drift_in(service: Service, tenant: str, *, since_us: int) -> Drift:
    """Scores and acceptance of the model that answers now, by finding and week.

    Args:
        service: whose model.
        tenant: whose results; no other's are looked at.
        since_us: only results from then on, microseconds since 1970, UTC.

    Raises:
        CardError: the card was changed since it was verified.
    """
    jobs = _jobs(service, tenant, since_us)
    scope = service.model.scope
    return drift_of(
        [one for job, at in jobs[:MOST_RESULTS] for one in _sightings(service, tenant, job, at)],
        expected_of(service.card, scope.default_min_score),
        {concept.key: concept.name for concept in service.model.vocabulary.concepts},
        model=service.model.info.sha256,
        least_score=scope.default_min_score,
        results=len(jobs[:MOST_RESULTS]),
        left_out=len(jobs) > MOST_RESULTS,
    )


def expected_of(card: ServedCard, least_score: float) -> Mapping[str, Sequence[int]] | None:
    """How the scores of the card's evaluation lie, by finding; None without a card.

    Args:
        card: of the model.
        least_score: boxes below it are left out.

    Raises:
        CardError: the card was changed since it was verified.
    """
    if card.folder is None:
        return None
    return _expected(card.folder, tuple(sorted(card.listed.items())), least_score)


@lru_cache(maxsize=1)
def _expected(folder: Path, listed: tuple[tuple[str, str], ...], least_score: float) -> dict[str, tuple[int, ...]]:
    return expected_scores(untouched_of(verified_evidence(folder, dict(listed))).values(), least_score)


def _jobs(service: Service, tenant: str, since_us: int) -> list[tuple[str, datetime]]:
    """The newest jobs with a result that no other of theirs goes beyond, and when they were answered."""
    mine = results.c.tenant == tenant
    beyond = select(results.c.replaces).where(mine, results.c.replaces != "")
    statement = (
        select(results.c.job_id, results.c.created_us)
        .where(
            mine,
            results.c.model_sha256 == service.model.info.sha256,
            results.c.created_us >= since_us,
            results.c.job_id.not_in(beyond),
        )
        .order_by(results.c.created_us.desc(), results.c.job_id)
        .limit(MOST_RESULTS + 1)
    )
    with service.engine.connect() as connection:
        return [(row.job_id, time_of(row.created_us)) for row in connection.execute(statement)]


def _sightings(service: Service, tenant: str, job: str, at: datetime) -> Iterator[Sighting]:
    result = GroundingResult.model_validate_json(service.store.read(service.results.digest(job, tenant, JSON)))
    for one in standing(result, service.reviews.of_result(job, tenant)):
        concept = _concept(one)
        if concept is not None:
            yield Sighting(concept, one.finding.score if one.finding else None, at, ReviewOutcome(one.status.value))


def _concept(one: ReviewedFinding) -> str | None:
    """What the model called it; an added one is what its reviewer called it, and nothing once it was rejected."""
    if one.finding is not None:
        return one.finding.concept.key
    is_added = one.status.value != ReviewOutcome.REJECTED
    return one.entry.concept if one.entry is not None and is_added else None
