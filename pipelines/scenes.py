"""What a system said about every image of a data set, beside the truth: kept with a run, to compare runs by."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

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
from medground.evaluation.verdicts import Asked
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.schema.result import Verdict
from medground.tracking import figures
from medground.tracking.figures import Figure
from medground.tracking.runs import RunLog
from pipelines.curves import draw, froc_curve, precision_recall
from pipelines.resampled import absent_error_statistic, ece_statistic, froc_statistic

ENDING = ".scene.json.gz"
RARE_BELOW = 50  # boxes in training
Box = tuple[float, float, float, float]


class SceneImage(StrictConfig):
    """One image: concept and xyxy box of each truth, the same with a score of each detection, and the answers."""

    image_id: str
    patient_id: str
    exhaustive_for: tuple[str, ...]
    truths: tuple[tuple[str, Box], ...]
    detections: tuple[tuple[str, Box, float], ...]
    answers: tuple[tuple[str, bool, Verdict, float | None], ...] = ()


class Scene(StrictConfig):
    """All images of a data set as one system saw them.

    Attributes:
        format: of the file.
        system: name and version of what was measured.
        data: name of the data set and its part.
        training_boxes: the concepts to measure, each with the number of boxes the system was trained on.
        images: with truth, detections and answers.
    """

    format: Literal[1] = 1
    system: str
    data: str
    training_boxes: dict[str, int]
    images: tuple[SceneImage, ...]

    def truth(self) -> list[ImageTruth]:
        """The images as the evaluation takes them."""
        return [
            ImageTruth(
                i.image_id,
                i.patient_id,
                tuple(Truth(i.image_id, concept, box) for concept, box in i.truths),
                frozenset(i.exhaustive_for),
            )
            for i in self.images
        ]

    def detections(self, concept: str) -> list[Detection]:
        """The boxes proposed for a concept."""
        return [Detection(i.image_id, c, box, s) for i in self.images for c, box, s in i.detections if c == concept]

    def questions(self) -> dict[str, list[Asked]]:
        """Answered questions by image."""
        return {i.image_id: [Asked(*answer) for answer in i.answers] for i in self.images}

    def rarest_first(self) -> list[str]:
        """The concepts, rarest in training first."""
        return sorted(self.training_boxes, key=lambda concept: (self.training_boxes[concept], concept))

    def rare(self) -> list[str]:
        """The concepts with fewer than `RARE_BELOW` boxes in training."""
        return [concept for concept in self.rarest_first() if self.training_boxes[concept] < RARE_BELOW]


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
        training_boxes=scene.training_boxes,
        system=scene.system,
        data=scene.data,
        resamples=resamples,
        seed=seed,
    )


def statistics_of(scene: Scene) -> Iterator[tuple[str, Statistic, frozenset[str], int | None]]:
    """Every figure of a scene: its name, its statistic, the concepts it is about, and n where that is not boxes.

    Means come first, then the concepts, rarest first, then the answers.
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


def log_scene(run: RunLog, part: str, path: Path) -> None:
    """Puts the figures of a scene file, and the file, into a child run `evaluation PART`."""
    scene = load_scene(path)
    with run.child(f"evaluation {part}", kind="evaluation") as child:
        child.parameters({"system": scene.system, "data": scene.data, "images": len(scene.images)})
        child.figures(figures_of(scene))
        child.artifact(path)
        with tempfile.TemporaryDirectory() as folder:
            for plot in _plots(scene, Path(folder)):
                child.artifact(plot, "plots")


def _plots(scene: Scene, folder: Path) -> Iterator[Path]:
    images, concepts = scene.truth(), scene.rarest_first()
    boxes = {concept: scene.detections(concept) for concept in concepts}
    recall = {c: curve for c in concepts if (curve := precision_recall(images, boxes[c], c))}
    draw(recall, folder / "precision_recall.png", across="recall", up="precision")
    yield folder / "precision_recall.png"
    found = {c: curve for c in concepts if (curve := froc_curve(images, boxes[c], c))}
    draw(found, folder / "froc.png", across="false boxes an image", up="sensitivity", false_positives=True)
    yield folder / "froc.png"
