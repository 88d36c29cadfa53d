"""Shown: the result that a page shows, with its review."""

from __future__ import annotations

from dataclasses import dataclass

from medground.client.parts import ReviewState
from medground.schema.result import GroundingResult


@dataclass(frozen=True, slots=True)
class Shown:
    """A result with its review; all None where nothing was answered yet."""

    job: str | None = None
    result: GroundingResult | None = None
    review: ReviewState | None = None
