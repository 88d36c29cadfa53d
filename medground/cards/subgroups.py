"""Results by site, view, sex, age band, device and so on, where the evidence knows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medground.cards.results import Share, Subgroup
from medground.evaluation.bootstrap import bootstrap_by_patient
from medground.evaluation.detection import (
    Floats,
    ImageTruth,
    Statistic,
    average_precision_statistic,
    mean_statistic,
    patients_of,
)
from medground.evaluation.resampled import absent_error_statistic
from medground.evaluation.scene import Scene
from medground.evaluation.verdicts import Asked
from medground.schema.result import Verdict
from medground.schema.subgroup import Axis


def unknown_axes_of(scene: Scene) -> tuple[Axis, ...]:
    """The axes that no image of a scene says anything of."""
    known = {axis for image in scene.images for axis in image.attributes}
    return tuple(axis for axis in Axis if axis not in known)


def subgroups_of(scene: Scene, resamples: int, seed: int) -> tuple[Subgroup, ...]:
    """Results of each group of images, axis by axis, the largest group first.

    Args:
        scene: with the groups of its images.
        resamples: of patients.
        seed: of the resamples.
    """
    groups: dict[tuple[Axis, str], list[int]] = {}
    for row, image in enumerate(scene.images):
        for axis, value in image.attributes.items():
            groups.setdefault((axis, value), []).append(row)
    order = list(Axis)
    keys = sorted(groups, key=lambda key: (order.index(key[0]), -len(groups[key]), key[1]))
    return tuple(_subgroup(scene, key, groups[key], resamples, seed) for key in keys)


def _subgroup(scene: Scene, key: tuple[Axis, str], rows: Sequence[int], resamples: int, seed: int) -> Subgroup:
    part = scene.model_copy(update={"images": tuple(scene.images[row] for row in rows)})
    images, questions = part.truth(), part.questions()
    there = {truth.concept for image in images for truth in image.truths} & set(scene.training_boxes)
    each = [average_precision_statistic(images, part.detections(c), c) for c in sorted(there)]
    absent, n_absent = absent_error_statistic(images, questions)
    found, n_found = _found_statistic(images, questions)
    return Subgroup(
        axis=key[0],
        value=key[1],
        n_images=len(images),
        n_patients=len(patients_of(images)),
        n_boxes=sum(truth.concept in there for image in images for truth in image.truths),
        mean_ap50=bootstrap_by_patient(mean_statistic(each), images, there, n=resamples, seed=seed) if there else None,
        found=_share(found, n_found, images, resamples, seed),
        absent_error=_share(absent, n_absent, images, resamples, seed),
    )


def _found_statistic(images: Sequence[ImageTruth], questions: dict[str, list[Asked]]) -> tuple[Statistic, int]:
    """Share of the supported questions about what is there that were answered `found`, and their number."""
    row = {patient: index for index, patient in enumerate(patients_of(images))}
    asked_P, found_P = np.zeros(len(row)), np.zeros(len(row))
    for image in images:
        for question in questions.get(image.image_id, ()):
            if question.present and question.verdict != Verdict.UNSUPPORTED:
                asked_P[row[image.patient_id]] += 1
                found_P[row[image.patient_id]] += question.verdict == Verdict.FOUND

    def statistic(weights_NP: Floats) -> Floats:
        asked_N = weights_NP @ asked_P
        return np.where(asked_N > 0, weights_NP @ found_P / np.maximum(asked_N, 1e-300), np.nan)

    return statistic, int(asked_P.sum())


def _share(statistic: Statistic, n: int, images: Sequence[ImageTruth], resamples: int, seed: int) -> Share | None:
    found = bootstrap_by_patient(statistic, images, (), n=resamples, seed=seed) if n else None
    return Share(value=found.value, low=found.low, high=found.high, n=n) if found else None
