"""The wrong answers that a card shows: on phantoms alone, for pictures of patients never leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medground.cards.contents import Failure
from medground.evaluation.scene import Scene
from medground.evaluation.worst_cases import WorstCase, worst_cases

MOST_OF_A_KIND = 6


def chosen_cases(scene: Scene) -> list[WorstCase]:
    """The largest miss of each of the rarest findings, then the surest false boxes, each of another finding.

    Args:
        scene: of phantoms; of any other nothing is chosen.
    """
    if not scene.is_synthetic:
        return []
    boxes = {concept: scene.detections(concept) for concept in scene.rarest_first()}
    cases = worst_cases(scene.truth(), boxes, tiles=2 * len(boxes))
    firsts = {(case.kind, case.concept): case for case in reversed(cases)}
    missed = [firsts["missed", concept] for concept in boxes if ("missed", concept) in firsts]
    false = [firsts["false", concept] for concept in boxes if ("false", concept) in firsts]
    false.sort(key=lambda case: -(case.score or 0.0))
    return missed[:MOST_OF_A_KIND] + false[:MOST_OF_A_KIND]


def picture_name(number: int, case: WorstCase) -> str:
    """The file name of the picture of a case."""
    return f"{number:02d}-{case.kind}-{case.concept}.png"


def failures_of(scenes: Mapping[str, Scene], names: Mapping[str, str], drawn: Sequence[str]) -> tuple[Failure, ...]:
    """The failures of a card.

    Args:
        scenes: part to scene.
        names: concept to its name.
        drawn: file names of the pictures that there are.
    """
    cases = [case for part in sorted(scenes) for case in chosen_cases(scenes[part])]
    return tuple(_failure(number, case, names, drawn) for number, case in enumerate(cases, start=1))


def _failure(number: int, case: WorstCase, names: Mapping[str, str], drawn: Sequence[str]) -> Failure:
    picture, name = picture_name(number, case), names.get(case.concept, case.concept)
    if case.kind == "false":
        words = f"A box for {name} where there is none."
    elif case.predicted is None:
        words = f"No box touches this {name}."
    else:
        words = f"The nearest box does not fit this {name}."
    return Failure(
        picture=picture if picture in drawn else None,
        kind=case.kind,
        concept=case.concept,
        name=name,
        image_id=case.image_id,
        score=case.score,
        overlap=case.iou,
        words=words,
    )
