"""One question about one study: what was seen becomes a verdict, a presence and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from medground.inference.choose import at_least, choose
from medground.inference.describe import describe
from medground.inference.duplicates import Survivor, merge
from medground.inference.examine import Examination, Look
from medground.inference.ids import answer_id, finding_id
from medground.inference.lengths import size_words
from medground.inference.looks import LOOKS
from medground.inference.reader import Reader
from medground.inference.sighting import Part, Seen, Sighting, is_settled, parts_of, presence_of, see, size_fits
from medground.inference.targets import targets, untrained
from medground.inference.understand import Question
from medground.inference.verdict import decide, presence_where_asked
from medground.inference.views import Crops, Study
from medground.model.reading import LookGroup, Portrait
from medground.schema.anatomy import Domain
from medground.schema.result import (
    Answer,
    Examined,
    Finding,
    FindingConcept,
    Settings,
    SimilarCase,
    SpacingSource,
    Understood,
    Verdict,
)
from medground.schema.vocabulary import Concept


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is to be shown, how probable it is, and whether the place, order or look asked for could be told.

    Warnings are about what is shown, notes are told whatever comes of it. `partly`: of what was asked for in several
    places some is there and some is not.
    """

    shown: tuple[Survivor, ...]
    presence: float
    undecided: bool
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    partly: bool = False


@dataclass(frozen=True, slots=True)
class _Draft:
    """An answer without its findings, and the lesions these are to be made of."""

    answer: Answer
    shown: tuple[Survivor, ...] = ()


def answer_questions(
    questions: Sequence[Question],
    study: Study,
    examinations: Sequence[Examination],
    reader: Reader,
    settings: Settings,
    *,
    floor: float,
) -> tuple[Answer, ...]:
    """Answer the questions about a study; what its lesions look like is decoded once, for all answers together.

    Args:
        questions: what was asked.
        study: what it was asked of.
        examinations: one per group of the study, with the phrases of these questions read.
        reader: the model.
        settings: limits of each answer.
        floor: score below which the reader reported no box, 0..1.

    Returns:
        One answer per question; unsupported where no image of the study is within scope for it.
    """
    drafts = [_draft(question, study, examinations, reader, settings, floor) for question in questions]
    looks = _looks([lesion.sighting for draft in drafts for lesion in draft.shown[: settings.top_k]], reader)
    answers = []
    for draft in drafts:
        findings = tuple(
            _finding(lesion, rank, draft.answer.id, reader, looks if rank < settings.top_k else None)
            for rank, lesion in enumerate(draft.shown)
        )
        answers.append(draft.answer.model_copy(update={"findings": findings}))
    return tuple(answers)


def _draft(
    question: Question,
    study: Study,
    examinations: Sequence[Examination],
    reader: Reader,
    settings: Settings,
    floor: float,
) -> _Draft:
    """Everything of one answer but its findings; unsupported where no image is within scope for the question."""
    name = answer_id(study.instance_keys, question.text, reader.info, settings)
    supported, reasons = _supported(question, examinations, reader)
    if not supported:
        return _Draft(_answer(name, question, (), Verdict.UNSUPPORTED, None, reasons))
    judged = _judge(question, supported, reader, settings.min_score, floor)
    missing = _missing(question, supported, reader)
    scope = reader.scope
    verdict = decide(
        judged.presence,
        len(judged.shown),
        undecided=judged.undecided,
        found_threshold=scope.found_threshold,
        not_found_threshold=scope.not_found_threshold,
    )
    if verdict == Verdict.NOT_FOUND and (missing or judged.partly):
        verdict = Verdict.UNCERTAIN  # part of what was asked could not be looked for, or is there
    shown = () if verdict == Verdict.NOT_FOUND else judged.shown[: settings.max_boxes]
    warnings = [*(judged.warnings if shown else ()), *judged.notes, *_notices(supported, missing, reader)]
    if shown and question.understood.unchecked:
        said = " and ".join(f'"{word[:40]}"' for word in question.understood.unchecked[:5])
        warnings.append(f"what is shown was not checked for {said}: the model cannot tell that")
    warnings += [f'"{word[:40]}" was not understood and not used' for word in question.understood.unknown_words[:5]]
    if verdict == Verdict.UNCERTAIN and not shown and judged.presence >= scope.found_threshold:
        warnings.append("it is probably there, but no box reaches the minimum score")
    return _Draft(_answer(name, question, _examined(supported), verdict, judged.presence, warnings), shown)


def _looks(sightings: Sequence[Sighting], reader: Reader) -> dict[int, tuple[str, ...]]:
    """Appearance words by the identity of the region, decoded once however many answers show it."""
    regions = {
        id(sighting.candidate.region): (sighting.candidate.region, sighting.concept, sighting.place.domain)
        for sighting in sightings
        if sighting.candidate.region is not None
    }
    return dict(zip(regions, reader.describe(list(regions.values())), strict=True))


def _answer(
    name: str,
    question: Question,
    examined: tuple[Examined, ...],
    verdict: Verdict,
    presence: float | None,
    warnings: Sequence[str],
) -> Answer:
    return Answer(
        id=name,
        query=question.text,
        language=question.language,
        understood=question.understood,
        examined=examined,
        verdict=verdict,
        presence=presence,
        findings=(),
        warnings=_sentences(warnings),
    )


def _missing(question: Question, supported: Sequence[Seen], reader: Reader) -> list[str]:
    """Names of what was asked for and could be looked for on none of the images."""
    per_kind = [set(untrained(question, seen.examination.looks[0].reading.domain, reader)) for seen in supported]
    return sorted(set.intersection(*per_kind))


def _supported(question: Question, examinations: Sequence[Examination], reader: Reader) -> tuple[list[Seen], list[str]]:
    """What the examinations within scope saw, and why the others say nothing."""
    seen: list[Seen] = []
    reasons: list[str] = []
    for examination in examinations:
        if examination.domain is None:
            reasons.append(examination.reason)
            continue
        phrases = targets(question, examination.domain, reader)
        if phrases:
            seen.append(see(examination, phrases))
        else:
            reasons.append(_no_target(question, examination, reader))
    return seen, reasons


def _no_target(question: Question, examination: Examination, reader: Reader) -> str:
    kind = examination.domain.value if examination.domain else "image"
    names = " and ".join(reader.vocabulary[key].name for key in question.understood.concepts)
    if not names and not question.everything:
        unknown = ", ".join(f'"{word[:40]}"' for word in question.understood.unknown_words[:3])
        return f"the question names no finding that this model knows{': ' if unknown else ''}{unknown}"
    if question.domains and examination.domain not in question.domains:
        return f"the question is about a part of the body that a {kind} does not show"
    return f"this model was not trained to find {names or 'anything'} on a {kind}"


def _judge(question: Question, supported: Sequence[Seen], reader: Reader, min_score: float, floor: float) -> _Judged:
    """What is shown of a question, and how probable it is that it is there.

    Where the findings are asked for in different places, each is looked for in its own, and an order chooses among
    those of one place, but for "the larger of ..." and "which is larger, ... or ...". All that is found is shown.
    Joined by "and" they are there as surely as the least certain of those with a place, as on both sides; joined by
    "or", as the most certain.
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
    whole = _Judged(lesions, 0.0, undecided, tuple(warnings))
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


def _judged_part(
    part: Part, used: Sequence[Seen], lesions: Sequence[Survivor], reader: Reader, floor: float
) -> _Judged:
    """What is shown of one part."""
    understood = part.understood
    presence = presence_of(part, used, floor)
    if understood.rank > 1:  # it is there only where so many are
        inside = [s for seen in used for s in seen.sightings if part.holds(s)]
        real = at_least([lesion.sighting.score for lesion in merge(inside, reader.vocabulary)], understood.rank)
        presence = min(presence, max(real, floor))
    own = tuple(one for one in lesions if part.holds(one.sighting, [key for key, _ in one.also]))
    judged = _Judged(own, presence, undecided=False, warnings=())
    if not own:
        return judged
    least = min(one.sighting.score for one in own)
    others = [s for seen in used for s in seen.sightings if part.names(s.concept) and not part.holds(s)]
    elsewhere = len(merge([s for s in others if s.score >= least], reader.vocabulary))
    return _chosen(judged, understood, reader, floor, elsewhere)


def _together(
    judged: Sequence[_Judged], parts: Sequence[Part], whole: _Judged, question: Question, reader: Reader
) -> _Judged:
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
    return _Judged(
        shown,
        max(counted) if question.either else min(counted),
        whole.undecided or any(one.undecided for one in judged),
        (*whole.warnings, *(warning for one in judged for warning in one.warnings)),
        tuple(notes),
        partly,
    )


def _chosen(judged: _Judged, understood: Understood, reader: Reader, floor: float, elsewhere: int = 0) -> _Judged:
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


def _notices(supported: Sequence[Seen], missing: Sequence[str], reader: Reader) -> list[str]:
    """Warnings about what stands behind the answer: synthetic training, findings that were not looked for."""
    notices = [f"{name} was not looked for: this model was not trained for it" for name in missing]
    synthetic: dict[Domain, dict[str, None]] = {}
    for seen in supported:
        domain = seen.examination.looks[0].reading.domain
        for phrase in seen.phrases:
            entry = reader.scope.find(phrase.concept, domain)
            if entry and entry.synthetic_only:
                synthetic.setdefault(domain, {})[reader.vocabulary[entry.concept].name] = None
    for domain, names in synthetic.items():
        notices.append(f"for {', '.join(names)} on a {domain.value} the model has learnt from synthetic images only")
    return notices


def _examined(supported: Sequence[Seen]) -> tuple[Examined, ...]:
    looks: dict[tuple[str, str | None, str | None], list[Look]] = {}
    for seen in supported:
        for look in seen.examination.looks:
            view = look.view
            looks.setdefault((view.source, view.series_instance_uid, view.sop_instance_uid), []).append(look)
    return tuple(
        Examined(
            source=source,
            series_instance_uid=series,
            sop_instance_uid=instance,
            frames=tuple(sorted(look.view.frame for look in own)),
            looked_closely=round(fmean(look.share for look in own), 4),
        )
        for (source, series, instance), own in looks.items()
    )


def _finding(
    lesion: Survivor, rank: int, answer: str, reader: Reader, looks: Mapping[int, tuple[str, ...]] | None
) -> Finding:
    """A finding; of one that is not to be described, without looks, nothing is told but box, place and score."""
    sighting, view = lesion.sighting, lesion.sighting.view
    concept = reader.vocabulary[sighting.concept]
    also = [reader.vocabulary[key] for key, _ in lesion.also]
    similar = () if looks is None else sighting.candidate.similar
    return Finding(
        id=finding_id(answer, view.key, view.frame, sighting.concept, rank),
        source=view.source,
        series_instance_uid=view.series_instance_uid,
        sop_instance_uid=view.sop_instance_uid,
        frame=view.frame,
        box_xyxy_px=sighting.candidate.box_xyxy_px,
        extent=sighting.extent,
        size_mm=sighting.place.size_mm,
        score=sighting.score,
        concept=_named(concept),
        also=tuple(_named(other) for other in also),
        laterality=sighting.place.side,
        zone=sighting.place.zone,
        description=describe(
            concept,
            sighting.place,
            sighting.score,
            also=also,
            appearance=(looks or {}).get(id(sighting.candidate.region), ()),
            appearance_synthetic=True,  # only a phantom's recipe says how a region looks, see schema.record.Region
        ),
        similar=tuple(SimilarCase(case=one.case, similarity=one.similarity) for one in similar),
    )


def _named(concept: Concept) -> FindingConcept:
    return FindingConcept(key=concept.key, name=concept.name, code=concept.code)


def _sentences(parts: Sequence[str]) -> tuple[str, ...]:
    """Each once, in order, as a sentence."""
    return tuple(dict.fromkeys(f"{part[0].upper()}{part[1:]}." for part in parts if part))
