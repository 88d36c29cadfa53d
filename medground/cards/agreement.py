"""Whether the forms of a card say what its facts say: without the evidence, so that a quick check can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from medground.cards.findings import Finding, Kind
from medground.cards.layout import CARD
from medground.schema.errors import CardError

if TYPE_CHECKING:
    from medground.cards.contents import CardFacts


def disagreements(files: Mapping[str, bytes]) -> list[Finding]:
    """Renders every form that is there from the facts, and compares bytes; and asks whose facts they are.

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
    return _other_model(files, facts) + [
        Finding(name, Kind.FORM, f"it does not say what {FACTS} says")
        for name, render in FORMS
        if name in files and files[name] != _rendered(render, facts)
    ]


def _other_model(files: Mapping[str, bytes], facts: CardFacts) -> list[Finding]:
    from medground.cards.card_file import read_card

    try:
        said = read_card(files[CARD]).model if CARD in files else None
    except CardError:
        return []  # told by the check of its form
    of = facts.model
    if said is None or (said.name, said.version, said.sha256) == (of.name, of.version, of.sha256):
        return []
    named, meant = (f"{one.name} {one.version} ({one.sha256[:12]})" for one in (said, of))
    words = f"it is of {named}, its facts of {meant}"
    return [Finding(CARD, Kind.FORM, words)]


def _rendered(render: Callable[[CardFacts], bytes], facts: CardFacts) -> bytes | None:
    """None for facts of which no card can be made: they fit their schema, and no evidence gives them."""
    try:
        return render(facts)
    except (ValueError, LookupError, TypeError):
        return None
