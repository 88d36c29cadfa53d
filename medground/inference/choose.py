"""Which of several sightings a question means: "the larger", "the second from the top", "the round one".

All of it is arithmetic. A sighting is real with the probability of its score, and the sightings are taken as
independent. "The largest" is the first real one in the order of size, so each is meant with a probability that can be
told exactly. What is nearly as probable as the best is shown with it, and the answer is open. So it is with what would
be as probable if two sizes or places stood in the other order that differ by less than boxes err.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from medground.dicom.geometry import toward_left
from medground.inference.location import height_of
from medground.inference.looks import LOOKS
from medground.inference.orders import order_words
from medground.inference.sighting import Sighting
from medground.inference.views import View
from medground.schema.anatomy import Domain
from medground.schema.result import Relation, Understood

TIE_RATIO = 1.5  # odds of three to two: below that the better one is a guess
SAME_AREA = 0.1  # of the larger: by that a box of 40 pixels grows which is drawn a pixel wider on each side
SAME_PLACE = 0.02  # of the side of the image: 8 mm on a film of 400 mm, the radius of a nodule

LIKELY = 0.5  # below that, something else is meant more probably than not

UNTOLD = 0.33  # how probable it is that a region looks as asked where nothing tells: one look of a group of three
LEAST_LIKELY = 0.01  # a word that does not fit at all; below that two regions would not compare

_GROUPS = {word: group for group, words in LOOKS.items() for word in words}
_CHEST = frozenset({Domain.CHEST_RADIOGRAPH, Domain.CHEST_CT})
_LATERAL_VIEWS = frozenset({"LL", "RL", "LAT", "LATERAL"})  # View Position (0018,5101)
_BY_MIDLINE = frozenset({Relation.MOST_MEDIAL, Relation.MOST_LATERAL})
_FROM_THE_SMALL_END = frozenset({Relation.SMALLEST, Relation.LOWERMOST, Relation.RIGHTMOST, Relation.MOST_MEDIAL})


@dataclass(frozen=True, slots=True)
class Choice:
    """What a question means of several sightings, by their positions in the order given.

    Attributes:
        shown: what to show, most probable first; where the answer is open, all that may be meant.
        fitting: those that look as asked as far as any does; all, where no look is asked for.
        undecided: the order asked for does not settle which are meant, or the words for their looks speak against it.
        warnings: why, and what the order was measured by.
        chances: probability of each to be meant, 0..1; empty where no order is asked for or none can be told.
    """

    shown: tuple[int, ...]
    fitting: tuple[int, ...]
    undecided: bool = False
    warnings: tuple[str, ...] = ()
    chances: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Scale:
    """What sightings are ordered by, the greatest first, and how little two may differ.

    Attributes:
        values: square millimetres or pixels, or millimetres or pixels along one direction; negative where the smallest
            comes first.
        margin: least difference, as a share of the greater where `relative`, else in the unit of the values.
        relative: whether the margin is a share.
        alike: how two are that differ by less, as in "two ... ".
    """

    values: tuple[float, ...]
    margin: float
    relative: bool
    alike: str

    def is_close(self, a: int, b: int) -> bool:
        """Whether the order of two is within the error of their boxes."""
        one, other = self.values[a], self.values[b]
        return abs(one - other) < self.margin * (max(abs(one), abs(other)) if self.relative else 1)


def chances(scores: Sequence[float], first: int = 1, last: int = 1) -> list[float]:
    """Probability of each of an order to be one of the `first`-th to `last`-th that are real.

    Args:
        scores: probability of each to be real, 0..1, in the order asked for; independent of each other.
        first: 1 for the first.
        last: not less than `first`.

    Returns:
        One probability per score. It is the score times the probability that `first` - 1 to `last` - 1 of those before
        it are real.

    Source:
        The Poisson binomial distribution by its recursion, exact: Barlow and Heidtmann, "Computing k-out-of-n system
        reliability", IEEE Transactions on Reliability 33 (1984).
    """
    before = [1.0] + [0.0] * (last - 1)  # how probable it is that so many of those before are real; never all of them
    found = []
    for score in scores:
        found.append(score * sum(before[first - 1 :]))
        before = [p * (1 - score) + (before[k - 1] * score if k else 0.0) for k, p in enumerate(before)]
    return found


def at_least(scores: Sequence[float], number: int) -> float:
    """Probability that so many are real, 0..1: that one of them is the last of that number."""
    return sum(chances(scores, number, number))


def choose(sightings: Sequence[Sighting], understood: Understood, *, elsewhere: int = 0) -> Choice:
    """Choose what a question means of the sightings that its other words fit.

    Args:
        sightings: at least one; with how well words for looks fit them, where the question names any.
        understood: relation, rank, count and attributes of the question. Without relation and attributes all are meant.
        elsewhere: how many of the same finding were seen in other places: "the larger one on the left" may be larger
            than one on the right.

    Returns:
        What to show, and whether that settles the question.
    """
    looks = [_likeness(sighting, understood.attributes) for sighting in sightings]
    told = [_is_told(sighting, understood.attributes) for sighting in sightings]
    best = max((look for look, is_told in zip(looks, told, strict=True) if is_told), default=0.0)
    fitting = tuple(
        index for index, look in enumerate(looks) if look * TIE_RATIO > best or not told[index]
    )  # of what nothing tells, it may be either
    choice = Choice(fitting, fitting)
    if understood.relation is not None:
        choice = _by_order(sightings, looks, understood, understood.relation, elsewhere)
    otherwise, untold = _about_looks([sightings[index] for index in choice.shown], understood.attributes)
    return replace(
        choice,
        fitting=fitting,
        undecided=choice.undecided or bool(otherwise),
        warnings=(*choice.warnings, *otherwise, *untold),
    )


def _by_order(
    sightings: Sequence[Sighting], looks: Sequence[float], understood: Understood, relation: Relation, elsewhere: int
) -> Choice:
    every = tuple(range(len(sightings)))
    words = order_words(relation, understood.rank, understood.count)
    which = f"which {'is' if understood.count is None else 'are'} the {words}"
    if understood.rank > len(every):
        return Choice(every, every, undecided=True, warnings=(f"there is no {words}: only {_seen(len(every))} seen",))
    if understood.among is not None and understood.among > len(every) + elsewhere:
        why = f"{which} cannot be told: the question is about {_NUMBERS.get(understood.among, understood.among)}"
        return Choice(every, every, undecided=True, warnings=(f"{why}, and only {_seen(len(every))} seen",))
    few = understood.count is not None and understood.count > len(every)
    notes = [f"the {words} were asked for, and only {_seen(len(every))} seen"] if few else []
    if len(every) == 1:
        return Choice(every, every, warnings=tuple(notes), chances=(sightings[0].score * looks[0],))
    scale = _scale(sightings, relation)
    if scale is None:
        warnings = (f"{which} cannot be told on these images, so all are shown", *notes)
        return Choice(every, every, undecided=True, warnings=warnings)
    if relation in _BY_MIDLINE:
        notes.append("heart and chest wall are not outlined: the distance is that from the midline of the image")
    scores = [sighting.score * look for sighting, look in zip(sightings, looks, strict=True)]
    shown, chance, rivals = _ranked(scores, scale, understood.rank, understood.count)
    reasons = _why(rivals, shown, scale, which) if rivals else []
    doubtful = not rivals and chance[shown[-1]] < LIKELY
    if doubtful:
        reasons = [
            f"{which} is more of a guess than not: what is shown is so with a probability of {chance[shown[-1]]:.2f}"
        ]
    return Choice(shown, every, bool(rivals) or doubtful, (*reasons, *notes), chance)


def _ranked(
    scores: Sequence[float], scale: _Scale, rank: int, count: int | None
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]]:
    """What to show, the chance of each, and which of those shown rival the ones before them."""
    order = sorted(range(len(scores)), key=lambda index: (-scale.values[index], index))
    first, last, wanted = (rank, rank, 1) if count is None else (1, count, count)

    def chance_of(arranged: Sequence[int]) -> list[float]:
        chance = [0.0] * len(arranged)
        for index, value in zip(arranged, chances([scores[i] for i in arranged], first, last), strict=True):
            chance[index] = value
        return chance

    chance = chance_of(order)
    best = sorted(order, key=lambda index: -chance[index])
    if wanted >= len(scores):
        return tuple(best), tuple(chance), ()
    # The last of those wanted is the one that has rivals: for "the two largest" the second.
    least = chance[best[wanted - 1]]
    rivals = [index for index in best[wanted:] if chance[index] * TIE_RATIO > least]
    holders = [*best[:wanted], *rivals]
    place = {index: at for at, index in enumerate(order)}
    for index in best[len(holders) :]:
        near = next((holder for holder in holders if scale.is_close(holder, index)), None)
        if near is None:
            continue
        # Its measure may as well be the other's: were they in the other order, would it be a rival?
        exchanged = list(order)
        exchanged[place[index]], exchanged[place[near]] = near, index
        other = chance_of(exchanged)
        if other[index] * TIE_RATIO > sorted(other, reverse=True)[wanted - 1]:
            rivals.append(index)
    return (*best[:wanted], *rivals), tuple(chance), tuple(rivals)


def _why(rivals: Sequence[int], shown: Sequence[int], scale: _Scale, which: str) -> list[str]:
    """Why the answer is open: what is alike, and that it depends on the scores for rivals unlike what they rival."""
    every = "both" if len(shown) == 2 else "all"
    alike = {index for rival in rivals for index in shown if index != rival and scale.is_close(index, rival)}
    alike |= {rival for rival in rivals if any(scale.is_close(rival, index) for index in alike)}
    reasons = [f"{_NUMBERS.get(len(alike), len(alike))} {scale.alike}, so {every} are shown"] if alike else []
    winners = [index for index in shown if index not in rivals]
    if not all(any(scale.is_close(rival, winner) for winner in winners) for rival in rivals):
        reasons.append(f"{which} depends on which of them are real, so {every} are shown")
    return reasons


_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def _seen(number: int) -> str:
    return "one was" if number == 1 else f"{_NUMBERS.get(number, number)} were"


def _likeness(sighting: Sighting, attributes: Sequence[str]) -> float:
    """Probability that a sighting looks as asked; groups are independent, words of one group are alternatives."""
    return prod(_likelihood(sighting, group, words) for group, words in _by_group(attributes).items())


def _likelihood(sighting: Sighting, group: str, words: frozenset[str]) -> float:
    fits = _fits(sighting, group, words)
    return max(sum(fits.get(word, 0.0) for word in words), LEAST_LIKELY) if fits else UNTOLD


def _fits(sighting: Sighting, group: str, words: frozenset[str]) -> dict[str, float]:
    """The words of a group with how well they fit; empty where none of those asked for is told."""
    fits = {word: p for word, p in sighting.candidate.likeness.items() if _GROUPS.get(word) == group}
    return fits if words & fits.keys() else {}


def _is_told(sighting: Sighting, attributes: Sequence[str]) -> bool:
    return all(_fits(sighting, group, words) for group, words in _by_group(attributes).items())


def _speaks_against(sighting: Sighting, group: str, words: frozenset[str]) -> bool:
    """Whether another word of the group fits clearly better."""
    best = max((p for word, p in _fits(sighting, group, words).items() if word not in words), default=0.0)
    return best > TIE_RATIO * _likelihood(sighting, group, words)


def _by_group(attributes: Sequence[str]) -> dict[str, frozenset[str]]:
    groups = dict.fromkeys(_GROUPS[word] for word in attributes if word in _GROUPS)
    return {group: frozenset(word for word in attributes if _GROUPS.get(word) == group) for group in groups}


def _about_looks(shown: Sequence[Sighting], attributes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Looks asked for that speak against what is shown, and those of which nothing can be told.

    Only the first leave the answer open: a finding is not less there for an adjective that can't be checked.
    """
    otherwise, untold = [], []
    for group, words in _by_group(attributes).items():
        asked = " or ".join(word for word in attributes if word in words)
        if any(_speaks_against(sighting, group, words) for sighting in shown):
            otherwise.append(f"{'it does not' if len(shown) == 1 else 'not all of them'} look {asked}")
        elif not all(_fits(sighting, group, words) for sighting in shown):
            untold.append(f"whether it is {asked} cannot be told: nothing was learnt of its {group}")
    return otherwise, untold


def _scale(sightings: Sequence[Sighting], relation: Relation) -> _Scale | None:
    """What the sightings are ordered by; None where they have no measure in common."""
    if relation in (Relation.LARGEST, Relation.SMALLEST):
        measured, alike = _areas(sightings), "are of about the same size"
    elif relation in (Relation.UPPERMOST, Relation.LOWERMOST):
        measured, alike = _heights(sightings), "lie at about the same height"
    elif relation in (Relation.LEFTMOST, Relation.RIGHTMOST):
        measured, alike = _lefts(sightings), "lie about equally far to that side"
    else:
        measured, alike = _distances(sightings), "lie about equally far from the midline"
    if measured is None:
        return None
    values, margin = measured
    sign = -1 if relation in _FROM_THE_SMALL_END else 1
    return _Scale(tuple(sign * value for value in values), margin or SAME_AREA, relative=margin is None, alike=alike)


_Measured = tuple[list[float], float | None]
"""A value per sighting, and the least difference in its unit; None where that is a share."""


def _areas(sightings: Sequence[Sighting]) -> _Measured | None:
    """Square millimetres of one kind of spacing; square pixels where all lie on one image without."""
    sizes = [sighting.place.size_mm for sighting in sightings]
    known = [size for size in sizes if size is not None]
    # At the detector things appear magnified, so that millimetres there and in the patient do not compare.
    if len(known) == len(sizes) and len({size.spacing_source for size in known}) == 1:
        return [size.width * size.height for size in known], None
    if not _on_one_image(sightings):
        return None
    boxes = [sighting.candidate.box_xyxy_px for sighting in sightings]
    return [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes], None


def _heights(sightings: Sequence[Sighting]) -> _Measured | None:
    """Millimetres toward the head in one frame of reference, or pixels toward the head on one image."""
    if not _on_one_image(sightings) and not _in_one_frame(sightings):
        return None
    known = [
        height
        for height in (height_of(sighting.view, sighting.candidate.box_xyxy_px) for sighting in sightings)
        if height is not None
    ]
    sides = [s.place.rows * (s.view.plane.spacing_mm[0] if s.view.plane else 1) for s in sightings]
    return (known, SAME_PLACE * max(sides)) if len(known) == len(sightings) else None


def _lefts(sightings: Sequence[Sighting]) -> _Measured | None:
    """Millimetres toward the patient's left in one frame of reference, or pixels toward it on one image."""
    if not _on_one_image(sightings) and not _in_one_frame(sightings):
        return None
    known = [left for left in (_left(sighting.view, *_centre(sighting)) for sighting in sightings) if left is not None]
    sides = [s.place.columns * (s.view.plane.spacing_mm[1] if s.view.plane else 1) for s in sightings]
    return (known, SAME_PLACE * max(sides)) if len(known) == len(sightings) else None


def _left(view: View, x_px: float, y_px: float) -> float | None:
    if view.plane is not None:
        return view.plane.to_lps(x_px, y_px)[0]
    across = toward_left(view.header) if view.header else None
    return None if across is None else across[1] * (x_px, y_px)[across[0]]


def _distances(sightings: Sequence[Sighting]) -> _Measured | None:
    """Distance from the midline of chest images that show both sides: millimetres, or pixels of one image."""
    if not all(s.place.domain in _CHEST and _shows_both_sides(s.view) for s in sightings):
        return None
    sizes = [sighting.place.size_mm for sighting in sightings]
    one_kind = None not in sizes and len({size.spacing_source for size in sizes if size}) == 1
    if not _on_one_image(sightings) and not one_kind:
        return None
    axes = [(toward_left(s.view.header) if s.view.header else None) or (0, 1) for s in sightings]
    units = [
        s.view.header.spacing_mm[1 - axis] if one_kind and s.view.header and s.view.header.spacing_mm else 1.0
        for s, (axis, _) in zip(sightings, axes, strict=True)
    ]
    lengths = [(s.place.columns, s.place.rows)[axis] for s, (axis, _) in zip(sightings, axes, strict=True)]
    values = [
        abs(_centre(s)[axis] - length / 2) * unit
        for s, (axis, _), length, unit in zip(sightings, axes, lengths, units, strict=True)
    ]
    return values, SAME_PLACE * max(length * unit for length, unit in zip(lengths, units, strict=True))


def _shows_both_sides(view: View) -> bool:
    """Whether rows run from one side of the patient to the other; a header that is silent is believed to."""
    header = view.header
    if header is None:
        return True
    if header.image_orientation is None and header.patient_orientation is None:
        return (header.view_position or "").strip() not in _LATERAL_VIEWS
    return toward_left(header) is not None


def _on_one_image(sightings: Sequence[Sighting]) -> bool:
    return len({(sighting.view.key, sighting.view.frame) for sighting in sightings}) == 1


def _in_one_frame(sightings: Sequence[Sighting]) -> bool:
    """Whether all lie in one frame of reference of the patient, so that millimetres compare between images."""
    frames = {s.view.header.frame_of_reference_uid if s.view.header and s.view.plane else None for s in sightings}
    return len(frames) == 1 and None not in frames


def _centre(sighting: Sighting) -> tuple[float, float]:
    x1, y1, x2, y2 = sighting.candidate.box_xyxy_px
    return (x1 + x2) / 2, (y1 + y2) / 2
