"""Which files of a card have a schema, and what checks them; each form brings its own check."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

Validator = Callable[[bytes], list[str]]
"""Takes the content of a file and gives what is wrong with it, a sentence each; it never raises."""
Schemas = Mapping[str, Validator]
"""Validators by path, which may have `*` in it, as in `evidence/scenes/*.scene.json.gz`."""

MOST_TOLD = 5


def _later(module: str, name: str) -> Validator:
    """A check that is imported when it is asked: a signature can be checked without what forms are made of.

    Whatever somebody wrote, it does not raise, and says no more than a reader would read.
    """

    def check(content: bytes) -> list[str]:
        judge: Validator = getattr(import_module(f"medground.cards.{module}"), name)
        try:
            return judge(content)[:MOST_TOLD]
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            return ["it is not built as it should be"]

    return check


KNOWN: Final[Schemas] = MappingProxyType(
    {
        "facts.json": _later("forms.facts_json", "facts_problems"),
        "MODEL_CARD.md": _later("markdown", "markdown_problems"),
        "README.md": _later("forms.hugging_face", "readme_problems"),
        "chai.xml": _later("forms.chai", "chai_problems"),
        "bom.cdx.json": _later("forms.cyclonedx", "bom_problems"),
        "croissant.json": _later("forms.croissant", "croissant_problems"),
    }
)
"""Of the files that this version writes: strict and quick. The schemas of the formats themselves judge in the tests."""


def validator_of(path: str, schemas: Schemas) -> Validator | None:
    """What checks the file at a path; None if it has no schema.

    Args:
        path: inside the card.
        schemas: exact paths go before patterns, and patterns in their order.
    """
    if path in schemas:
        return schemas[path]
    return next((schemas[pattern] for pattern in schemas if fnmatch.fnmatchcase(path, pattern)), None)
