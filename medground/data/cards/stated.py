"""What only the owner of a data set can say of it."""

from __future__ import annotations

from dataclasses import dataclass

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Stated:
    """The owner's words; what is None stands in the card as not stated, and is never guessed.

    Attributes:
        description: what the images are, who is in the data set and who is not.
        licence: under which the data may be used: a name, or better a URL.
        source: where the images come from: a URL, a paper, a hospital.
    """

    description: str | None = None
    licence: str | None = None
    source: str | None = None
