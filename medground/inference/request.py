"""Request: what is asked, and how much is wanted back. Known wherever a model is asked, without loading one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medground.schema.errors import UsageError


class Looking(StrEnum):
    """How closely an image is looked at.

    `ONCE`: as a whole, in the model frame. `CLOSER`: and at full resolution where that may show more. `ALL`: and at
    full resolution everywhere.
    """

    ONCE = "once"
    CLOSER = "closer"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and how much is wanted back.

    Attributes:
        queries: one or more questions.
        min_score: boxes below it are not shown, 0..1; None for the bundle's own.
        max_boxes: at most so many findings per answer.
        top_k: so many of them, best first, get a decoded description.
        looking: how closely images are looked at; None for closer looks if the bundle was trained for them.

    Raises:
        UsageError: a value out of range.
    """

    queries: tuple[str, ...]
    min_score: float | None = None
    max_boxes: int = 300
    top_k: int = 10
    looking: Looking | None = None

    def __post_init__(self) -> None:
        if not self.queries:
            raise UsageError("there is no question; ask one with --query")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise UsageError(f"the minimum score is a probability from 0 to 1, got {self.min_score}")
        if self.max_boxes < 1 or self.top_k < 0:
            raise UsageError(
                f"at least 1 box and 0 descriptions must be allowed, got {self.max_boxes} and {self.top_k}"
            )
