"""Which boxes lie on which image, and what is written at them. Pure functions of a result and its review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medground.client.parts import ReviewedFinding
from medground.schema.result import BoxPx, GroundingResult
from medground.viewer.colours import ADDED, colour_of
from medground.viewer.stage_data import StageBox


@dataclass(frozen=True, slots=True)
class Axes:
    """Long and short axis of a finding in the image plane, millimetres, and what they were taken from."""

    long_mm: float
    short_mm: float
    taken_from: str


def axes_mm(box_xyxy_px: BoxPx, spacing_mm: tuple[float, float] | None) -> Axes | None:
    """Axes from the sides of a box; the results of this schema hold no contours.

    Args:
        box_xyxy_px: xyxy pixels of the stored image.
        spacing_mm: between rows, between columns.

    Returns:
        None where no spacing is known.
    """
    if spacing_mm is None:
        return None
    between_rows, between_columns = spacing_mm
    sides = sorted(
        ((box_xyxy_px[2] - box_xyxy_px[0]) * between_columns, (box_xyxy_px[3] - box_xyxy_px[1]) * between_rows)
    )
    return Axes(sides[1], sides[0], "sides of the box")


def box_of(reviewed: ReviewedFinding) -> BoxPx | None:
    """The box that stands: the reviewer's, if there is one, else the model's."""
    theirs = (reviewed.entry or {}).get("box_xyxy_px")
    if theirs is not None:
        x1, y1, x2, y2 = map(float, theirs)
        return x1, y1, x2, y2
    return reviewed.finding.box_xyxy_px if reviewed.finding else None


def place_of(reviewed: ReviewedFinding) -> tuple[str, int] | None:
    """SOP instance UID and frame of the box that stands; None for a plain image file."""
    if reviewed.finding is not None:
        sop = reviewed.finding.sop_instance_uid
        return (sop, reviewed.finding.frame) if sop else None
    entry = reviewed.entry or {}
    sop = entry.get("sop_instance_uid")
    return (str(sop), int(entry.get("frame") or 1)) if sop else None


def name_of(reviewed: ReviewedFinding, names: Mapping[str, str]) -> str:
    """What the finding is called: as the reviewer says, else as the model does.

    Args:
        reviewed: the finding.
        names: of concepts by key.
    """
    theirs = (reviewed.entry or {}).get("concept")
    if theirs:
        return names.get(str(theirs), str(theirs).replace("_", " "))
    return reviewed.finding.concept.name if reviewed.finding else "finding"


def question_of(result: GroundingResult) -> dict[str, int]:
    """To which question, counted from 0, each finding belongs, by its id."""
    answers = [answer for study in result.studies for answer in study.answers]
    return {finding.id: number for number, answer in enumerate(answers) for finding in answer.findings}


def stage_boxes(
    result: GroundingResult,
    findings: Sequence[ReviewedFinding],
    names: Mapping[str, str],
    *,
    min_score: float = 0.0,
) -> tuple[StageBox, ...]:
    """All boxes of a result after its review.

    Args:
        result: the answers.
        findings: what stands after the review.
        names: of concepts by key.
        min_score: boxes below it are left out as long as nobody has reviewed them.
    """
    questions = question_of(result)
    several = sum(len(study.answers) for study in result.studies) > 1
    boxes: list[StageBox] = []
    for reviewed in findings:
        score = reviewed.finding.score if reviewed.finding else None
        if reviewed.status == "unreviewed" and score is not None and score < min_score:
            continue
        question = questions.get(reviewed.finding_id)
        name = name_of(reviewed, names)
        numbered = f"{question + 1}: {name}" if several and question is not None else name
        label = numbered if score is None else f"{numbered} {score:.2f}"
        colour = ADDED if question is None else colour_of(question)
        boxes += _of_finding(reviewed, label, colour, score)
    return tuple(boxes)


def _of_finding(reviewed: ReviewedFinding, label: str, colour: str, score: float | None) -> list[StageBox]:
    main, box = place_of(reviewed), box_of(reviewed)
    if main is None or box is None:
        return []
    places: dict[tuple[str, int], BoxPx] = {}
    if reviewed.finding is not None and reviewed.finding.extent is not None:
        places = {(one.sop_instance_uid, one.frame): one.box_xyxy_px for one in reviewed.finding.extent.slices}
    places[main] = box
    return [
        StageBox(
            id=reviewed.finding_id,
            sop=sop,
            frame=frame,
            box_xyxy_px=at,
            colour=colour,
            label=label,
            status=reviewed.status,
            score=score,
            is_main=(sop, frame) == main,
        )
        for (sop, frame), at in places.items()
    ]
