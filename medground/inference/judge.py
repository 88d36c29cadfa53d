"""What a question asks for of all that was seen: what is shown, how probable it is, and what could not be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from medground.inference.choose import at_least, choose
from medground.inference.duplicates import Survivor, merge
from medground.inference.lengths import size_words
from medground.inference.looks import LOOKS
from medground.inference.reader import Reader
from medground.inference.sighting import Part, Seen, Sighting, is_settled, parts_of, presence_of, size_fits
from medground.inference.understand import Question
from medground.inference.verdict import presence_where_asked
from medground.inference.views import Crops
from medground.model.reading import LookGroup, Portrait
from medground.schema.result import SpacingSource, Understood


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be shown of a question.

    Attributes:
        shown: the lesions, the surest first.
        presence: how probable it is that what was asked for is there, 0..1.
        undecided: the place, order, size or look asked for could not be told.
        warnings: about what is shown.
        notes: told whatever comes of it.
        partly: of what was asked for in several places some is there and some is not.
    """

    shown: tuple[Survivor, ...]
    presence: float
    undecided: bool
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    partly: bool = False


def judge(question: Question, supported: Sequence[Seen], reader: Reader, min_score: float, floor: float) -> Judged:
    """What is shown of a question, and how probable it is that it is there.

    Where the findings are asked for in different places, each is looked for in its own, and an order chooses among
    those of one place, but for "the larger of ..." and "which is larger, ... or ...". All that is found is shown.
    Joined by "and" they are there as surely as the least certain of those with a place, as on both sides; joined by
    "or", as the most certain.

    Args:
        question: what was asked.
        supported: what the examinations within scope saw; at least one.
        reader: the model.
        min_score: score below which nothing is shown, 0..1.
        floor: score below which the reader reported no box, 0..1.
    """
    parts = parts_of(question.understood, supported, reader.vocabulary)
    settled = [seen for seen in supported if all(seen.settles(part.understood) for part in parts)]
    undecided = not settled
    warnings = []
    if undecided:
        warnings.append("the side or zone asked for cannot be told: the image has no header that settles it")
        nowhere = {"side": None, "zone": None}
        parts = [replace(part, understood=part.understood.model_copy(update=nowhere)) for part in parts]
    used = settled or list(supported)
    kept = [s for seen in used for s in seen.sightings if s.score >= min_score and any(part.holds(s) for part in parts)]
    kept.sort(key=lambda s: (-s.score, s.view.key, s.view.frame, s.candidate.box_xyxy_px))
    for part in parts:
        own = [s for s in kept if part.holds(s)]
        if own and not any(is_settled(s, part.understood) for s in own):
            undecided = True
            warnings.append("what was seen lies on the midline and cannot be given a side")
        told, more = _about_size(own, part.understood)
        undecided = undecided or not told
        warnings += more
    # One lesion under two names is one: else the largest would have a rival that is itself.
    lesions = merge(kept, reader.vocabulary)
    if question.orders and lesions:
        undecided = True
        warnings.append(f"the question asks for the {' and the '.join(question.orders)} at once, so all are shown")
    if question.understood.beyond_image and lesions:
        undecided = True
        said = " and ".join(f'"{word[:40]}"' for word in question.understood.beyond_image[:5])
        warnings.append(f"one image cannot tell what {said} says, so all that may be meant is shown")
    whole = Judged(lesions, 0.0, undecided, tuple(warnings))
    order = parts[0].understood
    if len(parts) == 1 or order.relation is None or not (question.either or question.among_all):
        judged = [_judged_part(part, used, lesions, reader, floor) for part in parts]
        return _together(judged, parts, whole, question, reader)
    no_order = {"relation": None, "rank": 1, "count": None}
    unordered = [replace(part, understood=part.understood.model_copy(update=no_order)) for part in parts]
    judged = [_judged_part(part, used, lesions, reader, floor) for part in unordered]
    together = _together(judged, parts, whole, question, reader)
    return _chosen(together, order, reader, floor) if together.shown else together


def _about_size(own: Sequence[Sighting], understood: Understood) -> tuple[bool, list[str]]:
    """Whether anything seen is surely of the size asked for, and what is to be told of it."""
    if understood.size is None or not own:
        return True, []
    limits = size_words(understood.size)
    measured = [one.place.size_mm.spacing_source for one in own if one.place.size_mm is not None]
    if not measured:
        return False, [f"whether it is {limits} cannot be told: the image states no pixel spacing"]
    warnings = []
    if SpacingSource.DETECTOR in measured:
        warnings.append("sizes are those at the detector, where the patient appears magnified")
    told = any(size_fits(one, understood) for one in own)
    if not told:
        warnings.append(f"what was seen is so near the size asked for ({limits}) that its box does not settle it")
    return told, warnings


def _judged_part(part: Part, used: Sequence[Seen], lesions: Sequence[Survivor], reader: Reader, floor: float) -> Judged:
    """What is shown of one part."""
    understood = part.understood
    presence = presence_of(part, used, floor)
    if understood.rank > 1:  # it is there only where so many are
        inside = [s for seen in used for s in seen.sightings if part.holds(s)]
        real = at_least([lesion.sighting.score for lesion in merge(inside, reader.vocabulary)], understood.rank)
        presence = min(presence, max(real, floor))
    own = tuple(one for one in lesions if part.holds(one.sighting, [key for key, _ in one.also]))
    judged = Judged(own, presence, undecided=False, warnings=())
    if not own:
        return judged
    least = min(one.sighting.score for one in own)
    others = [s for seen in used for s in seen.sightings if part.names(s.concept) and not part.holds(s)]
    elsewhere = len(merge([s for s in others if s.score >= least], reader.vocabulary))
    return _chosen(judged, understood, reader, floor, elsewhere)


def _together(
    judged: Sequence[Judged], parts: Sequence[Part], whole: Judged, question: Question, reader: Reader
) -> Judged:
    """The parts as one; `whole` has the lesions of all and what is to be told of all."""
    shown = (
        judged[0].shown
        if len(judged) == 1
        else tuple(one for one in whole.shown if any(one in j.shown for j in judged))
    )
    placed = [(part, one.presence) for part, one in zip(parts, judged, strict=True) if part.is_placed]
    counted = [presence for _, presence in placed] or [one.presence for one in judged]
    absent = [part for part, presence in placed if presence <= reader.scope.not_found_threshold]
    partly = bool(shown) and not question.either and 0 < len(absent) < len(placed)
    notes = [note for one in judged for note in one.notes]
    if partly:
        notes += [
            f"no {reader.vocabulary[part.place.concept].name} was seen {part.where}" for part in absent if part.place
        ]
    return Judged(
        shown,
        max(counted) if question.either else min(counted),
        whole.undecided or any(one.undecided for one in judged),
        (*whole.warnings, *(warning for one in judged for warning in one.warnings)),
        tuple(notes),
        partly,
    )


def _chosen(judged: Judged, understood: Understood, reader: Reader, floor: float, elsewhere: int = 0) -> Judged:
    """What of several is asked for: the largest, the second, the round one; all, where the question names nothing.

    Args:
        judged: what the other words of the question fit.
        understood: the question.
        reader: the model.
        floor: score below which it reported no box, 0..1.
        elsewhere: how many of the same finding were seen in other places, which an order may compare with.
    """
    sightings = [lesion.sighting for lesion in judged.shown]
    if understood.attributes:
        sightings = _likened(sightings, understood.attributes, reader)
    choice = choose(sightings, understood, elsewhere=elsewhere)
    fitting = [sightings[index].score for index in choice.fitting]
    others = [sighting.score for index, sighting in enumerate(sightings) if index not in choice.fitting]
    return replace(
        judged,
        shown=tuple(judged.shown[index] for index in choice.shown),
        presence=presence_where_asked(judged.presence, fitting, others, floor),
        undecided=judged.undecided or choice.undecided,
        warnings=(*judged.warnings, *choice.warnings),
        notes=(*judged.notes, *(choice.warnings if understood.rank > len(sightings) else ())),
    )


def _likened(sightings: Sequence[Sighting], attributes: Sequence[str], reader: Reader) -> list[Sighting]:
    """The sightings with how well the words for looks of each group asked for fit them."""
    crops = Crops([(sighting.view, sighting.place.box) for sighting in sightings])
    portraits = [
        Portrait(one.candidate.region, one.concept, one.place.domain, partial(crops.of, row))
        for row, one in enumerate(sightings)
    ]
    groups = [LookGroup(words, asked=any(w in words for w in attributes)) for words in LOOKS.values()]
    return [
        replace(sighting, candidate=replace(sighting.candidate, likeness=fits))
        for sighting, fits in zip(sightings, reader.liken(portraits, groups), strict=True)
    ]
