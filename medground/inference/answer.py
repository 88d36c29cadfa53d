"""One question about one study: what was seen becomes a verdict, a presence and findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medground.inference.describe import describe
from medground.inference.examine import Examination
from medground.inference.ids import answer_id, finding_id
from medground.inference.reader import Reader
from medground.inference.sighting import Seen, Sighting, is_settled, lies_where_asked, pick, see
from medground.inference.targets import targets, untrained
from medground.inference.understand import Question
from medground.inference.verdict import decide, overall_presence, presence_where_asked
from medground.inference.views import Study
from medground.schema.anatomy import Domain, Side
from medground.schema.result import (
    Answer,
    Examined,
    Finding,
    FindingConcept,
    Settings,
    Understood,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is to be shown, how probable it is, and whether the place or order asked for could be told."""

    shown: tuple[Sighting, ...]
    presence: float
    undecided: bool
    warnings: tuple[str, ...]


def answer_question(
    question: Question,
    study: Study,
    examinations: Sequence[Examination],
    reader: Reader,
    settings: Settings,
    *,
    floor: float,
) -> Answer:
    """Answer a question about a study.

    Args:
        question: what was asked.
        study: what it was asked of.
        examinations: one per group of the study, with the phrases of this question read.
        reader: the model.
        settings: limits of the answer.
        floor: score below which the reader reported no box, 0..1.

    Returns:
        The answer; unsupported where no image of the study is within scope for the question.
    """
    name = answer_id(study.instance_keys, question.text, reader.info, settings)
    supported, reasons = _supported(question, examinations, reader)
    if not supported:
        return _answer(name, question, (), Verdict.UNSUPPORTED, None, (), reasons)
    judged = _judge(question.understood, supported, settings.min_score, floor)
    missing = _missing(question, supported, reader)
    scope = reader.scope
    verdict = decide(
        judged.presence,
        len(judged.shown),
        undecided=judged.undecided,
        found_threshold=scope.found_threshold,
        not_found_threshold=scope.not_found_threshold,
    )
    if verdict == Verdict.NOT_FOUND and missing:
        verdict = Verdict.UNCERTAIN  # part of what was asked could not be looked for
    shown = () if verdict == Verdict.NOT_FOUND else judged.shown[: settings.max_boxes]
    warnings = [*(judged.warnings if shown else ()), *_notices(supported, missing, reader)]
    warnings += [f'"{word[:40]}" was not understood and not used' for word in question.understood.unknown_words[:5]]
    if verdict == Verdict.UNCERTAIN and not shown and judged.presence >= scope.found_threshold:
        warnings.append("it is probably there, but no box reaches the minimum score")
    findings = tuple(_finding(s, rank, name, reader, settings.top_k) for rank, s in enumerate(shown))
    return _answer(name, question, _examined(supported), verdict, judged.presence, findings, warnings)


def _answer(
    name: str,
    question: Question,
    examined: tuple[Examined, ...],
    verdict: Verdict,
    presence: float | None,
    findings: tuple[Finding, ...],
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
        findings=findings,
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


def _judge(understood: Understood, supported: Sequence[Seen], min_score: float, floor: float) -> _Judged:
    settled = [seen for seen in supported if seen.settles(understood)]
    undecided = not settled
    warnings = []
    if undecided:
        warnings.append("the side or zone asked for cannot be told: the image has no header that settles it")
        understood = understood.model_copy(update={"side": None, "zone": None})
    used = settled or list(supported)
    kept = [s for seen in used for s in seen.sightings if lies_where_asked(s, understood) and s.score >= min_score]
    kept.sort(key=lambda s: (-s.score, s.view.key, s.view.frame, s.candidate.box_xyxy_px))
    if kept and not any(is_settled(s, understood) for s in kept):
        undecided = True
        warnings.append("what was seen lies on the midline and cannot be given a side")
    presence = _presence(understood, used, floor)
    if understood.relation and kept:
        picked = pick(kept, understood.relation)
        if picked is None:
            undecided = True
            warnings.append(
                f"which is the {understood.relation.value} cannot be told on these images, so all are shown"
            )
        else:
            kept = [picked]
    return _Judged(tuple(kept), presence, undecided, tuple(warnings))


def _presence(understood: Understood, used: Sequence[Seen], floor: float) -> float:
    """The best of the images; on both sides it is there only as surely as on the less certain side."""
    if understood.side == Side.BILATERAL:
        sides = [understood.model_copy(update={"side": side}) for side in (Side.LEFT, Side.RIGHT)]
        return min(_presence(side, used, floor) for side in sides)
    values = []
    for seen in used:
        inside = [s.score for s in seen.sightings if lies_where_asked(s, understood)]
        outside = [s.score for s in seen.sightings if not lies_where_asked(s, understood)]
        overall = overall_presence(seen.presence, [*inside, *outside])
        values.append(presence_where_asked(overall, inside, outside, floor))
    return max(values)


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
    frames: dict[tuple[str, str | None, str | None], list[int]] = {}
    for seen in supported:
        for look in seen.examination.looks:
            view = look.view
            frames.setdefault((view.source, view.series_instance_uid, view.sop_instance_uid), []).append(view.frame)
    return tuple(
        Examined(source=source, series_instance_uid=series, sop_instance_uid=instance, frames=tuple(sorted(numbers)))
        for (source, series, instance), numbers in frames.items()
    )


def _finding(sighting: Sighting, rank: int, answer: str, reader: Reader, top_k: int) -> Finding:
    concept = reader.vocabulary[sighting.concept]
    view = sighting.view
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
        concept=FindingConcept(key=concept.key, name=concept.name, code=concept.code),
        laterality=sighting.place.side,
        zone=sighting.place.zone,
        description=describe(
            concept,
            sighting.place,
            sighting.score,
            appearance=sighting.candidate.appearance if rank < top_k else (),
            appearance_synthetic=True,  # only a phantom's recipe says how a region looks, see schema.record.Region
        ),
    )


def _sentences(parts: Sequence[str]) -> tuple[str, ...]:
    """Each once, in order, as a sentence."""
    return tuple(dict.fromkeys(f"{part[0].upper()}{part[1:]}." for part in parts if part))
