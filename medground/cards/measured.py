"""What a scene comes to: the evaluations of a card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medground.cards.results import ConceptResult, Evaluation, Share, SizeResult
from medground.cards.subgroups import subgroups_of, unknown_axes_of
from medground.evaluation.bootstrap import Interval, bootstrap_by_patient
from medground.evaluation.detection import (
    Detection,
    ImageTruth,
    Statistic,
    average_precision_statistic,
    mean_statistic,
)
from medground.evaluation.report import ConceptScore, EvaluationReport
from medground.evaluation.resampled import absent_error_statistic, ece_statistic, froc_statistic
from medground.evaluation.scene import Scene, report_of
from medground.evaluation.size_range import LARGE, MEDIUM, SMALL, SizeRange
from medground.model.scope import Scope
from medground.schema.anatomy import Domain


@dataclass(frozen=True, slots=True)
class Resampling:
    """How often and from which seed patients are drawn."""

    resamples: int = 1000
    seed: int = 0


ON_A_CARD = Resampling()


def evaluation_of(
    name: str, scene: Scene, scope: Scope, names: Mapping[str, str], how: Resampling = ON_A_CARD, *, touched: str
) -> Evaluation:
    """Everything measured on one scene.

    Args:
        name: of the part.
        scene: with the groups of its images.
        scope: of the model.
        names: concept to its name.
        how: intervals are made.
        touched: why it is not shown that nothing was trained or tuned by it; empty if it is.
    """
    images, domain = scene.truth(), domain_of(scene, scope)
    report = report_of(scene, resamples=how.resamples, seed=how.seed)
    boxes = {concept: scene.detections(concept) for concept in scene.training_boxes}
    curves = {c: s for c in boxes if (s := froc_statistic(images, boxes[c], c))}
    rare = [concept for concept in scene.rare() if concept in _there(images)]
    at_50 = [average_precision_statistic(images, boxes[c], c) for c in rare]
    known = {row.concept: row for row in _order(report, scene)}
    return Evaluation(
        name=name,
        data=scene.data,
        system=scene.system,
        look=scene.look,
        domain=domain,
        synthetic=scene.is_synthetic,
        touched=touched,
        n_images=report.n_images,
        n_patients=report.n_patients,
        resamples=how.resamples,
        seed=how.seed,
        mean_ap50=report.mean_ap50,
        mean_ap=report.mean_ap50_95,
        mean_ap50_rare=interval(mean_statistic(at_50), images, rare, how) if rare else None,
        mean_froc=interval(mean_statistic(list(curves.values())), images, list(curves), how) if curves else None,
        concepts=tuple(
            _result(row, scene, images, names, interval(curves[c], images, [c], how) if c in curves else None)
            for c, row in known.items()
        ),
        sizes=tuple(_sizes(images, boxes, how)),
        subgroups=subgroups_of(scene, how.resamples, how.seed),
        unknown_axes=unknown_axes_of(scene),
        answers=report.verdicts,
        absent_error=share(*absent_error_statistic(images, scene.questions()), images, how),
        ece=share(*ece_statistic(images, scene.questions(), None), images, how),
        calibration=report.verdicts.calibration if report.verdicts else None,
    )


def domain_of(scene: Scene, scope: Scope) -> Domain | None:
    """The kind of image whose trained boxes are those of the scene; None where there is none, or more than one."""
    fits = [
        domain
        for domain in Domain
        if {t.concept: t.boxes for t in scope.trained if t.domain == domain} == scene.training_boxes
    ]
    return fits[0] if len(fits) == 1 else None


def interval(
    statistic: Statistic, images: Sequence[ImageTruth], concepts: Sequence[str], how: Resampling
) -> Interval | None:
    """A figure with its interval by patient."""
    return bootstrap_by_patient(statistic, images, concepts, n=how.resamples, seed=how.seed)


def share(statistic: Statistic, n: int, images: Sequence[ImageTruth], how: Resampling) -> Share | None:
    """A share of questions with its interval by patient; None without questions."""
    found = interval(statistic, images, (), how) if n else None
    return Share(value=found.value, low=found.low, high=found.high, n=n) if found else None


def _order(report: EvaluationReport, scene: Scene) -> list[ConceptScore]:
    order = scene.rarest_first()
    return sorted(report.concepts, key=lambda row: order.index(row.concept))


def _there(images: Sequence[ImageTruth]) -> set[str]:
    return {truth.concept for image in images for truth in image.truths}


def _result(
    row: ConceptScore,
    scene: Scene,
    images: Sequence[ImageTruth],
    names: Mapping[str, str],
    froc_mean: Interval | None,
) -> ConceptResult:
    concept, real = row.concept, scene.rarity()[row.concept]
    return ConceptResult(
        concept=concept,
        name=names.get(concept, concept),
        training_boxes=scene.training_boxes[concept],
        real_boxes=real,
        rare=concept in scene.rare(),
        synthetic_only=real == 0,
        n_images=sum(image.counts_for(concept) for image in images),
        n_boxes=sum(truth.concept == concept for image in images for truth in image.truths),
        n_exhaustive=sum(concept in image.exhaustive_for for image in images),
        ap50=row.ap50,
        ap=row.ap50_95,
        froc=row.froc,
        froc_mean=froc_mean,
        false_on_normal=row.false_on_normal,
        answers=row.verdicts,
    )


def _sizes(images: Sequence[ImageTruth], boxes: Mapping[str, Sequence[Detection]], how: Resampling) -> list[SizeResult]:
    found = []
    for size in (SMALL, MEDIUM, LARGE):
        counts = {concept: _of_size(images, concept, size) for concept in boxes}
        of = [concept for concept, n in counts.items() if n]
        each = [average_precision_statistic(images, boxes[c], c, size=size) for c in of]
        figure = interval(mean_statistic(each), images, of, how) if of else None
        if figure:
            found.append(
                SizeResult(
                    name=size.name,
                    low_px2=size.low_px2,
                    high_px2=size.high_px2 if math.isfinite(size.high_px2) else None,
                    long_side_px=size.long_side_px,
                    n_boxes=sum(counts.values()),
                    ap50=figure,
                )
            )
    return found


def _of_size(images: Sequence[ImageTruth], concept: str, size: SizeRange) -> int:
    return sum(
        int(size.holds([t.box_xyxy_px for t in i.truths if t.concept == concept], i.columns_rows_px).sum())
        for i in images
    )
