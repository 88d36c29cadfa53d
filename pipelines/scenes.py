"""What a system said about every image of a data set, beside the truth: kept with a run, to compare runs by."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from medground.evaluation.bootstrap import Interval, bootstrap_by_patient
from medground.evaluation.detection import (
    COCO_IOUS,
    Detection,
    ImageTruth,
    Statistic,
    Truth,
    average_precision_statistic,
    mean_statistic,
)
from medground.evaluation.report import EvaluationReport, evaluate
from medground.evaluation.resampled import absent_error_statistic, ece_statistic, froc_statistic
from medground.evaluation.size_range import LARGE, MEDIUM, SMALL
from medground.evaluation.verdicts import Asked
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.schema.result import Verdict
from medground.tracking import figures
from medground.tracking.figures import Figure
from medground.tracking.runs import RunLog
from pipelines.curves import draw, froc_curve, precision_recall
from pipelines.worst_cases import Pixels, write_worst_cases

ENDING = ".scene.json.gz"
RARE_BELOW = 50  # real boxes in training
SIZES = ((figures.AP50_SMALL, SMALL), (figures.AP50_MEDIUM, MEDIUM), (figures.AP50_LARGE, LARGE))
Box = tuple[float, float, float, float]


class SceneImage(StrictConfig):
    """One image: concept and xyxy box of each truth, the same with a score of each detection, and the answers.

    `columns` and `rows` are those of the stored image; both None in files from before they were kept. `drawn_by` is the
    source of each truth; empty in files from before it was kept.
    """

    image_id: str
    patient_id: str
    exhaustive_for: tuple[str, ...]
    truths: tuple[tuple[str, Box], ...]
    detections: tuple[tuple[str, Box, float], ...]
    answers: tuple[tuple[str, bool, Verdict, float | None], ...] = ()
    columns: int | None = Field(default=None, gt=0)
    rows: int | None = Field(default=None, gt=0)
    drawn_by: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_every_source_or_none(self) -> SceneImage:
        if self.drawn_by and len(self.drawn_by) != len(self.truths):
            raise ValueError(
                f"image {self.image_id} needs a source for each of its {len(self.truths)} truths or none, "
                f"got {len(self.drawn_by)}"
            )
        return self

    @model_validator(mode="after")
    def _has_a_whole_size_or_none(self) -> SceneImage:
        if (self.columns is None) != (self.rows is None):
            raise ValueError(
                f"image {self.image_id} needs columns and rows or neither, got {self.columns}, {self.rows}"
            )
        return self


class Scene(StrictConfig):
    """All images of a data set as one system saw them.

    Attributes:
        format: of the file.
        system: name and version of what was measured.
        data: name of the data set and its part.
        training_boxes: the concepts to measure, each with the number of boxes the system was trained on.
        real_boxes: how many of those come from real images; None where unknown, then all count as real.
        images: with truth, detections and answers.
    """

    format: Literal[1] = 1
    system: str
    data: str
    training_boxes: dict[str, int]
    real_boxes: dict[str, int] | None = None
    images: tuple[SceneImage, ...]

    @model_validator(mode="after")
    def _counts_the_same_concepts(self) -> Scene:
        if self.real_boxes is not None and set(self.real_boxes) != set(self.training_boxes):
            odd = sorted(set(self.real_boxes) ^ set(self.training_boxes))
            raise ValueError(f"real_boxes and training_boxes need the same concepts, only one of them has {odd}")
        return self

    def truth(self) -> list[ImageTruth]:
        """The images as the evaluation takes them."""
        return [
            ImageTruth(
                i.image_id,
                i.patient_id,
                tuple(Truth(i.image_id, concept, box) for concept, box in i.truths),
                frozenset(i.exhaustive_for),
                (i.columns, i.rows) if i.columns and i.rows else None,
            )
            for i in self.images
        ]

    def detections(self, concept: str) -> list[Detection]:
        """The boxes proposed for a concept."""
        return [Detection(i.image_id, c, box, s) for i in self.images for c, box, s in i.detections if c == concept]

    def questions(self) -> dict[str, list[Asked]]:
        """Answered questions by image."""
        return {i.image_id: [Asked(*answer) for answer in i.answers] for i in self.images}

    def rarity(self) -> dict[str, int]:
        """Boxes in training by which a concept is called rare: the real ones, all where it is not known which are."""
        return self.training_boxes if self.real_boxes is None else self.real_boxes

    def rarest_first(self) -> list[str]:
        """The concepts, rarest in training first."""
        boxes = self.rarity()
        return sorted(boxes, key=lambda concept: (boxes[concept], concept))

    def rare(self) -> list[str]:
        """The concepts with fewer than `RARE_BELOW` real boxes in training."""
        return [concept for concept in self.rarest_first() if self.rarity()[concept] < RARE_BELOW]


def save_scene(scene: Scene, path: Path) -> None:
    """Writes a scene as JSON under gzip; equal scenes give equal bytes."""
    path.write_bytes(gzip.compress(scene.model_dump_json().encode(), mtime=0))


def load_scene(path: Path) -> Scene:
    """Reads what `save_scene` wrote.

    Raises:
        UsageError: if it is cut short or something else.
    """
    try:
        return Scene.model_validate_json(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{path} is no readable scene ({reason}); make it anew by python -m pipelines evaluate"
        ) from error


def report_of(scene: Scene, *, resamples: int = 1000, seed: int = 0) -> EvaluationReport:
    """The evaluation report of a scene."""
    return evaluate(
        scene.truth(),
        [box for concept in scene.training_boxes for box in scene.detections(concept)],
        [question for asked in scene.questions().values() for question in asked],
        training_boxes=scene.rarity(),
        system=scene.system,
        data=scene.data,
        resamples=resamples,
        seed=seed,
    )


def statistics_of(scene: Scene) -> Iterator[tuple[str, Statistic, frozenset[str], int | None]]:
    """Every figure of a scene: its name, its statistic, the concepts it is about, and n where that is not boxes.

    Means come first, then the sizes, then the concepts, rarest first, then the answers.
    """
    images, questions = scene.truth(), scene.questions()
    boxes = {concept: scene.detections(concept) for concept in scene.training_boxes}
    there = {truth.concept for image in images for truth in image.truths}
    measured = [concept for concept in scene.rarest_first() if concept in there]
    rare = [concept for concept in scene.rare() if concept in there]
    at_50 = {c: average_precision_statistic(images, boxes[c], c) for c in measured}
    at_all = {c: average_precision_statistic(images, boxes[c], c, ious=COCO_IOUS) for c in measured}
    curves = {c: curve for c in measured if (curve := froc_statistic(images, boxes[c], c))}
    means = [
        (figures.ap50_rare(figures.MEAN), at_50, rare),
        (figures.ap50(figures.MEAN), at_50, measured),
        (figures.ap(figures.MEAN), at_all, measured),
        (figures.froc(figures.MEAN), curves, list(curves)),
    ]
    for name, statistic, of in means:
        if of:
            yield name, mean_statistic([statistic[c] for c in of]), frozenset(of), None
    yield from _by_size(images, boxes)
    for concept in measured:
        about = frozenset({concept})
        if concept in rare:
            yield figures.ap50_rare(concept), at_50[concept], about, None
        yield figures.ap50(concept), at_50[concept], about, None
        yield figures.ap(concept), at_all[concept], about, None
        if concept in curves:
            yield figures.froc(concept), curves[concept], about, None
    for row in (*scene.rarest_first(), None):
        error, n = ece_statistic(images, questions, row)
        yield figures.ece(row or figures.ALL), error, frozenset(), n
    error, n = absent_error_statistic(images, questions)
    yield figures.ABSENT_ERROR, error, frozenset(), n


def _by_size(
    images: Sequence[ImageTruth], boxes: Mapping[str, Sequence[Detection]]
) -> Iterator[tuple[str, Statistic, frozenset[str], int]]:
    """AP at 0.5 over the truths of each size: the mean over the concepts that have such, and how many there are."""
    for name, size in SIZES:
        counts = {
            concept: sum(
                int(size.holds([t.box_xyxy_px for t in i.truths if t.concept == concept], i.columns_rows_px).sum())
                for i in images
            )
            for concept in boxes
        }
        of = [concept for concept, n in counts.items() if n]
        if of:
            each = [average_precision_statistic(images, boxes[c], c, size=size) for c in of]
            yield name, mean_statistic(each), frozenset(of), sum(counts.values())


def figures_of(scene: Scene, *, resamples: int = 1000, seed: int = 0) -> list[Figure]:
    """Every figure of a scene with its 95% interval by patient; what is undefined is left out."""
    images, out = scene.truth(), []
    for name, statistic, about, n in statistics_of(scene):
        interval = bootstrap_by_patient(statistic, images, about, n=resamples, seed=seed)
        if interval is not None:
            out.append(figure(name, interval, n))
    return out


def figure(name: str, interval: Interval, n: int | None = None) -> Figure:
    """An interval under a name; n is its boxes, or what is given."""
    n = interval.n_boxes if n is None else n
    return Figure(name=name, value=interval.value, low=interval.low, high=interval.high, n=n)


def log_scene(run: RunLog, part: str, path: Path, *, pixels: Pixels | None = None) -> None:
    """Puts the figures of a scene file, the file, its curves and its worst cases into a child run `evaluation PART`.

    Args:
        run: of the training.
        part: of the data.
        path: the scene file.
        pixels: of an image, for the sheet of worst cases; what it gives is then kept in MLflow's store. None draws the
            boxes alone.
    """
    scene = load_scene(path)
    with run.child(f"evaluation {part}", kind="evaluation") as child:
        child.parameters({"system": scene.system, "data": scene.data, "images": len(scene.images)})
        child.figures(figures_of(scene))
        child.artifact(path)
        with tempfile.TemporaryDirectory() as folder:
            for plot in _plots(scene, Path(folder)):
                child.artifact(plot, "plots")
            sheet = Path(folder) / "worst_cases.png"
            boxes = {concept: scene.detections(concept) for concept in scene.rarest_first()}
            if write_worst_cases(scene.truth(), boxes, sheet, pixels=pixels):
                child.artifact(sheet)


def _plots(scene: Scene, folder: Path) -> Iterator[Path]:
    images, concepts = scene.truth(), scene.rarest_first()
    boxes = {concept: scene.detections(concept) for concept in concepts}
    recall = {c: curve for c in concepts if (curve := precision_recall(images, boxes[c], c))}
    draw(recall, folder / "precision_recall.png", across="recall", up="precision")
    yield folder / "precision_recall.png"
    found = {c: curve for c in concepts if (curve := froc_curve(images, boxes[c], c))}
    draw(found, folder / "froc.png", across="false boxes an image", up="sensitivity", false_positives=True)
    yield folder / "froc.png"
