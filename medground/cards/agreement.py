"""Whether the forms of a card say what its facts say: without the evidence, so that a quick check can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from medground.cards.findings import Finding, Kind

if TYPE_CHECKING:
    from medground.cards.contents import CardFacts


def disagreements(files: Mapping[str, bytes]) -> list[Finding]:
    """Renders every form that is there from the facts, and compares bytes.

    The page is left out, for pictures are in it; `medground.cards.recompute` compares that too.

    Args:
        files: path in the card to content; nothing is compared without facts.
    """
    # What forms are made of is imported here alone: a card without facts is checked without it.
    from pydantic import ValidationError

    from medground.cards.contents import CardFacts
    from medground.cards.export import FACTS, FORMS

    if FACTS not in files:
        return []
    try:
        facts = CardFacts.model_validate_json(files[FACTS])
    except ValidationError:
        return []  # told by the check of its schema
    return [
        Finding(name, Kind.FORM, f"it does not say what {FACTS} says")
        for name, render in FORMS
        if name in files and files[name] != _rendered(render, facts)
    ]


def _rendered(render: Callable[[CardFacts], bytes], facts: CardFacts) -> bytes | None:
    """None for facts of which no card can be made: they fit their schema, and no evidence gives them."""
    try:
        return render(facts)
    except (ValueError, LookupError, TypeError):
        return None
