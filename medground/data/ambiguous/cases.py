"""Questions that name more than one lesion of a phantom film until a side, a size or an order says which one is meant.

Which lesions are meant follows from the recipe of the film: its boxes, its anatomy and the words it was drawn from. A
case is decidable only where that is beyond dispute; the others have no answer on the film that they are asked of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from medground.data.ambiguous.film import MeasuredFilm, Order
from medground.data.ambiguous.words import Condition, Language, load_wordings, word, worded
from medground.data.phantom.appearance import APPEARANCE_WORDS
from medground.data.phantom.chest_radiograph import PhantomImage, chest_radiograph
from medground.schema.anatomy import Side
from medground.schema.errors import UsageError

Kind = Literal[
    "side", "zone", "size", "height", "medial or lateral", "left or right", "rank", "attribute", "joined", "not shown"
]
Doubt = Literal["near tie", "not shown", "no orientation", "no zone"]
FIRST_SEED: Final = 7_000_000
MOST_CASES: Final = 2_000
SIZE_PX: Final = 512
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_STRIDE = 2 * MOST_CASES  # from the seed of a film that does not serve to the next one
_TRIES = 250

ORDERS: Final[dict[str, Order]] = {
    "largest": Order(("size",)),
    "smallest": Order(("size",), greatest=False),
    "uppermost": Order(("height",)),
    "lowermost": Order(("height",), greatest=False),
    "most medial": Order(("off the film's middle", "off the midline"), greatest=False),
    "most lateral": Order(("off the film's middle", "off the midline")),
    "leftmost": Order(("leftward",)),
    "rightmost": Order(("leftward",), greatest=False),
    "second largest": Order(("size",), first=1),
    "two largest": Order(("size",), count=2),
    "second uppermost": Order(("height",), first=1),
    "second smallest": Order(("size",), greatest=False, first=1),
    "third largest": Order(("size",), first=2),
    "second lowermost": Order(("height",), greatest=False, first=1),
}
# Wordings that may be used only where nearness to the heart or the wall gives the same lesion.
_NEARBY: Final[dict[str, tuple[Condition, Order]]] = {
    "most medial": ("heart", Order(("near the heart",))),
    "most lateral": ("wall", Order(("near the wall",))),
}
FORMS: Final[dict[Kind, tuple[str, ...]]] = {
    "side": ("side",),
    "zone": ("zone", "side and zone"),
    "size": ("largest", "smallest"),
    "height": ("uppermost", "lowermost"),
    "medial or lateral": ("most medial", "most lateral"),
    "left or right": ("leftmost", "rightmost"),
    "rank": tuple(form for form, order in ORDERS.items() if order.first + order.count > 1),
    "attribute": ("attribute",),
    "joined": ("joined on one side", "joined on two sides", "joined largest", "joined all"),
    "not shown": ("not shown",),
}
KINDS: Final[tuple[Kind, ...]] = tuple(kind for kind in FORMS if kind != "not shown")
DOUBTS: Final[tuple[Doubt, ...]] = ("near tie", "not shown", "no orientation", "no zone")
_SIDED: Final[tuple[tuple[Kind, str], ...]] = (
    ("side", "side"),
    ("left or right", "leftmost"),
    ("left or right", "rightmost"),
)
_SINGLE = tuple(form for form, order in ORDERS.items() if order.first + order.count == 1)

_LUNG = ("nodule", "mass", "calcification", "cavity", "consolidation")
_FOCAL = ("nodule", "mass", "calcification", "cavity")
_PLEURAL = ("pleural_effusion", "pneumothorax")
_ASKED: Final[dict[Kind, tuple[str, ...]]] = {
    "side": (*_LUNG, *_PLEURAL, "fracture"),
    "zone": _LUNG,
    "size": (*_LUNG, *_PLEURAL),
    "height": (*_LUNG, "fracture"),
    "medial or lateral": _FOCAL,
    "left or right": (*_LUNG, "fracture"),
    "rank": _FOCAL,
    "attribute": ("nodule", "mass", "cavity", "consolidation"),
    "not shown": _LUNG,
}
_MOST: Final = {"nodule": 4, "calcification": 4, "mass": 3, "cavity": 3, "fracture": 3}  # 2 of the others
# What may lie beside the finding asked for and could not be taken for it.
_BESIDE: Final = {
    "nodule": (*_PLEURAL, "fracture"),
    "mass": ("calcification", *_PLEURAL, "fracture"),
    "calcification": ("mass", *_PLEURAL),
    "cavity": ("pleural_effusion", "fracture"),
    "consolidation": ("calcification", "fracture"),
    "pleural_effusion": ("nodule", "calcification", "fracture"),
    "pneumothorax": ("nodule", "calcification"),
    "fracture": ("nodule", "pneumothorax"),
}
_JOINED: Final = (
    ("nodule", "pleural_effusion"),
    ("mass", "pleural_effusion"),
    ("nodule", "fracture"),
    ("mass", "calcification"),
    ("nodule", "pneumothorax"),
    ("calcification", "pleural_effusion"),
    ("cavity", "fracture"),
)
_VAGUE = "moderate"  # neither clearly faint nor clearly dense


@dataclass(frozen=True, eq=False)
class AmbiguousCase:
    """A question about a film on which the finding it names is there more than once.

    Attributes:
        seed: of the case; that of the film is `image.seed`.
        image: the film, 512 x 512.
        question: in words.
        language: of the question.
        kind: what tells the lesions apart, or `not shown`.
        form: which wording of it, a key of the table.
        concepts: the findings that the question names.
        meant: indices into `image.regions`, ascending; empty where nothing on the film decides.
        doubt: why nothing decides, else None.
        as_picture: to be given as a plain picture, so that no header tells its orientation.
    """

    seed: int
    image: PhantomImage
    question: str
    language: Language
    kind: Kind
    form: str
    concepts: tuple[str, ...]
    meant: tuple[int, ...]
    doubt: Doubt | None = None
    as_picture: bool = False

    @property
    def decidable(self) -> bool:
        """Whether a reader who sees everything on the film can know which lesions are meant."""
        return self.doubt is None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is meant on a film, and what the wording needs to know of it."""

    meant: tuple[int, ...]
    words: dict[str, str] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()


def decidable_seeds(count: int) -> range:
    """Seeds of that many decidable cases; kinds and languages take turns.

    Raises:
        UsageError: on more than there are.
    """
    return _seeds(FIRST_SEED, count)


def undecidable_seeds(count: int) -> range:
    """Seeds of that many cases without an answer; doubts and languages take turns.

    Raises:
        UsageError: on more than there are.
    """
    return _seeds(FIRST_SEED + MOST_CASES, count)


def _seeds(first: int, count: int) -> range:
    if not 0 <= count <= MOST_CASES:
        raise UsageError(f"{count} ambiguous cases asked for: there are {MOST_CASES} decidable and as many undecidable")
    return range(first, first + count)


def ambiguous_case(seed: int) -> AmbiguousCase:
    """Make the case of that seed; the same seed gives the same case.

    Where the film of the seed shows nothing that could be asked, the next one at a fixed stride is taken.

    Args:
        seed: of `decidable_seeds` or `undecidable_seeds`.

    Raises:
        UsageError: on another seed, or if none of its films serves.
    """
    number = seed - FIRST_SEED
    if not 0 <= number < 2 * MOST_CASES:
        raise UsageError(f"seed {seed} is no ambiguous case: they run from {FIRST_SEED} to {FIRST_SEED + _STRIDE - 1}")
    for film_seed in range(seed, seed + _TRIES * _STRIDE, _STRIDE):
        case = _decidable(seed, film_seed) if number < MOST_CASES else _undecidable(seed, film_seed)
        if case is not None:
            return case
    raise UsageError(f"none of {_TRIES} films serves the ambiguous case {seed}; take the next seed")


def _decidable(seed: int, film_seed: int) -> AmbiguousCase | None:
    number = seed - FIRST_SEED
    turn, place = divmod(number, len(KINDS))
    kind = KINDS[place]
    form = FORMS[kind][turn // 2 % len(FORMS[kind])]  # once in each language before the next
    return _case(seed, film_seed, kind, (form,), LANGUAGES[number % 2])


def _undecidable(seed: int, film_seed: int) -> AmbiguousCase | None:
    turn, place = divmod(seed - FIRST_SEED - MOST_CASES, len(DOUBTS))
    doubt, language = DOUBTS[place], LANGUAGES[(turn + place) % 2]
    match doubt:
        case "near tie":  # of any order; each in turn is looked for first
            first = turn // 2 % len(_SINGLE)
            return _case(seed, film_seed, "medial or lateral", _SINGLE[first:] + _SINGLE[:first], language, doubt)
        case "not shown":
            return _case(seed, film_seed, "not shown", ("not shown",), language, doubt)
        case "no orientation":
            kind, form = _SIDED[turn // 2 % len(_SIDED)]
            return _case(seed, film_seed, kind, (form,), language, doubt)
        case _:
            return _case(seed, film_seed, "zone", ("zone",), language, doubt)


def _case(
    seed: int, film_seed: int, kind: Kind, forms: Sequence[str], language: Language, doubt: Doubt | None = None
) -> AmbiguousCase | None:
    """The case on one film, of the first form that it serves; None where there is none."""
    rng = np.random.default_rng([film_seed, 81])
    concepts, findings = _findings(kind, forms[0], rng)
    image = chest_radiograph(film_seed, size_px=SIZE_PX, findings=findings)
    film = MeasuredFilm(image)
    if film.is_crowded():
        return None
    members = [film.members(concept) for concept in concepts]
    for form in forms:
        if doubt == "near tie":
            asked = _Asked(members[0][:1]) if film.is_tied(members[0], ORDERS[form]) else None
        elif kind == "joined":
            asked = _joined(form, film, members[0], members[1], language, rng)
        else:
            asked = _single(form, film, members[0], language, rng)
        if asked is not None:
            break
    else:
        return None
    conditions: set[Condition] = {"any", *asked.conditions}
    conditions |= {"two"} if len(members[0]) == 2 else set()
    conditions |= {"lung"} if concepts[0] in _LUNG else set()
    nouns = [(c, sum(i in asked.meant for i in own)) for c, own in zip(concepts, members, strict=True)]
    return AmbiguousCase(
        seed=seed,
        image=image,
        question=worded(form, language, nouns, conditions, asked.words, rng),
        language=language,
        kind=next(kind for kind, listed in FORMS.items() if form in listed),
        form=form,
        concepts=concepts,
        meant=() if doubt else asked.meant,
        doubt=doubt,
        as_picture=doubt in ("no orientation", "no zone"),
    )


def _findings(kind: Kind, form: str, rng: np.random.Generator) -> tuple[tuple[str, ...], list[str]]:
    """The concepts to ask for, and everything that the film is to show."""
    if kind == "joined":
        one, other = pair = _JOINED[int(rng.integers(len(_JOINED)))]
        counts = (int(rng.integers(1, 3)), 2) if form != "joined all" else (2, int(rng.integers(1, 3)))
        beside = [name for name in _BESIDE[one] if name in _BESIDE[other]] if form == "joined all" else []
        return pair, [one] * counts[0] + [other] * counts[1] + beside[:1]
    least = 3 if kind == "rank" else 2
    pool = [name for name in _ASKED[kind] if _MOST.get(name, 2) >= least]
    concept = pool[int(rng.integers(len(pool)))]
    count = int(rng.integers(least, _MOST.get(concept, 2) + 1))
    beside = [str(name) for name in rng.permutation(_BESIDE[concept])[: int(rng.integers(0, 3))]]
    return (concept,), [concept] * count + beside


def _single(
    form: str, film: MeasuredFilm, members: Sequence[int], language: Language, rng: np.random.Generator
) -> _Asked | None:
    """What a question for one concept means; None where the film leaves it open."""
    table = load_wordings()
    if form == "not shown":
        return _Asked(tuple(members[:1]))
    if form == "attribute":
        looks = list(_looks(film, members))
        if not looks:
            return None
        look, meant = looks[int(rng.integers(len(looks)))]
        return _Asked(meant, {"look": word(table.looks, look, language, rng)})
    if form in ORDERS:
        order = ORDERS[form]
        chosen = film.chosen(members, order)
        nearby = _NEARBY.get(form)
        agrees = nearby is not None and film.chosen(members, nearby[1]) == chosen
        return None if chosen is None else _Asked(chosen, conditions=(nearby[0],) if nearby and agrees else ())
    sides, zones = [film.side(index) for index in members], [film.zone(index) for index in members]
    if (None in sides and form != "zone") or (None in zones and form != "side"):
        return None
    pick = int(rng.integers(len(members)))
    meant = tuple(
        index
        for index, side, zone in zip(members, sides, zones, strict=True)
        if (form == "zone" or side == sides[pick]) and (form == "side" or zone == zones[pick])
    )
    if len(meant) == len(members):
        return None
    words = _sides(sides[pick], language, rng) if form != "zone" else {}
    words["one"] = "one" if len(members) == len(meant) + 1 else "ones"
    zone = zones[pick]
    return _Asked(meant, words | ({"zone": word(table.zones, zone, language, rng)} if zone else {}))


def _looks(film: MeasuredFilm, members: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Appearance words that are true of some of the lesions and clearly not of the others, with those."""
    said = [film.image.regions[index].appearance for index in members]
    for aspect, _ in enumerate(APPEARANCE_WORDS):
        words = [look[aspect] for look in said]
        if _VAGUE not in words and len(set(words)) > 1:
            for one in sorted(set(words)):
                yield one, tuple(index for index, own in zip(members, words, strict=True) if own == one)


def _joined(
    form: str,
    film: MeasuredFilm,
    ones: Sequence[int],
    others: Sequence[int],
    language: Language,
    rng: np.random.Generator,
) -> _Asked | None:
    """What a question for two concepts means; None where the film leaves it open."""
    both = (*ones, *others)
    if form == "joined all":
        return _Asked(both) if len(film.image.regions) > len(both) else None
    if form == "joined largest":
        chosen = film.chosen(both, ORDERS["largest"])
        return None if chosen is None else _Asked(chosen)
    sides = {index: film.side(index) for index in both}
    side = sides[ones[int(rng.integers(len(ones)))]]
    if None in sides.values():
        return None
    same = form == "joined on one side"
    meant = tuple(i for i in both if (sides[i] == side) == (same or i in ones))
    complete = any(i in meant for i in others) and len(meant) < len(both)
    return _Asked(meant, _sides(side, language, rng)) if complete else None


def _sides(side: Side | None, language: Language, rng: np.random.Generator) -> dict[str, str]:
    """The words for a side and for the other one."""
    sides = load_wordings().sides
    other = Side.RIGHT if side is Side.LEFT else Side.LEFT
    return {"side": word(sides, str(side), language, rng), "other": word(sides, other, language, rng)}
