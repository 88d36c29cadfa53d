"""Does our own reader give the result back that a report was written from?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom

from medground.dicom.sr import read_sr
from medground.schema.errors import MedgroundError
from medground.schema.result import Answer, Finding, GroundingResult, StudyResult
from pipelines.judges.complaint import Complaint
from pipelines.judges.random_results import Case

NAME = "read_sr"
TOLERANCE_PX = 0.01


def judge(file: Path, case: Case) -> list[Complaint]:
    """Read a report and compare it with the result it was written from.

    Args:
        file: the report.
        case: the truth.

    Returns:
        A complaint for each question, verdict, presence, score, statement or other field that changed, and for each
        box that moved by more than `TOLERANCE_PX`.
    """
    try:
        result = read_sr(pydicom.dcmread(file))
    except MedgroundError as error:
        return [Complaint(NAME, file, f"not read: {error}")]
    return [Complaint(NAME, file, text) for text in differences(case, result)]


def differences(case: Case, result: GroundingResult) -> list[str]:
    """What of a result is not as it was written, one sentence each; boxes may have moved by `TOLERANCE_PX`.

    Args:
        case: the truth.
        result: what the reader made of the report.
    """
    if len(result.studies) != 1:
        return [f"{len(result.studies)} studies came back for one"]
    (study,) = result.studies
    texts = [f"{name} changed" for name in ("model", "settings") if getattr(result, name) != getattr(case, name)]
    return texts + list(_of_study(case.study, study))


def _of_study(was: StudyResult, is_: StudyResult) -> Iterator[str]:
    if len(was.answers) != len(is_.answers):
        yield f"{len(is_.answers)} answers came back for {len(was.answers)}"
        return
    for number, (before, after) in enumerate(zip(was.answers, is_.answers, strict=True), start=1):
        for field in Answer.model_fields:
            if field != "findings" and getattr(before, field) != getattr(after, field):
                yield f"{field} of answer {number} changed: {getattr(before, field)!r} to {getattr(after, field)!r}"
        if len(before.findings) != len(after.findings):
            yield f"{len(after.findings)} findings came back for {len(before.findings)} of answer {number}"
            continue
        for rank, (one, other) in enumerate(zip(before.findings, after.findings, strict=True), start=1):
            yield from (f"{text} of finding {rank} of answer {number}" for text in _of_finding(one, other))
    for field in StudyResult.model_fields:
        if field != "answers" and getattr(was, field) != getattr(is_, field):
            yield f"{field} of the study changed"


def _of_finding(was: Finding, is_: Finding) -> Iterator[str]:
    """Differences of two findings; the boxes are compared as numbers and then taken for equal."""
    moved = max(_moves(was, is_))
    if moved > TOLERANCE_PX:
        yield f"a box moved by {moved} px"
    exact = is_.model_copy(update={"box_xyxy_px": was.box_xyxy_px})
    if was.extent and is_.extent and len(was.extent.slices) == len(is_.extent.slices):
        slices = tuple(
            after.model_copy(update={"box_xyxy_px": before.box_xyxy_px})
            for before, after in zip(was.extent.slices, is_.extent.slices, strict=True)
        )
        exact = exact.model_copy(update={"extent": is_.extent.model_copy(update={"slices": slices})})
    for field in Finding.model_fields:
        if getattr(was, field) != getattr(exact, field):
            yield f"{field} changed from {getattr(was, field)!r} to {getattr(exact, field)!r}"


def _moves(was: Finding, is_: Finding) -> Iterator[float]:
    pairs = [(was.box_xyxy_px, is_.box_xyxy_px)]
    if was.extent and is_.extent:
        pairs += [
            (before.box_xyxy_px, after.box_xyxy_px)
            for before, after in zip(was.extent.slices, is_.extent.slices, strict=False)
        ]
    yield from (abs(a - b) for before, after in pairs for a, b in zip(before, after, strict=True))
