"""How far one model lies above another on the same images, with the interval of the difference by patient.

Images of real patients have other pseudonyms on every card, so two scenes are matched by place: the same number of
images in the same order, each of the same size with the same truth, and patients who change in the same places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medground.cards.measured import ON_A_CARD, Resampling
from medground.evaluation.bootstrap import Interval, bootstrap_by_patient
from medground.evaluation.detection import ImageTruth, Statistic, average_precision_statistic, mean_statistic
from medground.evaluation.resampled import difference, ece_statistic
from medground.evaluation.scene import Scene, SceneImage
from medground.evaluation.verdicts import Asked


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
    """Expected calibration error over the questions about the findings of the current model.

    Args:
        current: of the model that is there.
        candidate: of the same images.
        how: intervals are made.

    Returns:
        None if either stated no probability.
    """
    images, other = current.truth(), aligned(current, candidate)
    (old, n_old), (new, n_new) = (
        ece_statistic(images, _asked(scene, current.training_boxes), None) for scene in (current, other)
    )
    return _compared(images, (old, new), n_new, how) if n_old and n_new else None


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


def _asked(scene: Scene, concepts: Mapping[str, int]) -> dict[str, list[Asked]]:
    return {image: [one for one in asked if one.concept in concepts] for image, asked in scene.questions().items()}


def _said_of(image: SceneImage) -> tuple[object, ...]:
    return image.columns, image.rows, image.truths, sorted(image.exhaustive_for)
