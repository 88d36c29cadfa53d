"""True pairs made false in one fact, so that a verifier can be tried on them.

Each corruption is false by construction: a side is swapped only where every region spoken of lies on the one side, a
number only by more than rounding could explain, a finding only for one that is neither broader nor narrower.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from medground.data.pairs.facts import Facts
from medground.data.pairs.wording import APPEARANCE_EN, APPEARANCE_ZH, NUMBERS_EN, NUMBERS_ZH
from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.schema.anatomy import Side, Zone
from medground.schema.pair import Pair, PairKind, RegionStatement
from medground.schema.result import StatementKind
from medground.schema.vocabulary import Vocabulary

T = TypeVar("T")
_SIDES = {"left": "right", "right": "left", "左": "右", "右": "左"}
_SIZES = {
    **dict.fromkeys(("small", "little", "tiny"), "large"),
    **dict.fromkeys(("large", "big", "extensive"), "small"),
    **{"较小": "较大", "较大": "较小", "细小的": "大的", "大片的": "小的", "小的": "大的", "大的": "小的"},
}
_RELATIONS = {
    **{"above": "below", "below": "above", "higher": "lower", "lower": "higher", "left": "right", "right": "left"},
    **{"larger": "smaller", "bigger": "smaller", "smaller": "larger", "大于": "小于", "小于": "大于"},
    **{"上方": "下方", "下方": "上方", "上面": "下面", "下面": "上面", "左侧": "右侧", "右侧": "左侧"},
    **{"大的": "小的", "小的": "大的"},
}
_ORDERS = {
    **{"largest": "smallest", "biggest": "smallest", "smallest": "largest", "larger": "smaller", "smaller": "larger"},
    **{"uppermost": "lowermost", "highest": "lowest", "topmost": "lowest", "lowermost": "uppermost"},
    **{"lowest": "highest", "upper": "lower", "lower": "upper", "最大": "最小", "最小": "最大", "较大": "较小"},
    **{"较小": "较大", "最上方": "最下方", "最下方": "最上方", "最高": "最低", "最低": "最高"},
    **{"靠上": "靠下", "靠下": "靠上"},
}
_ZONES = {"upper": Zone.UPPER, "middle": Zone.MIDDLE, "lower": Zone.LOWER}
_ZONES_ZH = {"上": Zone.UPPER, "中": Zone.MIDDLE, "下": Zone.LOWER}
_NOT_SURE = 2
"""Millimetres by which a number must be off for no rounding to make it true."""


class Corruptor:
    """Makes true pairs false.

    Args:
        vocabulary: of the pairs.
        rng: source of chance.
    """

    def __init__(self, vocabulary: Vocabulary, rng: np.random.Generator) -> None:
        self._vocabulary, self._rng = vocabulary, rng
        self._names = {
            language: _any_of([name for c in vocabulary.concepts for name in c.names.get(language, ())])
            for language in ("en", "zh")
        }
        self.kinds: Mapping[str, Callable[[Pair, Facts], Pair | None]] = {
            "side": self._side,
            "zone": self._zone,
            "class": self._class,
            "size": self._size,
            "count": self._count,
            "relation": lambda pair, _: self._swapped(pair, PairKind.RELATION, _RELATIONS),
            "order": lambda pair, _: self._swapped(pair, PairKind.ORDER, _ORDERS),
            "negation": self._negation,
            "appearance": self._appearance,
            "targets": self._targets,
        }
        """Kind of fact to what makes a pair false in it, or gives None where the pair has no such fact."""

    def _side(self, pair: Pair, facts: Facts) -> Pair | None:
        sides = {facts.side(index) for index in pair.targets}
        if pair.kind is PairKind.WRONG_SIDE or (pair.kind is PairKind.PRESENT and len(sides) == 1):
            changed = self._replaced(pair.question, pair.language, _SIDES)
            if changed and not sides & {None, Side.BILATERAL}:
                return pair.model_copy(update={"question": changed})
        one_sided = [s for s in pair.statements if facts.side(s.region) in (Side.LEFT, Side.RIGHT)]
        return self._with_statement(pair, one_sided, lambda s: self._replaced(s.text, s.language, _SIDES))

    def _zone(self, pair: Pair, facts: Facts) -> Pair | None:
        words = _ZONES if pair.language == "en" else _ZONES_ZH
        # 图像中 is "in the image" and no middle
        pattern = r"\b(upper|middle|lower)\b" if pair.language == "en" else r"(?<!图像)[上中下](?=肺|野|胸)"

        def moved(text: str, allowed: Sequence[Zone]) -> str | None:
            found = re.search(pattern, self._masked(text, pair.language))
            others = [word for word, zone in words.items() if zone in allowed and found and word != found[0]]
            return f"{text[: found.start()]}{self._one(others)}{text[found.end() :]}" if found and others else None

        if pair.kind is PairKind.PRESENT and (changed := moved(pair.question, tuple(Zone))):
            return pair.model_copy(update={"question": changed})
        if pair.kind is PairKind.WRONG_ZONE:
            named = self._named(pair.question, pair.language)
            there = [zone for i in facts.members(named) if (zone := facts.zone(i))] if named else []
            changed = moved(pair.question, there)
            return pair.model_copy(update={"question": changed}) if changed else None
        return self._with_statement(pair, pair.statements, lambda s: moved(s.text, tuple(Zone)))

    def _class(self, pair: Pair, facts: Facts) -> Pair | None:
        regions = facts.record.regions
        if pair.kind in (PairKind.ABSENT, PairKind.CONFUSABLE):
            changed = self._renamed(pair.question, pair.language, facts.present)
            return pair.model_copy(update={"question": changed}) if changed else None
        if pair.kind is PairKind.PRESENT and (not pair.statements or self._rng.random() < 0.5):
            others = self._strangers(facts, {regions[index].concept for index in pair.targets})
            changed = self._renamed(pair.question, pair.language, others)
            return pair.model_copy(update={"question": changed}) if changed else None

        def renamed(statement: RegionStatement) -> str | None:
            others = self._strangers(facts, {regions[statement.region].concept})
            return self._renamed(statement.text, statement.language, others)

        return self._with_statement(pair, [s for s in pair.statements if s.kind is StatementKind.FINDING], renamed)

    def _size(self, pair: Pair, _: Facts) -> Pair | None:
        if pair.kind in (PairKind.PRESENT, PairKind.WRONG_SIZE):
            changed = self._replaced(pair.question, pair.language, _SIZES)
            if changed:
                return pair.model_copy(update={"question": changed})

        def resized(statement: RegionStatement) -> str | None:
            numbers = list(re.finditer(r"\d+", statement.text))
            if not numbers:
                return self._replaced(statement.text, statement.language, _SIZES)
            number = self._one(numbers)
            off = int(self._rng.integers(_NOT_SURE, 30)) * (1 if self._rng.random() < 0.5 else -1)
            said = int(number[0]) + (off if int(number[0]) + off > 0 else abs(off))
            return f"{statement.text[: number.start()]}{said}{statement.text[number.end() :]}"

        return self._with_statement(pair, [s for s in pair.statements if s.kind is StatementKind.SIZE], resized)

    def _count(self, pair: Pair, _: Facts) -> Pair | None:
        def recounted(text: str, language: str) -> str | None:
            words = NUMBERS_EN if language == "en" else [f"{number}处" for number in NUMBERS_ZH]
            found = re.search(_any_of(words[2:]), text)
            if not found:
                return text.replace("both", "all three") if re.search(r"\bboth\b", text) else None
            other = self._one([word for word in words[2:] if word != found[0]])
            return f"{text[: found.start()]}{other}{text[found.end() :]}"

        if pair.kind in (PairKind.COUNT, PairKind.ORDER) and (changed := recounted(pair.question, pair.language)):
            return pair.model_copy(update={"question": changed})
        numbered = [s for s in pair.statements if s.kind is StatementKind.FINDING]
        return self._with_statement(pair, numbered, lambda s: recounted(s.text, s.language))

    def _negation(self, pair: Pair, facts: Facts) -> Pair | None:
        named = self._named(pair.question, pair.language)
        if named is None:
            return None
        name = self._vocabulary[named].names[pair.language][0]
        if pair.kind is PairKind.NEGATED:
            asked = f"can you see any {name}?" if pair.language == "en" else f"有{name}吗？"
            complete = facts.is_exhaustive(named)
            return pair.model_copy(update={"question": asked, "kind": PairKind.PRESENT, "complete": complete})
        if pair.kind is PairKind.PRESENT and self._rng.random() < 0.5:
            asked = f"find everything except {name}" if pair.language == "en" else f"除了{name}还有什么？"
            return pair.model_copy(update={"question": asked, "kind": PairKind.NEGATED, "complete": False})

        def denied(statement: RegionStatement) -> str | None:
            here = self._vocabulary[facts.record.regions[statement.region].concept].names[statement.language][0]
            return f"There is no {here}." if statement.language == "en" else f"未见{here}。"

        return self._with_statement(pair, [s for s in pair.statements if s.kind is StatementKind.FINDING], denied)

    def _appearance(self, pair: Pair, facts: Facts) -> Pair | None:
        def changed(text: str, language: str, regions: Sequence[int]) -> str | None:
            so = {word for index in regions for word in facts.record.regions[index].appearance}
            said = {word: APPEARANCE_EN.get(word, word) for word in APPEARANCE_ZH}
            said = said if language == "en" else APPEARANCE_ZH
            others: dict[str, str] = {}
            for aspect in APPEARANCE_WORDS.values():
                untrue = [said[word] for word in aspect if word not in so]
                others |= {said[word]: self._one(untrue) for word in aspect if untrue}
            return self._replaced(text, language, others)

        if pair.kind is PairKind.PRESENT and (text := changed(pair.question, pair.language, pair.targets)):
            return pair.model_copy(update={"question": text})
        looks = [s for s in pair.statements if s.kind is StatementKind.APPEARANCE]
        return self._with_statement(pair, looks, lambda s: changed(s.text, s.language, (s.region,)))

    def _targets(self, pair: Pair, facts: Facts) -> Pair | None:
        others = [i for i, r in enumerate(facts.record.regions) if not r.uncertain and i not in pair.targets]
        if others and (not pair.targets or self._rng.random() < 0.5):
            return pair.model_copy(update={"targets": tuple(sorted((*pair.targets, self._one(others))))})
        if not pair.targets:
            return None
        dropped = self._one(pair.targets)
        said = tuple(s for s in pair.statements if s.region != dropped)
        return pair.model_copy(update={"targets": tuple(i for i in pair.targets if i != dropped), "statements": said})

    def _swapped(self, pair: Pair, kind: PairKind, words: Mapping[str, str]) -> Pair | None:
        changed = self._replaced(pair.question, pair.language, words) if pair.kind is kind else None
        return pair.model_copy(update={"question": changed}) if changed else None

    def _strangers(self, facts: Facts, keys: set[str]) -> list[str]:
        """Findings of such images that are none of the keys, nor broader or narrower than one of them."""
        return [
            c.key
            for c in self._vocabulary.concepts
            if facts.record.domain in c.domains
            and not any(key in facts.narrower(c.key) or c.key in facts.narrower(key) for key in keys)
        ]

    def _with_statement(
        self, pair: Pair, choices: Sequence[RegionStatement], change: Callable[[RegionStatement], str | None]
    ) -> Pair | None:
        """The pair with one of the statements changed."""
        for at in self._rng.permutation(len(choices)):
            text = change(choices[int(at)])
            if text is not None:
                false = choices[int(at)].model_copy(update={"text": text})
                said = tuple(false if s is choices[int(at)] else s for s in pair.statements)
                return pair.model_copy(update={"statements": said})
        return None

    def _masked(self, text: str, language: str) -> str:
        """The text with every name of a finding blotted out, letter by letter: a "large heart" has no size to swap."""
        return re.sub(self._names[language], lambda found: "\0" * len(found[0]), text, flags=re.IGNORECASE)

    def _replaced(self, text: str, language: str, words: Mapping[str, str]) -> str | None:
        """The text with the first of the words replaced, or None where it has none."""
        found = re.search(_any_of(words), self._masked(text, language))
        return f"{text[: found.start()]}{words[found[0]]}{text[found.end() :]}" if found else None

    def _named(self, text: str, language: str) -> str | None:
        """The finding a text names first."""
        found = re.search(self._names[language], text, flags=re.IGNORECASE)
        return next((c.key for c in self._vocabulary.concepts if found and found[0].lower() in c.names[language]), None)

    def _renamed(self, text: str, language: str, keys: Sequence[str]) -> str | None:
        """The text with its first finding replaced by one of the keys."""
        found = re.search(self._names[language], text, flags=re.IGNORECASE)
        if not found or not keys:
            return None
        name = self._one(self._vocabulary[self._one(list(keys))].names[language])
        changed = f"{text[: found.start()]}{name}{text[found.end() :]}"
        return re.sub(r"\b([Aa])n? (?=[a-z])", lambda a: f"{a[1]}{_n(changed[a.end()])} ", changed)

    def _one(self, choices: Sequence[T]) -> T:
        return choices[int(self._rng.integers(len(choices)))]


def _any_of(words: Mapping[str, str] | Sequence[str]) -> str:
    """A pattern of any of the words, longest first; whole words where they are English."""
    ordered = sorted(words, key=len, reverse=True)
    return "|".join(rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word) for word in ordered)


def _n(letter: str) -> str:
    return "n" if letter in "aeiou" else ""
