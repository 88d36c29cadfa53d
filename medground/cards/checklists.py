"""Which item of a reporting guideline the card answers where, and which it does not, with the reason.

The items stand in `checklists.json` by number, each in a few words of this project: not in those of the guideline.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from importlib import resources

from pydantic import Field, RootModel

from medground.cards.contents import CardFacts, ChecklistItem
from medground.cards.sections import sections_of
from medground.schema.config import StrictConfig

TITLE = "@title"
"""Stands for the first heading, which has the name of the model in it."""


class Item(StrictConfig):
    """An item of a guideline.

    Attributes:
        item: its number.
        asks: what for.
        headings: that answer it, as patterns; a card may lack some of them.
        lacks: what the card leaves open, or why it answers nothing.
    """

    item: str
    asks: str = Field(max_length=120)
    headings: tuple[str, ...] = ()
    lacks: str | None = None


class Guideline(StrictConfig):
    """A guideline: where it was published, and what its numbers and words here were compared with."""

    name: str
    published: str
    compared_with: str
    items: tuple[Item, ...]


class Checklists(RootModel[tuple[Guideline, ...]]):
    """All guidelines."""


def guidelines() -> tuple[Guideline, ...]:
    """Reads `checklists.json`."""
    content = (resources.files("medground.cards") / "checklists.json").read_bytes()
    return Checklists.model_validate_json(content).root


def checklist_of(facts: CardFacts) -> tuple[ChecklistItem, ...]:
    """Every item with the headings of this card that answer it.

    Args:
        facts: of the card.
    """
    titles = [section.title for section in sections_of(facts)]
    return tuple(_answered(guideline.name, item, titles) for guideline in guidelines() for item in guideline.items)


def _answered(guideline: str, item: Item, titles: Sequence[str]) -> ChecklistItem:
    patterns = [titles[0] if pattern == TITLE else pattern for pattern in item.headings]
    found = tuple(title for title in titles if any(fnmatch.fnmatchcase(title, pattern) for pattern in patterns))
    if found:
        words = f". But: {item.lacks}" if item.lacks else "."
    else:
        words = f"Not answered: {'this card has no such chapter.' if patterns else item.lacks}"
    return ChecklistItem(guideline=guideline, item=item.item, words=item.asks, headings=found, answered=words)
