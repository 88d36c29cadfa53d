"""The words around a finding: places, sides, relations and fillers, and the longest-match reading of a sentence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

from pydantic import Field

from medground.schema.anatomy import Side, Zone
from medground.schema.config import StrictConfig
from medground.schema.result import Relation

Role = Literal[
    "concept",
    "side",
    "zone",
    "relation",
    "comparative",
    "number",
    "attribute",
    "beyond",
    "part",
    "except",
    "outside",
    "link",
    "prep",
    "end",
    "broad",
    "descriptor",
    "stop",
    "unknown",
]

ConceptNames = tuple[tuple[str, tuple[str, ...]], ...]
"""Concept keys, each with all phrases that name it."""

HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_POSSESSIVE = re.compile(r"(?<=\w)'s\b|(?<=\w)'(?=\w)")
_HYPHEN = re.compile(r"(?<=\w)[-\u2010-\u2015](?=\w)")
_TOKEN = re.compile(rf"{HAN.pattern}|(?:(?!{HAN.pattern})[^\W_])+|[^\w\s]|_")
_MEASURE = re.compile(r"\d+(mm|cm)?")
_YEAR = re.compile(r"(19|20)\d\d")


class Lexicon(StrictConfig):
    """The word lists of `lexicon.json`, English and Chinese together.

    Attributes:
        side, zone, relation: value of the enumeration to the words for it.
        side_and_zone: `side|zone` to the Chinese words that say both at once.
        comparative: relation to the words that mean it where they single one out ("the larger"), and nothing else in "a
            larger nodule".
        choice: relation to the words that mean it in "the upper one" and "the upper of the two" alone.
        that_one, that: Chinese words that mean a relation with one of `that` behind them, and those.
        ranked, ordinal: words for a rank in an order, around an ordinal `{}`, and the ordinals.
        nearness: how "nearest to {}" is said, and its opposite; `near` has the bare adjectives.
        landmark: relation to what is near, for the `{}` of `nearness`.
        number, counter: number to the words for it, and the Chinese counters behind it.
        attribute: appearance word to all words for it.
        attribute_concepts: finding to the appearance word that it is before another ("钙化的结节").
        denial: words that deny the adjective behind them.
        lack: words that deny the finding behind them where it is such an appearance word.
        beyond: `time` or `function` to the words for what no single image shows ("newer", "takes up FDG").
        shown_of: such words that an image can bear out for some findings ("old fracture"), and those.
        of_no_finding: what such words may be said of besides findings: persons, films.
        ruled_out: words that deny the side or zone behind them ("not the one on the right").
        either: words that join alternatives.
        indefinite: words that make a comparative behind them a mere adjective.
        outside: words that exclude what is before them ("结节以外").
        part: regions of the body, joined by `|`, to the words for them.
        except_words: words that exclude what follows ("other than").
        link: words that join two findings.
        prep: words that put a finding into a place.
        end: marks that end a sentence.
        broad: words that ask for everything.
        aliases: further words that name a concept; understood, but never written into training questions.
        regions: concept to the regions it is read in, where they don't follow from its domains.
        intrinsic: concepts whose name fixes the place.
        intrinsic_words: words that fix the place of the finding whose name holds them.
        descriptor: adjectives that don't change which finding is meant.
        narrowing: those of them that mean fewer of these findings, which nothing here can check.
        stop: words without content.
        traditional: traditional Chinese characters and the simplified ones, position by position.
    """

    side: dict[Side, tuple[str, ...]]
    zone: dict[Zone, tuple[str, ...]]
    side_and_zone: dict[str, tuple[str, ...]] = Field(alias="side and zone")
    relation: dict[Relation, tuple[str, ...]]
    comparative: dict[Relation, tuple[str, ...]]
    choice: dict[Relation, tuple[str, ...]]
    that_one: dict[Relation, tuple[str, ...]] = Field(alias="that one")
    that: tuple[str, ...]
    ranked: dict[Relation, tuple[str, ...]]
    ordinal: dict[int, tuple[str, ...]]
    nearness: dict[Literal["nearest", "nearer", "furthest", "further"], tuple[str, ...]]
    near: dict[Literal["nearest", "furthest"], tuple[str, ...]]
    landmark: dict[Relation, tuple[str, ...]]
    number: dict[int, tuple[str, ...]]
    counter: tuple[str, ...]
    attribute: dict[str, tuple[str, ...]]
    attribute_concepts: dict[str, str] = Field(alias="attribute concepts")
    denial: frozenset[str]
    lack: frozenset[str]
    beyond: dict[Literal["time", "function"], tuple[str, ...]] = Field(alias="beyond the film")
    shown_of: dict[str, frozenset[str]] = Field(alias="shown of")
    of_no_finding: frozenset[str] = Field(alias="of no finding")
    ruled_out: tuple[str, ...] = Field(alias="ruled out")
    either: frozenset[str]
    indefinite: frozenset[str]
    outside: tuple[str, ...]
    part: dict[str, tuple[str, ...]]
    except_words: tuple[str, ...] = Field(alias="except")
    link: tuple[str, ...]
    prep: tuple[str, ...]
    end: tuple[str, ...]
    broad: tuple[str, ...]
    aliases: dict[str, tuple[str, ...]]
    regions: dict[str, frozenset[str]]
    intrinsic: frozenset[str]
    intrinsic_words: frozenset[str] = Field(alias="intrinsic words")
    descriptor: tuple[str, ...]
    narrowing: frozenset[str]
    stop: tuple[str, ...]
    traditional: dict[Literal["from", "to"], str]

    @cached_property
    def simplified(self) -> dict[int, int]:
        """Table for `str.translate` from traditional to simplified Chinese; ten thousand phrases go through it."""
        return str.maketrans(self.traditional["from"], self.traditional["to"])

    def compares(self, text: str) -> bool:
        """Whether the words of an order compare, and so are about two or more: "larger", "nearer to", "the upper"."""
        nearer = {form.partition("{")[0].strip() for form in self.nearness["nearer"] + self.nearness["further"]}
        words = {word for own in (*self.comparative.values(), *self.choice.values()) for word in own} | nearer
        return any(
            text == word or (text.startswith(word) and not text[len(word)].isascii()) for word in words if word
        ) or (any(text.startswith(f"{word} ") for word in nearer if word))


@dataclass(frozen=True, slots=True)
class Item:
    """A run of tokens and what it is in the sentence.

    Attributes:
        role: part it plays.
        value: concept key, side, zone, `side|zone`, relation, `relation|rank`, number, appearance word, `time` or
            `function`, or regions; empty for the other roles.
        text: the words, lower-cased, as they stand in the question.
    """

    role: Role
    value: str
    text: str


@cache
def load_lexicon() -> Lexicon:
    """The word lists that ship with the package; read once."""
    return Lexicon.model_validate_json(files("medground.inference").joinpath("lexicon.json").read_bytes())


def tokens(text: str, lexicon: Lexicon) -> list[str]:
    """Lower-case words, single Chinese characters (simplified) and punctuation marks of a text.

    Args:
        text: any text.
        lexicon: gives the table of traditional characters.

    Returns:
        Tokens in order; hyphens between words and possessive endings are left out.
    """
    plain = unicodedata.normalize("NFKC", text).lower().translate(lexicon.simplified).replace("\u2019", "'")
    return _TOKEN.findall(_HYPHEN.sub(" ", _POSSESSIVE.sub("", plain)))


def join(parts: list[str]) -> str:
    """Tokens as text again: blanks between words, none beside Chinese characters."""
    text = ""
    for part in parts:
        text += part if not text or HAN.match(part) or HAN.match(text[-1]) else f" {part}"
    return text


class Reader:
    """Reads a sentence into items by the longest match at each place.

    Args:
        names: concept keys with the phrases that name them.
        lexicon: the words around them.
    """

    def __init__(self, names: ConceptNames, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._entries: dict[tuple[str, ...], tuple[Role, str]] = {}
        for key, phrases in names:
            for phrase in (*phrases, *lexicon.aliases.get(key, ())):
                self._add("concept", key, phrase)
        self._add_places()
        plain: tuple[tuple[Role, tuple[str, ...]], ...] = (
            ("except", lexicon.except_words),
            ("outside", lexicon.outside),
            ("end", lexicon.end),
            ("link", lexicon.link),
            ("prep", lexicon.prep),
            ("broad", lexicon.broad),
            ("descriptor", lexicon.descriptor),
            ("stop", (*lexicon.stop, *lexicon.ruled_out)),
        )
        for role, words in plain:
            for word in words:
                self._add(role, "", word)
        self._longest = max(map(len, self._entries))

    def read(self, text: str) -> list[Item]:
        """Items of a sentence in order; words that are in no list have the role `unknown`."""
        words = tokens(text, self.lexicon)
        items: list[Item] = []
        at = 0
        while at < len(words):
            length, (role, value) = self._longest_match(words, at)
            if role == "side" and self._counts(words, at, length):
                length, (role, value) = self._longest_match(words[: at + length - 1], at)
            run = words[at : at + length]
            if role == "unknown" and items and items[-1].role == "unknown" and HAN.match(run[0]):
                items[-1] = Item("unknown", "", join([items[-1].text, *run]))
            else:
                items.append(Item(role, value, join(run)))
            at += length
        return items

    def _counts(self, words: list[str], at: int, length: int) -> bool:
        """Whether 两个肺 counts findings: 两个肺结节 are two lung nodules, 两个肺的结节 nodules of both lungs."""
        if "".join(words[at : at + length]) != "两个肺":
            return False
        behind = at + length + (words[at + length : at + length + 1] in (["部"], ["内"]))
        starts = (at + length - 1, behind)
        return any(start < len(words) and self._longest_match(words, start)[1][0] == "concept" for start in starts)

    def _longest_match(self, words: list[str], at: int) -> tuple[int, tuple[Role, str]]:
        for length in range(min(self._longest, len(words) - at), 0, -1):
            run = tuple(words[at : at + length])
            for last in _singulars(run[-1]):
                entry = self._entries.get((*run[:-1], last))
                if entry is not None:
                    return length, entry
        if _YEAR.fullmatch(words[at]):
            return 1, ("beyond", "time")
        is_word = re.match(r"\w", words[at]) and not _MEASURE.fullmatch(words[at])
        role: Role = "unknown" if is_word else "stop"
        return 1, (role, "")

    def _add(self, role: Role, value: str, phrase: str) -> None:
        self._entries.setdefault(tuple(tokens(phrase, self.lexicon)), (role, value))

    def _add_places(self) -> None:
        lexicon = self.lexicon
        tables: tuple[tuple[Role, dict[str, tuple[str, ...]]], ...] = (
            ("side", {str(key): words for key, words in lexicon.side.items()}),
            ("zone", {str(key): words for key, words in lexicon.zone.items()}),
            ("zone", lexicon.side_and_zone),
            ("relation", dict(_orders(lexicon))),
            ("comparative", dict(_comparatives(lexicon))),
            ("number", dict(_numbers(lexicon))),
            ("attribute", lexicon.attribute),
            ("beyond", {str(key): words for key, words in lexicon.beyond.items()}),
            ("part", lexicon.part),
        )
        for role, table in tables:
            for value, words in table.items():
                for word in words:
                    self._add(role, value, word)


def _singulars(word: str) -> tuple[str, ...]:
    """The word itself and what it may be the plural of."""
    forms = [word]
    if word.isascii() and len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        forms.append(word[:-1])
        if word.endswith("es"):
            forms.append(word[:-2])
        if word.endswith("ies"):
            forms.append(word[:-3] + "y")
    return tuple(forms)


_OPPOSITE = {
    Relation.MOST_MEDIAL: Relation.MOST_LATERAL,
    Relation.MOST_LATERAL: Relation.MOST_MEDIAL,
    Relation.UPPERMOST: Relation.LOWERMOST,
    Relation.LOWERMOST: Relation.UPPERMOST,
}


def nearness(lexicon: Lexicon, landmark: str, *, far: bool) -> Relation | None:
    """The relation "nearest to" a landmark, or "furthest from" it; None where it is no landmark."""
    for relation, words in lexicon.landmark.items():
        if landmark in words:
            return _OPPOSITE[relation] if far else relation
    return None


def _orders(lexicon: Lexicon) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Words that always mean a relation, by `relation` or `relation|rank`."""
    for relation in Relation:
        words = list(lexicon.relation[relation])
        words += [f"{stem}{that}" for stem in lexicon.that_one[relation] for that in lexicon.that]
        words += _near(lexicon, relation, "nearest", "furthest")
        yield relation.value, tuple(words)
        patterns = [*lexicon.ranked[relation], *(f"{{}} {word}" for word in words if word.isascii())]
        for rank, ordinals in lexicon.ordinal.items():
            yield f"{relation.value}|{rank}", tuple(_filled(patterns, ordinals))


def _comparatives(lexicon: Lexicon) -> Iterator[tuple[str, tuple[str, ...]]]:
    for relation in Relation:
        yield relation.value, (*lexicon.comparative[relation], *_near(lexicon, relation, "nearer", "further"))


def _near(
    lexicon: Lexicon, relation: Relation, near: Literal["nearest", "nearer"], far: Literal["furthest", "further"]
) -> list[str]:
    """How nearness to the landmarks of a relation is said, or distance from those of the opposite one."""
    words = []
    for patterns, of in ((lexicon.nearness[near], relation), (lexicon.nearness[far], _OPPOSITE.get(relation))):
        places = lexicon.landmark.get(of, ()) if of else ()
        words += _filled(patterns, [form for place in places for form in _with_the(place)])
    return words


def _with_the(place: str) -> tuple[str, ...]:
    return (place, f"the {place}") if place.isascii() else (place,)


def _filled(patterns: Iterable[str], fillings: Sequence[str]) -> list[str]:
    """Every pattern with every filling of its own language; "第2" is Chinese."""
    return [p.replace("{}", f) for p in patterns for f in fillings if bool(HAN.search(p)) == bool(HAN.search(f))]


def _numbers(lexicon: Lexicon) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Numbers as words and digits, and in Chinese with the counter behind, or 两 would be taken out of 两肺."""
    for number, words in lexicon.number.items():
        counted = [
            f"{word}{counter}" for word in words if not word.isalpha() or HAN.match(word) for counter in lexicon.counter
        ]
        yield str(number), (*(word for word in words if word.isascii() or word == "俩"), *counted)
