"""What the readable forms of a card are made of: headings with words, lists, tables, plots and pictures.

Markdown and the page are written from the same blocks, so neither says what the other does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; `loud` for what must not be overlooked."""

    text: str
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leads:
    """A cell that leads to chapters of the card: their titles with their places in it, and more words."""

    to: tuple[tuple[str, int], ...]
    words: str


Cell = str | Leads


@dataclass(frozen=True, slots=True)
class Table:
    """A table; all columns but the first `words` are figures."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: int = 1


class Drawn(StrEnum):
    """The plots of an evaluation."""

    PRECISION = "precision"
    FROC = "froc"
    CALIBRATION = "calibration"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of the evaluation at an index of the facts; only the page draws it, its numbers stand in a table."""

    kind: Drawn
    evaluation: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A file under `pictures/` with what it shows."""

    file: str
    words: str


Block = Words | Bullets | Table | Plot | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it; level 2 is a chapter, 3 a part of one."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 2
