"""How far one model lies above another on the same images, with the interval of the difference by patient.

Images of real patients have other pseudonyms on every card, so two scenes are matched by place: the same number of
images in the same order, each of the same size with the same truth, and patients who change in the same places.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from medground.cards.measured import ON_A_CARD, Resampling
from medground.evaluation.bootstrap import Interval, bootstrap_by_patient
from medground.evaluation.detection import (
    Floats,
    ImageTruth,
    Statistic,
    average_precision_statistic,
    mean_statistic,
    patients_of,
)
from medground.evaluation.resampled import difference, ece_statistic
from medground.evaluation.scene import Scene, SceneImage
from medground.evaluation.verdicts import Asked
from medground.schema.result import Verdict

Question = tuple[str, str, bool]
"""Image, finding, and whether it is there."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of two models on the same images.

    Attributes:
        current: of the model that is there, with its interval.
        candidate: of the model that would take its place.
        difference: candidate less current, each resample of patients the same for both.
        n: boxes or questions behind it.
        images: on which it was measured.
    """

    current: Interval
    candidate: Interval
    difference: Interval
    n: int
    images: int

    @property
    def is_lower(self) -> bool:
        """Whether the candidate lies below the current one beyond what chance explains."""
        return self.candidate.value < self.current.low or self.difference.high < 0

    @property
    def is_higher(self) -> bool:
        """Whether it lies above in that way."""
        return self.candidate.value > self.current.high or self.difference.low > 0


def why_other_images(current: Scene, candidate: Scene) -> str:
    """Why two scenes are not of the same images; empty if they are.

    Args:
        current: of a part.
        candidate: of the same part.
    """
    if len(current.images) != len(candidate.images):
        return f"one has {len(candidate.images)} images, the other {len(current.images)}"
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    for row, (old, new) in enumerate(zip(current.images, candidate.images, strict=True), start=1):
        if _said_of(old) != _said_of(new):
            return f"image {row} has another size or another truth"
        if current.is_synthetic and old.image_id != new.image_id:
            return f"image {row} is {new.image_id} and was {old.image_id}"
        if (
            there.setdefault(old.patient_id, new.patient_id) != new.patient_id
            or back.setdefault(new.patient_id, old.patient_id) != old.patient_id
        ):
            return f"image {row} belongs to another patient"
    return ""


def compared_ap50(
    current: Scene, candidate: Scene, concepts: Sequence[str], how: Resampling = ON_A_CARD
) -> Compared | None:
    """Average precision at an overlap of 0.5, the mean over some findings.

    Args:
        current: of the model that is there.
        candidate: of the same images.
        concepts: to take the mean over; a finding that the candidate was not asked about has precision 0.
        how: intervals are made.

    Returns:
        None if no image has a truth of them.
    """
    images, other = current.truth(), aligned(current, candidate)

    def statistic(scene: Scene) -> Statistic:
        return mean_statistic([average_precision_statistic(images, scene.detections(c), c) for c in concepts])

    n = sum(truth.concept in concepts for image in images for truth in image.truths)
    return _compared(images, (statistic(current), statistic(other)), n, how)


def compared_ece(current: Scene, candidate: Scene, how: Resampling = ON_A_CARD) -> Compared | None:
    """Expected calibration error over the questions that the current model stated a probability for.

    Args:
        current: of the model that is there.
        candidate: of the same images; its other questions are left out.
        how: intervals are made.

    Returns:
        None if either stated no probability.
    """
    images, other = current.truth(), aligned(current, candidate)
    rated = _rated(current)
    (old, n_old), (new, n_new) = (ece_statistic(images, _asked(scene, rated), None) for scene in (current, other))
    return _compared(images, (old, new), n_new, how) if n_old and n_new else None


def compared_found(current: Scene, candidate: Scene, *, present: bool, how: Resampling = ON_A_CARD) -> Compared | None:
    """Share answered `found` of the questions that the current model was asked about its findings.

    Args:
        current: of the model that is there.
        candidate: of the same images; a question that it was not asked, or did not support, was not answered `found`.
        present: questions about what is there, or about what is known not to be.
        how: intervals are made.

    Returns:
        None if there is no such question.
    """
    images = current.truth()
    asked = [one for one in _questions(current) if one[2] == present]
    old, new = (_found_statistic(images, asked, scene) for scene in (current, aligned(current, candidate)))
    return _compared(images, (old, new), len(asked), how) if asked else None


def unrated(current: Scene, candidate: Scene) -> tuple[int, int]:
    """Questions for which the current model stated a probability and the candidate none, and all that it rated.

    Args:
        current: of the model that is there.
        candidate: of the same images.
    """
    rated = _rated(current)
    return len(rated - _rated(aligned(current, candidate))), len(rated)


def aligned(current: Scene, candidate: Scene) -> Scene:
    """The candidate's scene with the names of images and patients that the current one has.

    Args:
        current: of the model that is there.
        candidate: of the same images.
    """
    pairs = zip(current.images, candidate.images, strict=True)
    images = (new.model_copy(update={"image_id": old.image_id, "patient_id": old.patient_id}) for old, new in pairs)
    return candidate.model_copy(update={"images": tuple(images)})


def _compared(
    images: Sequence[ImageTruth], statistics: tuple[Statistic, Statistic], n: int, how: Resampling
) -> Compared | None:
    def interval(statistic: Statistic) -> Interval | None:
        return bootstrap_by_patient(statistic, images, (), n=how.resamples, seed=how.seed)

    current, candidate, apart = (interval(statistic) for statistic in (*statistics, difference(*statistics)))
    if current is None or candidate is None or apart is None:
        return None
    return Compared(current, candidate, apart, n, len(images))


def _questions(scene: Scene) -> dict[Question, Asked]:
    """What was asked about the findings of a scene, by image, finding, and whether it is there."""
    return {
        (image, one.concept, one.present): one
        for image, asked in scene.questions().items()
        for one in asked
        if one.concept in scene.training_boxes
    }


def _rated(scene: Scene) -> frozenset[Question]:
    return frozenset(question for question, one in _questions(scene).items() if one.presence is not None)


def _asked(scene: Scene, of: Collection[Question]) -> dict[str, list[Asked]]:
    return {
        image: [one for one in asked if (image, one.concept, one.present) in of]
        for image, asked in scene.questions().items()
    }


def _found_statistic(images: Sequence[ImageTruth], of: Sequence[Question], scene: Scene) -> Statistic:
    row = {patient: index for index, patient in enumerate(patients_of(images))}
    patient_of = {image.image_id: row[image.patient_id] for image in images}
    said = _questions(scene)
    asked_P, found_P = np.zeros(len(row)), np.zeros(len(row))
    for question in of:
        answer = said.get(question)
        asked_P[patient_of[question[0]]] += 1
        found_P[patient_of[question[0]]] += answer is not None and answer.verdict == Verdict.FOUND

    def statistic(weights_NP: Floats) -> Floats:
        asked_N = weights_NP @ asked_P
        return np.where(asked_N > 0, weights_NP @ found_P / np.maximum(asked_N, 1e-300), np.nan)

    return statistic


def _said_of(image: SceneImage) -> tuple[object, ...]:
    return image.columns, image.rows, image.truths, sorted(image.exhaustive_for)
