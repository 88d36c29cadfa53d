"""From text to words with roles: every character must belong to a known word, longer words before shorter ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from medground.data.verify.words import Entry, Language
from medground.schema.vocabulary import Vocabulary

_UNITS = {
    "en": re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*|[^\s.,?!;:]"),
    "zh": re.compile(r"[0-9]+|[a-z]+|[^\s。，？！；：、,.?!;:]"),
}
"""A unit is an English word or a Chinese character; sentence marks and blanks carry no meaning here."""


@dataclass(frozen=True, slots=True)
class Word:
    """A known word in its place.

    Attributes:
        role: one letter, see `words`.
        value: what it means.
    """

    role: str
    value: Any


class Reader:
    """Knows the words of one language.

    Args:
        vocabulary: whose names are words of role C.
        language: `en` or `zh`.
        entries: every other word; whole numbers in digits are words of role N.
    """

    def __init__(self, vocabulary: Vocabulary, language: Language, entries: Iterable[Entry]) -> None:
        self._unit = _UNITS[language]
        self._words: dict[tuple[str, ...], list[Word]] = defaultdict(list)
        for concept in vocabulary.concepts:
            for name in concept.names.get(language) or concept.names["en"]:
                self._words[self._units(name)].append(Word("C", concept.key))
        for text, role, value in entries:
            self._words[self._units(text)].append(Word(role, value))
        self._longest = max(map(len, self._words))

    def readings(self, text: str) -> Iterator[tuple[Word, ...]]:
        """Every way to take the whole text as known words, those with longer words first."""
        yield from self._from(self._units(text), 0)

    def unread(self, text: str) -> str:
        """What stands behind the longest beginning that is known words; empty where all of it is."""
        units = self._units(text)
        reached = {0}
        for at in range(len(units)):
            if at in reached:
                reached.update(at + length for length, _ in self._at(units, at))
        return " ".join(units[max(reached) :])

    def _units(self, text: str) -> tuple[str, ...]:
        return tuple(self._unit.findall(text.lower().replace("’", "'")))

    def _from(self, units: tuple[str, ...], at: int) -> Iterator[tuple[Word, ...]]:
        if at == len(units):
            yield ()
        for length, word in self._at(units, at):
            for rest in self._from(units, at + length):
                yield (word, *rest)

    def _at(self, units: tuple[str, ...], at: int) -> Iterator[tuple[int, Word]]:
        for length in range(min(self._longest, len(units) - at), 0, -1):
            for word in self._words.get(units[at : at + length], ()):
                yield length, word
        if at < len(units) and units[at].isascii() and units[at].isdigit():
            yield 1, Word("N", int(units[at]))
