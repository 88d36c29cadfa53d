"""What can be said of one region, sentence by sentence, each true by the label and the geometry."""

from __future__ import annotations

import numpy as np

from medground.data.pairs.facts import Facts
from medground.data.pairs.wording import (
    APPEARANCE_EN,
    APPEARANCE_ZH,
    NUMBERS_EN,
    NUMBERS_ZH,
    Language,
    Wanted,
    has_plural,
    phrase_of,
    place_en,
    place_zh,
)
from medground.data.questions import is_plural, with_article
from medground.schema.pair import RegionStatement
from medground.schema.result import StatementKind

AT_ONCE = 0.3
"""How often a place that is known is said with the finding rather than in a sentence of its own."""


def statements(facts: Facts, index: int, language: Language, rng: np.random.Generator) -> tuple[RegionStatement, ...]:
    """Describe a region: what it is, where, how large, how it looks, one of how many; what is not known is left out.

    Args:
        facts: of the image.
        index: of the region.
        language: `en` or `zh`.
        rng: source of chance for the wording.
    """
    concept = facts.vocabulary[facts.record.regions[index].concept]
    wanted = Wanted(concept, facts.side(index), facts.zone(index))
    write = _english if language == "en" else _chinese
    return tuple(
        RegionStatement(region=index, kind=kind, text=text, language=language)
        for kind, text in write(facts, index, wanted, rng)
    )


def _english(facts: Facts, index: int, wanted: Wanted, rng: np.random.Generator) -> list[tuple[StatementKind, str]]:
    phrase = phrase_of(wanted.concept, "en", rng, plural=False)
    named = with_article(phrase)
    verb = "are" if is_plural(phrase) else "is"
    place = place_en(wanted, rng, phrase)
    at_once = bool(place) and rng.random() < AT_ONCE
    where = place if at_once else ""
    found = [f"There {verb} {named}{where}.", f"{_capital(named)} {verb} seen{where}.", f"{_capital(named)}{where}."]
    if not at_once:
        found.append(f"This is {named}." if verb == "is" else f"These are {named}.")
    said = [(StatementKind.FINDING, _pick(found, rng))]
    if place and not at_once:
        said.append((StatementKind.LOCATION, _pick([f"It lies{place}.", f"It is located{place}."], rng)))
    size = facts.size_mm(index)
    if size is not None:
        words = (f"It measures {size[0]} x {size[1]} mm.", f"Its box is {size[0]} mm wide and {size[1]} mm high.")
        said.append((StatementKind.SIZE, _pick(words, rng)))
    elif facts.size_word(index) is not None:
        said.append((StatementKind.SIZE, f"It is {facts.size_word(index)}."))
    words_of = facts.record.regions[index].appearance
    look = [APPEARANCE_EN.get(word, word) for word in words_of if word in APPEARANCE_ZH]
    if look:
        said.append((StatementKind.APPEARANCE, f"It looks {_listed(look)}."))
    count = _count(facts, wanted)
    if 1 < count < len(NUMBERS_EN) and has_plural(wanted.concept):
        plural = phrase_of(wanted.concept, "en", rng, plural=True)
        said.append((StatementKind.FINDING, f"It is one of {NUMBERS_EN[count]} {plural}."))
    return said


def _chinese(facts: Facts, index: int, wanted: Wanted, rng: np.random.Generator) -> list[tuple[StatementKind, str]]:
    phrase = phrase_of(wanted.concept, "zh", rng)
    place = place_zh(wanted, rng, phrase)
    at_once = bool(place) and rng.random() < AT_ONCE
    where = place if at_once else ""
    found = [f"{where}可见{phrase}。", f"{where}有{phrase}。"] + ([] if at_once else [f"这是{phrase}。"])
    said = [(StatementKind.FINDING, _pick(found, rng))]
    if place and not at_once:
        said.append((StatementKind.LOCATION, _pick([f"位于{place}。", f"部位在{place}。"], rng)))
    size = facts.size_mm(index)
    if size is not None:
        words = (f"大小约{size[0]}×{size[1]}毫米。", f"宽{size[0]}毫米，高{size[1]}毫米。")
        said.append((StatementKind.SIZE, _pick(words, rng)))
    elif facts.size_word(index) is not None:
        said.append((StatementKind.SIZE, "病灶较小。" if facts.size_word(index) == "small" else "病灶较大。"))
    look = [APPEARANCE_ZH[word] for word in facts.record.regions[index].appearance if word in APPEARANCE_ZH]
    if look:
        said.append((StatementKind.APPEARANCE, f"表现为{'、'.join(dict.fromkeys(look))}。"))
    count = _count(facts, wanted)
    if 1 < count < len(NUMBERS_ZH):
        counted = phrase.removesuffix("处")
        said.append((StatementKind.FINDING, f"共有{NUMBERS_ZH[count]}处{counted}，这是其中一处。"))
    return said


def _count(facts: Facts, wanted: Wanted) -> int:
    """How many regions the finding has, or 0 where they cannot be counted."""
    return len(facts.members(wanted.concept.key)) if facts.is_countable(wanted.concept.key) else 0


def _listed(words: list[str]) -> str:
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} and {last}" if first else last


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _pick(choices: list[str] | tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
