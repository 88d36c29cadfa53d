"""Pairs from a labelled image: questions about what is there, what is not, and what is nearly there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import TypeVar

import numpy as np

from medground.data.pairs.facts import Facts
from medground.data.pairs.special import Order, Relation, ask_count, ask_order, ask_other, ask_relation
from medground.data.pairs.statements import statements
from medground.data.pairs.wording import APPEARANCE_ZH, NUMBERS_EN, Language, Wanted, has_plural, question
from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.questions import LUNG_FINDINGS, SIDED_FINDINGS
from medground.schema.anatomy import Side, Zone
from medground.schema.pair import Pair, PairKind
from medground.schema.record import ImageRecord
from medground.schema.vocabulary import Vocabulary

NO_SIZE = frozenset({"cardiomegaly", "emphysema", "diffuse_nodules", "miliary_pattern"})
"""Findings of a whole organ: nobody asks for a small one."""
_SAID_BY_NAME = {"cavity": "cavitated", "calcification": "calcified", "diffuse_nodules": "diffuse"}
_VAGUE = frozenset({"moderate"})
T = TypeVar("T")
_OTHER_SIDE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}


def write_pairs(
    record: ImageRecord,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
    *,
    languages: Sequence[Language] = ("en", "zh"),
    kinds: Sequence[PairKind] = tuple(PairKind),
    absent: int = 3,
) -> tuple[Pair, ...]:
    """Write one pair for every fact of an image that can be asked about, in each language.

    Args:
        record: the image.
        vocabulary: has every concept of the record.
        rng: source of chance for the wording, and for which absent findings are asked about.
        languages: of the questions.
        kinds: which kinds of question to write.
        absent: at most so many questions about absent findings in a language, of each kind of absence.

    Returns:
        The pairs; the same record and state of `rng` give the same.
    """
    facts = Facts(record, vocabulary)
    writer = _Writer(facts, rng, absent)
    return tuple(pair for language in languages for kind in kinds for pair in writer.of_kind(kind, language))


def phrasings(
    record: ImageRecord, vocabulary: Vocabulary, index: int, language: Language, rng: np.random.Generator, count: int
) -> tuple[Pair, ...]:
    """Different ways of asking for one region.

    Args:
        record: the image.
        vocabulary: has every concept of the record.
        index: of the region, which must not be doubtful.
        language: of the questions.
        rng: source of chance.
        count: how many distinct questions to write.

    Returns:
        Pairs with distinct questions, of which the region is a target each time.
    """
    writer = _Writer(Facts(record, vocabulary), rng, 0)
    found: dict[str, Pair] = {}
    for _ in range(40):
        for pair in writer.present(language, only=index):
            found.setdefault(pair.question, pair)
            if len(found) == count:
                return tuple(found.values())
    return tuple(found.values())


class _Writer:
    """Writes the pairs of one image."""

    def __init__(self, facts: Facts, rng: np.random.Generator, absent: int) -> None:
        self.facts, self.rng, self.absent = facts, rng, absent
        self.concept = facts.vocabulary.__getitem__

    def of_kind(self, kind: PairKind, language: Language) -> Iterator[Pair]:
        """The pairs of one kind."""
        return {
            PairKind.PRESENT: self.present,
            PairKind.ABSENT: self.not_there,
            PairKind.WRONG_SIDE: self.wrong_side,
            PairKind.WRONG_ZONE: self.wrong_zone,
            PairKind.WRONG_SIZE: self.wrong_size,
            PairKind.CONFUSABLE: self.confusable,
            PairKind.RELATION: self.relations,
            PairKind.ORDER: self.orders,
            PairKind.COUNT: self.counts,
            PairKind.NEGATED: self.negated,
        }[kind](language)

    def present(self, language: Language, only: int | None = None) -> Iterator[Pair]:
        """Each finding by name, by place, by size and by look; then by a broader name."""
        for key in self.facts.present:
            members = self.facts.members(key)
            if only is not None and only not in members:
                continue
            seen = set()
            for wanted, targets in self._descriptions(key, members if only is None else (only,)):
                text = question(wanted, language, self.rng)
                if text not in seen:
                    seen.add(text)
                    yield self._pair(text, language, PairKind.PRESENT, targets, self._is_complete(key))
            parent = self.concept(key).parent
            if parent is not None and only is None:
                text = question(Wanted(self.concept(parent)), language, self.rng)
                targets = self.facts.members(parent)
                yield self._pair(text, language, PairKind.PRESENT, targets, self._is_complete(parent))

    def _descriptions(self, key: str, chosen: Sequence[int]) -> Iterator[tuple[Wanted, tuple[int, ...]]]:
        """Ways to ask for the chosen regions of a finding, each with all regions that it fits."""
        members, bare = self.facts.members(key), Wanted(self.concept(key))
        yield bare, members
        for index in chosen:
            side = self.facts.side(index) if key in SIDED_FINDINGS else None
            zone = self.facts.zone(index) if key in LUNG_FINDINGS else None
            on_side = self.facts.on_side(members, side) if side else None
            in_zone = self.facts.in_zone(members, zone) if zone else None
            if on_side:
                yield Wanted(self.concept(key), side=side), on_side
            if in_zone:
                yield Wanted(self.concept(key), zone=zone), in_zone
            if on_side and in_zone and side is not Side.BILATERAL and (both := _shared(on_side, in_zone)):
                yield Wanted(self.concept(key), side=side, zone=zone), both
            size = self.facts.size_word(index)
            if size is not None and key not in NO_SIZE:
                alike = tuple(i for i in members if self.facts.size_word(i) == size)
                yield Wanted(self.concept(key), size=size), alike
                if on_side and (both := _shared(alike, on_side)):
                    yield Wanted(self.concept(key), side=side, size=size), both
            word = self._look(index, key)
            looking = self._looking(word, members) if word is not None else None
            if looking:
                yield Wanted(self.concept(key), appearance=word), looking

    def not_there(self, language: Language) -> Iterator[Pair]:
        """Findings that the image would be labelled with, and is not."""
        absent = [key for key in self.facts.askable if not self.facts.members(key)]
        for key in self._some(absent):
            wanted = Wanted(self.concept(key))
            yield self._pair(question(wanted, language, self.rng), language, PairKind.ABSENT, (), True)

    def wrong_side(self, language: Language) -> Iterator[Pair]:
        """A finding that is on one side only, asked for on the other."""
        for key in self.facts.present:
            if key not in SIDED_FINDINGS or not self.facts.is_exhaustive(key):
                continue
            sides = {self.facts.side(index) for index in self.facts.members(key)}
            if len(sides) == 1 and (side := sides.pop()) in _OTHER_SIDE and side is not None:
                wanted = Wanted(self.concept(key), side=_OTHER_SIDE[side])
                yield self._pair(question(wanted, language, self.rng), language, PairKind.WRONG_SIDE, (), True)

    def wrong_zone(self, language: Language) -> Iterator[Pair]:
        """A finding whose every region has a zone, asked for in a zone without one."""
        for key in self.facts.present:
            if key not in LUNG_FINDINGS or not self.facts.is_exhaustive(key):
                continue
            zones = {self.facts.zone(index) for index in self.facts.members(key)}
            free = [zone for zone in Zone if zone not in zones]
            if None not in zones and free:
                wanted = Wanted(self.concept(key), zone=free[int(self.rng.integers(len(free)))])
                yield self._pair(question(wanted, language, self.rng), language, PairKind.WRONG_ZONE, (), True)

    def wrong_size(self, language: Language) -> Iterator[Pair]:
        """A small finding asked for as a large one, and the other way round."""
        for key in self.facts.present:
            if key in NO_SIZE or not self.facts.is_exhaustive(key):
                continue
            sizes = {self.facts.size_word(index) for index in self.facts.members(key)}
            for asked, other in (("large", "small"), ("small", "large")):
                if sizes == {other}:
                    wanted = Wanted(self.concept(key), size=asked)
                    yield self._pair(question(wanted, language, self.rng), language, PairKind.WRONG_SIZE, (), True)

    def confusable(self, language: Language) -> Iterator[Pair]:
        """What looks like a finding that is there, and is not there."""
        askable = set(self.facts.askable)
        for key in self.facts.present:
            alike = [
                other
                for other in self.concept(key).confusable_with
                if other in askable and not self.facts.members(other)
            ]
            for other in self._some(alike, 1):
                wanted = Wanted(self.concept(other))
                yield self._pair(question(wanted, language, self.rng), language, PairKind.CONFUSABLE, (), True)

    def relations(self, language: Language) -> Iterator[Pair]:
        """A finding by its place or size with respect to the only one of another kind."""
        for what, other in permutations(self.facts.present, 2):
            anchors = self.facts.members(other)
            known = self.facts.is_exhaustive(what) and self.facts.is_exhaustive(other)
            if len(anchors) != 1 or not known or set(anchors) & set(self.facts.members(what)):
                continue
            by_size = {Relation.LARGER, Relation.SMALLER} if NO_SIZE & {what, other} else set()
            for relation in self._some([relation for relation in Relation if relation not in by_size], 2):
                members = self.facts.members(what)
                targets = tuple(i for i in members if self._holds(relation, i, anchors[0]))
                # Every other region must clearly not stand so, or the answer would be a matter of opinion.
                if targets and all(i in targets or self._holds(_INVERSE[relation], i, anchors[0]) for i in members):
                    one, two = Wanted(self.concept(what)), Wanted(self.concept(other))
                    text = ask_relation(one, relation, two, language, self.rng)
                    yield self._pair(text, language, PairKind.RELATION, targets, True)

    def orders(self, language: Language) -> Iterator[Pair]:
        """The largest, smallest, uppermost or lowermost of several."""
        for key in self.facts.present:
            members = self.facts.members(key)
            if len(members) < 2 or key in NO_SIZE or not self.facts.is_countable(key):
                continue
            for order in self._some(list(Order), 2):
                first = [i for i in members if all(self._precedes(order, i, j) for j in members if j != i)]
                if len(first) == 1:
                    text = ask_order(Wanted(self.concept(key)), order, len(members), language, self.rng)
                    yield self._pair(text, language, PairKind.ORDER, tuple(first), True)

    def counts(self, language: Language) -> Iterator[Pair]:
        """How many there are, where all of them are labelled."""
        for key in self.facts.present:
            members = self.facts.members(key)
            if key in NO_SIZE or not self.facts.is_countable(key) or len(members) >= len(NUMBERS_EN):
                continue
            if has_plural(self.concept(key)):
                text = ask_count(Wanted(self.concept(key)), len(members), language, self.rng)
                yield self._pair(text, language, PairKind.COUNT, members, True)

    def negated(self, language: Language) -> Iterator[Pair]:
        """Everything but one finding; never said to be complete, since no source labels everything."""
        for key in self._some(list(self.facts.present), 2):
            members = set(self.facts.members(key))
            others = tuple(
                i for i, region in enumerate(self.facts.record.regions) if i not in members and not region.uncertain
            )
            broader = any(key in self.facts.narrower(self.facts.record.regions[i].concept) for i in others)
            if others and not broader and not self.facts.is_doubtful(key):
                text = ask_other(Wanted(self.concept(key)), language, self.rng)
                yield self._pair(text, language, PairKind.NEGATED, others, False)

    def _pair(self, text: str, language: Language, kind: PairKind, targets: tuple[int, ...], complete: bool) -> Pair:
        said = tuple(s for index in targets for s in statements(self.facts, index, language, self.rng))
        record_id = self.facts.record.record_id
        return Pair(
            record_id=record_id,
            question=text,
            language=language,
            kind=kind,
            targets=targets,
            complete=complete,
            statements=said,
        )

    def _is_complete(self, key: str) -> bool:
        return self.facts.is_exhaustive(key)

    def _look(self, index: int, key: str) -> str | None:
        """One appearance word of a region that says more than the finding's name."""
        words = [
            word
            for word in self.facts.record.regions[index].appearance
            if word in APPEARANCE_ZH and word not in _VAGUE and word != _SAID_BY_NAME.get(key)
        ]
        return words[int(self.rng.integers(len(words)))] if words else None

    def _looking(self, word: str, members: Sequence[int]) -> tuple[int, ...] | None:
        """Regions that look so; None where one of them has no word of that aspect, so may look so or not."""
        regions = self.facts.record.regions
        aspect = next(words for words in APPEARANCE_WORDS.values() if word in words)
        if not all(set(aspect) & set(regions[i].appearance) for i in members):
            return None
        return tuple(i for i in members if word in regions[i].appearance)

    def _holds(self, relation: Relation, one: int, other: int) -> bool:
        facts = self.facts
        return {
            Relation.ABOVE: lambda: facts.is_above(one, other),
            Relation.BELOW: lambda: facts.is_above(other, one),
            Relation.LEFT_OF: lambda: facts.is_left_of(one, other),
            Relation.RIGHT_OF: lambda: facts.is_left_of(other, one),
            Relation.LARGER: lambda: facts.is_larger(one, other),
            Relation.SMALLER: lambda: facts.is_larger(other, one),
        }[relation]()

    def _precedes(self, order: Order, one: int, other: int) -> bool:
        facts = self.facts
        return {
            Order.LARGEST: lambda: facts.is_larger(one, other),
            Order.SMALLEST: lambda: facts.is_larger(other, one),
            Order.UPPERMOST: lambda: facts.is_above(one, other),
            Order.LOWERMOST: lambda: facts.is_above(other, one),
        }[order]()

    def _some(self, choices: Sequence[T], count: int | None = None) -> list[T]:
        """At most so many of the choices, drawn without repetition."""
        count = min(self.absent if count is None else count, len(choices))
        return [choices[int(i)] for i in self.rng.permutation(len(choices))[:count]]


_INVERSE = {
    Relation.ABOVE: Relation.BELOW,
    Relation.BELOW: Relation.ABOVE,
    Relation.LEFT_OF: Relation.RIGHT_OF,
    Relation.RIGHT_OF: Relation.LEFT_OF,
    Relation.LARGER: Relation.SMALLER,
    Relation.SMALLER: Relation.LARGER,
}


def _shared(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    return tuple(index for index in one if index in other)
