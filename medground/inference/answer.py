"""One question about one study: what was seen becomes a verdict, a presence and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from medground.inference.describe import describe
from medground.inference.duplicates import Survivor
from medground.inference.examine import Examination, Look
from medground.inference.ids import answer_id, finding_id
from medground.inference.judge import judge
from medground.inference.reader import Reader
from medground.inference.sighting import Seen, Sighting, see
from medground.inference.targets import targets, untrained
from medground.inference.understand import Question
from medground.inference.verdict import decide
from medground.inference.views import Study
from medground.schema.anatomy import Domain
from medground.schema.result import (
    Answer,
    Examined,
    Finding,
    FindingConcept,
    Settings,
    SimilarCase,
    Verdict,
)
from medground.schema.vocabulary import Concept


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
    judged = judge(question, supported, reader, settings.min_score, floor)
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
