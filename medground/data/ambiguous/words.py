"""The committed table of ambiguous questions, and a question of it in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np

from medground.schema.config import StrictConfig

Language = Literal["en", "zh"]
Condition = Literal["any", "two", "lung", "heart", "wall"]
"""When a wording may be used: always, of two lesions, of findings in the lung, or where nearness to that agrees."""
_SAYS_LUNG = ("lung", "pulmonary", "肺")


class Wordings(StrictConfig):
    """The table.

    Attributes:
        names: concept to its names; the English ones each singular and plural.
        sides, zones, looks: the words for each side, zone and appearance word.
        questions: form to language to condition to templates.
    """

    names: dict[str, dict[Language, tuple[tuple[str, str] | str, ...]]]
    sides: dict[str, dict[Language, tuple[str, ...]]]
    zones: dict[str, dict[Language, tuple[str, ...]]]
    looks: dict[str, dict[Language, tuple[str, ...]]]
    questions: dict[str, dict[Language, dict[Condition, tuple[str, ...]]]]


@cache
def load_wordings() -> Wordings:
    """The table that ships with the package; read once."""
    return Wordings.model_validate_json(files("medground.data.ambiguous").joinpath("questions.json").read_bytes())


def word(
    table: Mapping[str, Mapping[Language, Sequence[str]]], key: str, language: Language, rng: np.random.Generator
) -> str:
    """One of the words for a side, a zone or a look."""
    words = table[key][language]
    return words[int(rng.integers(len(words)))]


def worded(
    form: str,
    language: Language,
    nouns: Sequence[tuple[str, int]],
    conditions: Collection[Condition],
    words: Mapping[str, str],
    rng: np.random.Generator,
) -> str:
    """A question of the table.

    Args:
        form: of the question.
        language: `en` or `zh`.
        nouns: one or two concepts, each with the number of lesions that are meant.
        conditions: which wordings may be used.
        words: fill the places of the template that are not nouns: side, zone, look.
        rng: draws template and names.

    Returns:
        One sentence.
    """
    table = load_wordings()
    sorts = table.questions[form][language]
    templates = [template for sort, listed in sorts.items() if sort in conditions for template in listed]
    template = templates[int(rng.integers(len(templates)))]
    fill = dict(words)
    for place, (concept, count) in zip(("x",) if len(nouns) == 1 else ("a", "b"), nouns, strict=True):
        one, several = _name(concept, language, template, rng)
        fill |= {place: one if count == 1 else several, f"{place}1": one, f"{place}s": several}
    return template.format(**fill, **{"is": "is" if nouns[0][1] == 1 else "are"})


def _name(concept: str, language: Language, template: str, rng: np.random.Generator) -> tuple[str, str]:
    """Singular and plural of one of its names; beside a lung in the template, one that does not say lung again."""
    listed = load_wordings().names[concept][language]
    names = [(name, name) if isinstance(name, str) else name for name in listed]
    if any(part in template for part in _SAYS_LUNG):
        names = [name for name in names if not any(part in name[0] for part in _SAYS_LUNG)]
    return names[int(rng.integers(len(names)))]
