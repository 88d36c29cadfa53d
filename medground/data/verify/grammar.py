"""The sentences the verifier understands: questions and statements, as patterns over the roles of their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from medground.data.verify import words
from medground.data.verify.reader import Reader, Word
from medground.data.verify.words import Language
from medground.schema.anatomy import Side, Zone
from medground.schema.result import StatementKind
from medground.schema.vocabulary import Vocabulary

Kind = TypeVar("Kind")


class Form(StrEnum):
    """What sort of question it is."""

    PLAIN = "plain"
    COUNT = "count"
    ORDER = "order"
    RELATION = "relation"
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Noun:
    """A finding with what is said of it; `concept` is empty where only a place, a size or looks are named."""

    concept: str = ""
    side: Side | None = None
    zone: Zone | None = None
    size: str | None = None
    looks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks.

    Attributes:
        form: sort of question.
        what: what is asked for; for OTHERS, what is left out.
        word: the order or the relation.
        other: what the relation is to.
        number: how many there are said to be.
    """

    form: Form
    what: Noun
    word: str | None = None
    other: Noun | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a statement says of its region.

    Attributes:
        kind: what it is about.
        noun: the finding, place, size or looks it names.
        number: how many such regions there are said to be.
        size_mm: width and height.
        denied: True where it says that there is no such thing.
    """

    kind: StatementKind
    noun: Noun = Noun()
    number: int | None = None
    size_mm: tuple[int, int] | None = None
    denied: bool = False


_EN, _ZH = "d?[zap]*Cp*", "(?:[pzg]|ag)*C"
_QUESTIONS: dict[Language, tuple[tuple[Form, str], ...]] = {
    "en": (
        (Form.PLAIN, f"f*(?P<what>{_EN})t?"),
        (Form.COUNT, f"h(?P<what>{_EN})t?|f*d?(?P<number>n)(?P<what2>[zap]*Cp*)"),
        (Form.ORDER, "f*d(?P<word>q)(?P<what>[zap]*Cp*)|f*d(?P<word2>l)w(?P<number>n)(?P<what2>[zap]*Cp*)"),
        (Form.RELATION, f"f*(?P<what>{_EN})(?P<word>r)(?P<other>{_EN})"),
        (Form.OTHERS, f"f*ef*x(?P<what>{_EN})t?"),
    ),
    "zh": (
        (Form.PLAIN, f"f*(?P<what>p?g?)f*(?P<what2>{_ZH})t*"),
        (Form.COUNT, f"f*h(?P<what>{_ZH})t*|(?P<what2>{_ZH})f?h|f+u?(?P<number>n)(?P<what3>{_ZH})t*"),
        (Form.ORDER, f"f*(?P<word>q)(?P<what>{_ZH})t*|f*(?P<number>n)(?P<what2>{_ZH})m(?P<word2>l)t*"),
        (Form.RELATION, f"f*b(?P<other>{_ZH})(?P<word>r)(?P<what>{_ZH})t*"),
        (Form.RELATION, f"f*c(?P<other>{_ZH})(?P<word>k)(?P<what>{_ZH})t*"),
        (Form.RELATION, f"f*(?P<word>v)(?P<other>{_ZH})g(?P<what>{_ZH})t*"),
        (Form.OTHERS, f"f*x(?P<what>{_ZH})y?g?f*et*|f*(?P<what2>{_ZH})yg?et*"),
    ),
}
_STATEMENTS: dict[Language, tuple[tuple[StatementKind, str], ...]] = {
    "en": (
        (StatementKind.FINDING, f"i?(?P<denied>0)?(?P<what>{_EN})v?(?P<what2>p*)|k(?P<number>n)(?P<what3>[zap]*Cp*)"),
        (StatementKind.LOCATION, "j(?P<what>p+)"),
        (StatementKind.SIZE, "I(?P<what>z)|M(?P<wide>N)X(?P<high>N)U|B(?P<wide2>N)W(?P<high2>N)H"),
        (StatementKind.APPEARANCE, r"L(?P<what>a(?:\+?a)*)"),
    ),
    "zh": (
        (StatementKind.FINDING, f"(?P<what>p?)(?:i|(?P<denied>0))(?P<what2>{_ZH})|k(?P<number>n)(?P<what3>{_ZH})J"),
        (StatementKind.LOCATION, "j(?P<what>p+)"),
        (StatementKind.SIZE, "I(?P<what>z)|M(?P<wide>N)X(?P<high>N)U|B(?P<wide2>N)W(?P<high2>N)H"),
        (StatementKind.APPEARANCE, "L(?P<what>a+)"),
    ),
}


class Grammar:
    """Understands questions and statements in one language.

    Args:
        vocabulary: the findings that can be named.
        language: `en` or `zh`.
    """

    def __init__(self, vocabulary: Vocabulary, language: Language) -> None:
        english = language == "en"
        nouns = list(words.english_nouns() if english else words.chinese_nouns())
        around = words.english_questions() if english else words.chinese_questions()
        said = words.english_statements() if english else words.chinese_statements()
        self._asks = Reader(vocabulary, language, [*nouns, *around])
        self._says = Reader(vocabulary, language, [*nouns, *said])
        self._questions = [(form, re.compile(pattern)) for form, pattern in _QUESTIONS[language]]
        self._statements = [(kind, re.compile(pattern)) for kind, pattern in _STATEMENTS[language]]

    def question(self, text: str) -> Asked | str:
        """What a question asks, or why that is not understood."""
        for form, found in _matches(self._asks.readings(text), self._questions):
            what = _noun([*found("what"), *found("what2"), *found("what3")])
            other = _noun(found("other"))
            word = [w.value for w in (*found("word"), *found("word2"))]
            number = [w.value for w in found("number")]
            if what is None or other is None:
                return f"{text!r} names two places, sizes or sides of one finding"
            return Asked(form, what, word[0] if word else None, other if other.concept else None, *number)
        return _why(self._asks, text)

    def statement(self, text: str) -> Said | str:
        """What a statement says, or why that is not understood."""
        for kind, found in _matches(self._says.readings(text), self._statements):
            noun = _noun([*found("what"), *found("what2"), *found("what3")])
            size = [w.value for name in ("wide", "high", "wide2", "high2") for w in found(name)]
            number = [w.value for w in found("number")]
            if noun is None:
                return f"{text!r} says two things of one kind"
            size_mm = (size[0], size[1]) if size else None
            return Said(kind, noun, number[0] if number else None, size_mm, bool(found("denied")))
        return _why(self._says, text)


class _Found:
    """The words that the named parts of a pattern cover."""

    def __init__(self, reading: tuple[Word, ...], match: re.Match[str]) -> None:
        self._reading, self._match = reading, match

    def __call__(self, part: str) -> tuple[Word, ...]:
        if part not in self._match.re.groupindex:
            return ()
        start, end = self._match.span(part)
        return self._reading[start:end] if start >= 0 else ()


def _matches(
    readings: Iterable[tuple[Word, ...]], patterns: list[tuple[Kind, re.Pattern[str]]]
) -> Iterator[tuple[Kind, _Found]]:
    for reading in readings:
        roles = "".join(word.role for word in reading)
        for kind, pattern in patterns:
            match = pattern.fullmatch(roles)
            if match:
                yield kind, _Found(reading, match)


def _noun(reading: Iterable[Word]) -> Noun | None:
    """The finding that words describe, or None where they say two things of one kind."""
    noun = Noun()
    for word in reading:
        if word.role == "a":
            noun = replace(noun, looks=(*noun.looks, word.value))
            continue
        said = {"C": {"concept": word.value}, "z": {"size": word.value}}.get(word.role, {})
        if word.role == "p":
            said = {part: value for part, value in zip(("side", "zone"), word.value, strict=True) if value is not None}
        if any(getattr(noun, part) not in (None, "", value) for part, value in said.items()):
            return None
        noun = replace(noun, **said)
    return noun


def _why(reader: Reader, text: str) -> str:
    unread = reader.unread(text)
    return f"{text!r}: {unread!r} is not a known word here" if unread else f"{text!r} is no sentence that is known"
