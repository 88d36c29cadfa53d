"""`facts.json`: the facts themselves, every number unrounded."""

from __future__ import annotations

from pydantic import ValidationError

from medground.cards.contents import CardFacts
from medground.cards.forms.reading import NotPlainError, parse_json, written_json

MOST_TOLD = 5


def facts_file(facts: CardFacts) -> bytes:
    """The facts as JSON, in the order of `CardFacts`; equal facts give equal bytes.

    Args:
        facts: of the card.
    """
    return written_json(facts.model_dump(mode="json"))


def facts_problems(content: bytes) -> list[str]:
    """What is wrong with a `facts.json`: members of `CardFacts`, their types, and the form that it is written in.

    Args:
        content: of the file.
    """
    try:
        parse_json(content)
        facts = CardFacts.model_validate_json(content)
    except NotPlainError as error:
        return [str(error)]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[:MOST_TOLD]
        return [f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in first]
    return [] if facts_file(facts) == content else ["it is written in another form"]
