"""What a model card holds of measurements."""

from __future__ import annotations

from medground.evaluation.bootstrap import Interval
from medground.evaluation.calibration import Calibration
from medground.evaluation.froc import Froc
from medground.evaluation.verdicts import VerdictScore
from medground.schema.anatomy import Domain
from medground.schema.config import StrictConfig
from medground.schema.subgroup import Axis


class Share(StrictConfig):
    """A share of questions with its interval by patient and the number of questions."""

    value: float
    low: float
    high: float
    n: int


class ConceptResult(StrictConfig):
    """What was measured of one finding; None where there is nothing to measure it by.

    Attributes:
        concept, name: of the finding.
        training_boxes, real_boxes: in training.
        rare: whether few real boxes were trained on.
        synthetic_only: whether no real box was.
        n_images: images that say something about it.
        n_boxes: marked boxes of it.
        n_exhaustive: images on which every one is marked; without any, false boxes cannot be counted.
        ap50, ap: average precision.
        froc, froc_mean: sensitivity at allowances of false boxes, and its mean.
        false_on_normal: boxes on an image without it, where half of it is found.
        answers: to questions about it.
    """

    concept: str
    name: str
    training_boxes: int
    real_boxes: int
    rare: bool
    synthetic_only: bool
    n_images: int
    n_boxes: int
    n_exhaustive: int
    ap50: Interval | None
    ap: Interval | None
    froc: Froc | None
    froc_mean: Interval | None
    false_on_normal: Interval | None
    answers: VerdictScore | None


class SizeResult(StrictConfig):
    """AP over the boxes of one size: areas in pixels of the image scaled to a long side of `long_side_px`."""

    name: str
    low_px2: float
    high_px2: float | None
    long_side_px: float | None
    n_boxes: int
    ap50: Interval


class Subgroup(StrictConfig):
    """Results on the images of one group.

    Attributes:
        axis, value: what they have in common.
        n_images, n_patients, n_boxes: how many there are; boxes of the measured findings.
        mean_ap50: over the findings that the group has boxes of.
        found: share of the questions about what is there that were answered `found`.
        absent_error: share of the questions about what is not there that were answered `found`.
    """

    axis: Axis
    value: str
    n_images: int
    n_patients: int
    n_boxes: int
    mean_ap50: Interval | None
    found: Share | None
    absent_error: Share | None


class Evaluation(StrictConfig):
    """Everything measured on one data set; findings rarest in training first.

    Attributes:
        name: of the part, as its scene file is called.
        data, system: as the scene says.
        look: how closely images were looked at, where that is not as the model does by itself; None otherwise.
        domain: kind of image; None where the scene matches none of the model's.
        synthetic: whether every image is a phantom.
        touched: why it is not shown that nothing was trained or tuned by it; empty if it is.
        n_images, n_patients: size of the data.
        resamples, seed: of the bootstrap.
        mean_ap50, mean_ap, mean_ap50_rare, mean_froc: over the findings that have boxes.
        concepts, sizes, subgroups: see there.
        unknown_axes: by which nothing can be broken down, for no image says.
        answers: to all questions.
        absent_error: share of supported questions about absent findings that were answered `found`.
        ece: expected calibration error of presence, over all questions.
        calibration: its bins.
    """

    name: str
    data: str
    system: str
    look: str | None = None
    domain: Domain | None
    synthetic: bool
    touched: str
    n_images: int
    n_patients: int
    resamples: int
    seed: int
    mean_ap50: Interval | None
    mean_ap: Interval | None
    mean_ap50_rare: Interval | None
    mean_froc: Interval | None
    concepts: tuple[ConceptResult, ...]
    sizes: tuple[SizeResult, ...]
    subgroups: tuple[Subgroup, ...]
    unknown_axes: tuple[Axis, ...]
    answers: VerdictScore | None
    absent_error: Share | None
    ece: Share | None
    calibration: Calibration | None
