"""The figures of a card in one list, from which every machine form takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from medground.cards.contents import CardFacts, Method
from medground.cards.results import ConceptResult, Evaluation, Share, Subgroup
from medground.cards.rounding import shown
from medground.evaluation.bootstrap import Interval

ALL = "all findings"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval and what is behind it.

    Attributes:
        kind: of figure, for programs: `average_precision_50`.
        label: the same in words.
        about: finding, size or group.
        value, low, high: unrounded.
        images: that say something about it; None for a share of questions.
        counted: boxes or questions.
        unit: what was counted.
    """

    kind: str
    label: str
    about: str
    value: float
    low: float
    high: float
    images: int | None
    counted: int
    unit: str

    def words(self, method: Method) -> str:
        """Figure and subject with interval and n, without the value.

        Args:
            method: says the level of the interval.
        """
        images = "" if self.images is None else f"{shown(self.images)} images, "
        return (
            f"{self.label}, {self.about} ({shown(method.level, 'percent')}% interval {shown(self.low)} to "
            f"{shown(self.high)}; n = {images}{shown(self.counted)} {self.unit})"
        )


def part_of(one: Evaluation) -> str:
    """The measured data in words, that nobody takes phantoms for patients."""
    return f"{one.data} (synthetic)" if one.synthetic else one.data


def figures_of(facts: CardFacts, one: Evaluation) -> tuple[Figure, ...]:
    """How well it does: means first, then findings rarest first, then sizes.

    Args:
        facts: of the card.
        one: of its evaluations.
    """
    return tuple(_found(facts.method, one))


def group_figures_of(facts: CardFacts, one: Evaluation) -> tuple[Figure, ...]:
    """How well it does by group.

    Args:
        facts: of the card.
        one: of its evaluations.
    """
    at = shown(facts.method.overlap, "setting")
    return tuple(figure for group in one.subgroups for figure in _group(group, at))


def error_figures_of(one: Evaluation) -> tuple[Figure, ...]:
    """How often and how far it is wrong: false alarms, probabilities, false boxes.

    Args:
        one: evaluation.
    """
    questions = (
        ("absent_question_error", 'absent findings answered "found"', one.absent_error),
        ("expected_calibration_error", "expected calibration error of presence", one.ece),
    )
    figures = [_share(kind, label, ALL, share) for kind, label, share in questions if share]
    label = "false boxes on an image without"
    boxes = [(row.name, row.false_on_normal) for row in one.concepts]
    return (*figures, *(_interval("false_boxes_on_normal", label, name, at) for name, at in boxes if at))


def _found(method: Method, one: Evaluation) -> Iterator[Figure]:
    at = f"AP at {shown(method.overlap, 'setting')}"
    for kind, label, about, figure in (
        ("mean_average_precision_50", f"mean {at}", ALL, one.mean_ap50),
        ("mean_average_precision_50_rare", f"mean {at}", "rare findings", one.mean_ap50_rare),
        ("mean_average_precision", "mean AP over overlaps", ALL, one.mean_ap),
        ("mean_froc", "mean of FROC", ALL, one.mean_froc),
    ):
        if figure:
            yield _interval(kind, label, about, figure)
    for row in one.concepts:
        yield from _concept(row, at)
    for size in one.sizes:
        yield _interval("mean_average_precision_50_size", f"mean {at}", f"{size.name} lesions", size.ap50)


def _concept(row: ConceptResult, at: str) -> Iterator[Figure]:
    for kind, label, figure in (
        ("average_precision_50", at, row.ap50),
        ("average_precision", "AP over overlaps", row.ap),
        ("froc", "mean of FROC", row.froc_mean),
    ):
        if figure:
            yield _interval(kind, label, row.name, figure)


def _group(group: Subgroup, at: str) -> Iterator[Figure]:
    about = f"{group.axis.value.replace('_', ' ')} {group.value}"
    if group.mean_ap50:
        yield _interval("mean_average_precision_50", f"mean AP at {at}", about, group.mean_ap50)
    if group.found:
        yield _share("found", 'present findings answered "found"', about, group.found)
    if group.absent_error:
        yield _share("absent_question_error", 'absent findings answered "found"', about, group.absent_error)


def _interval(kind: str, label: str, about: str, at: Interval) -> Figure:
    return Figure(kind, label, about, at.value, at.low, at.high, at.n_images, at.n_boxes, "boxes")


def _share(kind: str, label: str, about: str, share: Share) -> Figure:
    return Figure(kind, label, about, share.value, share.low, share.high, None, share.n, "questions")
