"""The evaluation report: one frozen model for machines, one table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medground.evaluation.bootstrap import Interval, bootstrap_by_patient
from medground.evaluation.detection import (
    COCO_IOUS,
    Detection,
    ImageTruth,
    average_precision_statistic,
    mean_statistic,
    patients_of,
)
from medground.evaluation.froc import Froc, froc
from medground.evaluation.normal_images import false_boxes_statistic
from medground.evaluation.verdicts import Asked, VerdictCounts, VerdictScore, score_verdicts
from medground.schema.config import StrictConfig


class ConceptScore(StrictConfig):
    """Figures of one concept; None where it has no truth to measure by.

    `false_on_normal` is the number of boxes on an image without the finding, where half of the findings are found.
    """

    concept: str
    training_boxes: int
    ap50: Interval | None
    ap50_95: Interval | None
    froc: Froc | None
    verdicts: VerdictScore | None
    false_on_normal: Interval | None = None


class EvaluationReport(StrictConfig):
    """Everything measured of one system on one data set.

    Attributes:
        system: name and version of what was measured.
        data: name of the data set and its part.
        n_images, n_patients: size of the data set.
        resamples, seed: of the bootstrap.
        concepts: rarest in training first.
        mean_ap50, mean_ap50_95: over the concepts that have truth.
        verdicts: over all questions, None where none was asked.
    """

    system: str
    data: str
    n_images: int
    n_patients: int
    resamples: int
    seed: int
    concepts: tuple[ConceptScore, ...]
    mean_ap50: Interval | None
    mean_ap50_95: Interval | None
    verdicts: VerdictScore | None


def evaluate(
    images: Sequence[ImageTruth],
    detections: Sequence[Detection],
    questions: Sequence[Asked] = (),
    *,
    training_boxes: Mapping[str, int],
    system: str,
    data: str,
    resamples: int = 1000,
    seed: int = 0,
) -> EvaluationReport:
    """Measures a system's boxes and verdicts.

    Args:
        images: the labelled images.
        detections: the system's boxes, in any order.
        questions: questions with known answers, or none.
        training_boxes: the concepts to measure, each with the number of boxes the system was trained on.
        system: name and version of what is measured.
        data: name of the data set and its part.
        resamples: of patients, for the intervals.
        seed: of the resamples.

    Returns:
        The report.

    Raises:
        UsageError: on a repeated image or a detection on an image that is not among `images`.
    """
    rarest_first = sorted(training_boxes, key=lambda concept: (training_boxes[concept], concept))
    boxes = {concept: [box for box in detections if box.concept == concept] for concept in rarest_first}
    at_50 = {c: average_precision_statistic(images, boxes[c], c) for c in rarest_first}
    at_50_95 = {c: average_precision_statistic(images, boxes[c], c, ious=COCO_IOUS) for c in rarest_first}

    def scored(concept: str) -> ConceptScore:
        about = [question for question in questions if question.concept == concept]
        false = false_boxes_statistic(images, boxes[concept], concept)
        return ConceptScore(
            concept=concept,
            training_boxes=training_boxes[concept],
            ap50=bootstrap_by_patient(at_50[concept], images, [concept], n=resamples, seed=seed),
            ap50_95=bootstrap_by_patient(at_50_95[concept], images, [concept], n=resamples, seed=seed),
            froc=froc(images, boxes[concept], concept),
            verdicts=score_verdicts(about) if about else None,
            false_on_normal=bootstrap_by_patient(false, images, [concept], n=resamples, seed=seed) if false else None,
        )

    means = [
        bootstrap_by_patient(mean_statistic(list(at.values())), images, rarest_first, n=resamples, seed=seed)
        for at in (at_50, at_50_95)
    ]
    return EvaluationReport(
        system=system,
        data=data,
        n_images=len(images),
        n_patients=len(patients_of(images)),
        resamples=resamples,
        seed=seed,
        concepts=tuple(scored(concept) for concept in rarest_first),
        mean_ap50=means[0],
        mean_ap50_95=means[1],
        verdicts=score_verdicts(questions) if questions else None,
    )


def to_markdown(report: EvaluationReport) -> str:
    """The report as Markdown: boxes and verdicts in two tables, rarest finding first, means last."""
    lines = [
        f"## {report.system} on {report.data}",
        "",
        f"{report.n_images} images of {report.n_patients} patients; in brackets the 95% interval over "
        f"{report.resamples} resamples of patients. Rarest in training first. False boxes on an image without the "
        "finding are counted at the score where half of the findings are found.",
        "",
        "| finding | training boxes | AP@0.5 | AP@[.5:.95] | FROC | false on a normal image | images | boxes |",
        "|---|--:|---|---|--:|---|--:|--:|",
    ]
    for row in report.concepts:
        curve = _figure(row.froc.mean_sensitivity if row.froc else None)
        lines.append(_box_row(row.concept, str(row.training_boxes), row.ap50, row.ap50_95, curve, row.false_on_normal))
    lines.append(_box_row("**mean**", "", report.mean_ap50, report.mean_ap50_95, "", None))
    if report.verdicts:
        lines += [
            "",
            "Questions about findings that are there and that are not: found / uncertain / not found / unsupported.",
            "",
            "| finding | present | absent | sensitivity | specificity | AUROC | ECE | Brier |",
            "|---|--:|--:|--:|--:|--:|--:|--:|",
            *(_verdict_row(row.concept, row.verdicts) for row in report.concepts if row.verdicts),
            _verdict_row("**all**", report.verdicts),
        ]
    return "\n".join(lines) + "\n"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _box_row(
    name: str, trained: str, ap50: Interval | None, ap50_95: Interval | None, curve: str, false: Interval | None
) -> str:
    images, boxes = (ap50.n_images, ap50.n_boxes) if ap50 else ("-", "-")
    cells = [name, trained, _interval(ap50), _interval(ap50_95), curve, _interval(false), str(images), str(boxes)]
    return f"| {' | '.join(cells)} |"


def _verdict_row(name: str, score: VerdictScore) -> str:
    def shares(counts: VerdictCounts) -> str:
        return f"{counts.found} / {counts.uncertain} / {counts.not_found} / {counts.unsupported}"

    ece, brier = (score.calibration.ece, score.calibration.brier) if score.calibration else (None, None)
    figures = (score.sensitivity, score.specificity, score.auroc, ece, brier)
    cells = [name, shares(score.present), shares(score.absent), *map(_figure, figures)]
    return f"| {' | '.join(cells)} |"
