"""The answer that a question has on an image, or why it has none that can be proven."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from medground.data.verify.grammar import Asked, Form, Noun
from medground.data.verify.truth import Truth, chosen
from medground.schema.anatomy import Side
from medground.schema.pair import PairKind

_INVERSE = {
    "above": "below",
    "below": "above",
    "left of": "right of",
    "right of": "left of",
    "larger than": "smaller than",
    "smaller than": "larger than",
}
_FIRST = {"largest": "larger than", "smallest": "smaller than", "uppermost": "above", "lowermost": "below"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question comes to.

    Attributes:
        targets: regions that answer it, ascending.
        complete: whether there can be no other.
        kinds: why it may have been asked.
    """

    targets: tuple[int, ...]
    complete: bool
    kinds: frozenset[PairKind]


def answer(asked: Asked, truth: Truth) -> Answer | str:
    """The answer to a question, or the reason why the record does not settle it."""
    if asked.form is Form.OTHERS:
        return _others(asked.what, truth)
    fitting = _fitting(asked.what, truth)
    if isinstance(fitting, str):
        return fitting
    concept = asked.what.concept
    if asked.form is Form.PLAIN:
        return _plain(asked.what, fitting, truth)
    if not truth.is_whole(concept):
        return f"not every {concept} is labelled, so none can be counted or told from the rest"
    if asked.form is Form.RELATION:
        return _related(asked, fitting, truth)
    if not truth.is_countable(concept):
        return f"two sources drew {concept}, maybe the same one twice"
    if asked.number is not None and asked.number != len(fitting):
        return f"there are {len(fitting)} of {concept}, not {asked.number}"
    if asked.form is Form.COUNT:
        return Answer(tuple(fitting), True, frozenset({PairKind.COUNT}))
    relation = _FIRST[asked.word or ""]
    first = [i for i in fitting if all(truth.holds(relation, i, j) for j in fitting if j != i)]
    if len(fitting) < 2 or len(first) != 1:
        return f"no {concept} is clearly the {asked.word} of several"
    return Answer(tuple(first), True, frozenset({PairKind.ORDER}))


def _fitting(noun: Noun, truth: Truth) -> list[int] | str:
    """The regions that fit a noun, or what is not known of one of them."""
    fitting: list[int] | None = truth.sure(noun.concept)
    for fits in _demands(noun, truth):
        if fitting is not None:
            fitting = chosen((i, fits(i)) for i in fitting)
    return f"not of every {noun.concept} is it known whether it fits" if fitting is None else fitting


def _demands(noun: Noun, truth: Truth) -> Iterator[Callable[[int], bool | None]]:
    """What a noun demands of a region beside its finding; each says None where that is not known of the region."""
    side, zone, size = noun.side, noun.zone, noun.size
    if side is not None:
        yield lambda i: None if truth.side(i) is None else truth.side(i) in (side, Side.BILATERAL)
    if zone is not None:
        yield lambda i: None if truth.zone(i) is None else truth.zone(i) is zone
    if size is not None:
        yield lambda i: truth.size(i) == size
    for look in noun.looks:
        yield partial(truth.looks, look=look)


def _plain(noun: Noun, fitting: list[int], truth: Truth) -> Answer | str:
    whole = truth.is_whole(noun.concept)
    if fitting:
        return Answer(tuple(fitting), whole, frozenset({PairKind.PRESENT}))
    if not whole or not truth.is_seen_on_such_images(noun.concept):
        return f"that there is no {noun.concept} is not proven"
    asked = {PairKind.WRONG_SIDE: noun.side, PairKind.WRONG_ZONE: noun.zone, PairKind.WRONG_SIZE: noun.size}
    if truth.sure(noun.concept):
        return Answer((), True, frozenset(kind for kind, value in asked.items() if value is not None))
    alike = {PairKind.CONFUSABLE} if truth.has_alike(noun.concept) else set()
    return Answer((), True, frozenset({PairKind.ABSENT, *alike}))


def _related(asked: Asked, fitting: list[int], truth: Truth) -> Answer | str:
    if asked.other is None or asked.word is None:
        return "a relation needs two findings"
    anchors = _fitting(asked.other, truth)
    if isinstance(anchors, str):
        return anchors
    if len(anchors) != 1 or not truth.is_whole(asked.other.concept) or anchors[0] in fitting:
        return f"there is not exactly one {asked.other.concept} to relate to"
    targets = chosen((i, _stands(truth, asked.word, i, anchors[0])) for i in fitting)
    if targets is None:
        return f"one {asked.what.concept} stands neither clearly so nor clearly the other way"
    return Answer(tuple(targets), True, frozenset({PairKind.RELATION}))


def _stands(truth: Truth, relation: str, one: int, other: int) -> bool | None:
    """Whether a region stands so to another; None where it stands neither clearly so nor clearly the other way."""
    return True if truth.holds(relation, one, other) else False if truth.holds(_INVERSE[relation], one, other) else None


def _others(noun: Noun, truth: Truth) -> Answer | str:
    """Everything but one finding; never complete, since no source labels everything."""
    if noun != Noun(noun.concept):
        return "only a whole finding can be left out"
    regions = truth.record.regions
    own = set(truth.sure(noun.concept))
    others = [i for i, region in enumerate(regions) if not region.uncertain and i not in own]
    if any(truth.is_or_may_be(i, noun.concept) for i in others):
        return f"a region of a broader label may be {noun.concept}"
    if not others:
        return "that there is nothing else is not proven"
    return Answer(tuple(others), False, frozenset({PairKind.NEGATED}))
