"""Grounding: studies and questions in, a GroundingResult out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import medground
from medground.inference.answer import answer_questions
from medground.inference.examine import Examination, Limits, examine
from medground.inference.gather import Gathered
from medground.inference.ids import result_id
from medground.inference.reader import Reader
from medground.inference.request import Looking, Request
from medground.inference.rules import load_rules, recommend
from medground.inference.understand import Question, understand
from medground.inference.views import Study
from medground.schema.errors import DecodeError
from medground.schema.result import Answer, GroundingResult, Refusal, Report, Settings, StudyResult


@dataclass(frozen=True, slots=True)
class Grounded:
    """A result and the studies it speaks of, in the same order: what pictures and reports are drawn from."""

    result: GroundingResult
    studies: tuple[Study, ...]


def no_progress(done: int, total: int) -> None:
    """Tell nobody how many of how many images have been looked at."""
    del done, total


def ground(
    gathered: Gathered,
    request: Request,
    reader: Reader,
    *,
    progress: Callable[[int, int], None] = no_progress,
) -> Grounded:
    """Ask every question of every study.

    Each image is decoded and read once, whatever the number of questions. An image that cannot be decoded is refused,
    and the rest of its study is answered without it.

    Args:
        gathered: studies from files, with what was refused and skipped on the way.
        request: the questions and limits.
        reader: the model.
        progress: told how many of how many images have been looked at.

    Returns:
        The result and its studies; a study of which nothing could be decoded is only among the refusals.

    Raises:
        QueryError: a question is empty, too long or has no words.
        DecodeError: no image of any study could be decoded.
    """
    timing: dict[str, float] = {}
    with _timed(timing, "understand"):
        questions = [understand(query, reader.vocabulary) for query in request.queries]
    settings = _settings(request, reader)
    floor = min(settings.min_score, reader.scope.not_found_threshold)
    limits = Limits(settings.max_boxes, floor, Looking(settings.mode))
    with _timed(timing, "look"):
        looked = _look(gathered.studies, questions, reader, limits, progress)
    refused = [*gathered.refused, *(refusal for _, seen in looked for part in seen for refusal in part.refused)]
    answerable = [(study, seen) for study, seen in looked if any(part.decoded for part in seen)]
    if not answerable:
        raise DecodeError(_nothing_decoded(refused))
    with _timed(timing, "answer"):
        studies = [
            _study_result(study, seen, answer_questions(questions, study, seen, reader, settings, floor=floor))
            for study, seen in answerable
        ]
    keys = [study.instance_keys for study, _ in answerable]
    result = GroundingResult(
        result_id=result_id(keys, [question.text for question in questions], reader.info, settings),
        model=reader.info,
        settings=settings,
        studies=tuple(studies),
        refused=tuple(refused),
        skipped=gathered.skipped,
        timing_ms=timing,
    )
    return Grounded(result, tuple(study for study, _ in answerable))


def _settings(request: Request, reader: Reader) -> Settings:
    able = Looking.CLOSER if reader.scope.reads_crops else Looking.ONCE
    return Settings(
        min_score=reader.scope.default_min_score if request.min_score is None else request.min_score,
        max_boxes=request.max_boxes,
        top_k=request.top_k,
        image_size_px=reader.image_size_px,
        mode=request.looking or able,
        code_version=medground.__version__,
    )


def _look(
    studies: Sequence[Study],
    questions: Sequence[Question],
    reader: Reader,
    limits: Limits,
    progress: Callable[[int, int], None],
) -> list[tuple[Study, list[Examination]]]:
    total = sum(len(study.views) for study in studies)
    done = 0

    def looked_at() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    progress(0, total)
    return [
        (study, [examine(group, questions, reader, limits, looked_at) for group in study.groups]) for study in studies
    ]


def _study_result(study: Study, examinations: Sequence[Examination], answers: Sequence[Answer]) -> StudyResult:
    findings = [finding for answer in answers for finding in answer.findings]
    lost = sum(len(part.refused) for part in examinations)
    warnings = (f"{lost} image(s) of this study could not be decoded and were not looked at.",) if lost else ()
    return StudyResult(
        study_instance_uid=study.study_instance_uid,
        sources=study.sources,
        answers=tuple(answers),
        report=Report(
            number_of_findings=len(findings),
            nothing_above_threshold=not findings,
            recommendations=tuple(recommend(finding, load_rules()) for finding in findings),
        ),
        warnings=(*study.warnings, *warnings),
    )


def _nothing_decoded(refused: Sequence[Refusal]) -> str:
    first = refused[0]
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return f"no image could be decoded: {first.source}: {first.error}{more}"


@contextmanager
def _timed(timing: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timing[step] = round((time.perf_counter() - start) * 1000, 1)
