"""The figures of a scene, drawn and logged: what a run keeps of a measurement, to compare runs by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from medground.evaluation.bootstrap import Interval, bootstrap_by_patient
from medground.evaluation.detection import (
    COCO_IOUS,
    Detection,
    ImageTruth,
    Statistic,
    average_precision_statistic,
    mean_statistic,
)
from medground.evaluation.files import scratch_folder
from medground.evaluation.normal_images import false_boxes_statistic
from medground.evaluation.resampled import absent_error_statistic, auroc_statistic, ece_statistic, froc_statistic
from medground.evaluation.scene import Scene, load_scene
from medground.evaluation.size_range import LARGE, MEDIUM, SMALL
from medground.schema.errors import UsageError
from medground.tracking import figures
from medground.tracking.figures import Figure
from medground.tracking.runs import RunLog, RunNotes
from pipelines.curves import draw, froc_curve, precision_recall
from pipelines.worst_cases import Pixels, write_worst_cases

SIZES = ((figures.AP50_SMALL, SMALL), (figures.AP50_MEDIUM, MEDIUM), (figures.AP50_LARGE, LARGE))


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
        if false := false_boxes_statistic(images, boxes[concept], concept):
            yield figures.false_on_normal(concept), false, about, None
    for row in (*scene.rarest_first(), None):
        error, n = ece_statistic(images, questions, row)
        yield figures.ece(row or figures.ALL), error, frozenset(), n
        apart, n = auroc_statistic(images, questions, row)
        yield figures.auroc(row or figures.ALL), apart, frozenset(), n
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

    Once all of it is in the store the notes of the run say so, see `is_logged`; until then it can be done again.

    Args:
        run: of the training.
        part: of the data.
        path: the scene file.
        pixels: of an image, for the sheet of worst cases; what it gives is then kept in MLflow's store. None draws the
            boxes alone.

    Raises:
        UsageError: if the file is no scene, or there is no room for the pictures.
    """
    scene, digest = load_scene(path), _digest(path)
    with run.child(f"evaluation {part}", kind="evaluation") as child:
        child.parameters({"system": scene.system, "data": scene.data, "images": len(scene.images)})
        child.figures(figures_of(scene))
        child.artifact(path)
        with scratch_folder() as folder:
            for plot in _plots(scene, folder):
                child.artifact(plot, "plots")
            sheet = folder / "worst_cases.png"
            boxes = {concept: scene.detections(concept) for concept in scene.rarest_first()}
            if write_worst_cases(scene.truth(), boxes, sheet, pixels=pixels):
                child.artifact(sheet)
    if child.is_whole:
        run.note(_noted(path), f"{run.run_id} {digest}")


def is_logged(path: Path, notes: Path) -> bool:
    """Whether all of a scene file, as it now is, was put into the run that the notes know.

    Args:
        path: the scene file.
        notes: of the training whose run it is.
    """
    try:
        kept = RunNotes(notes)
        return kept.find(_noted(path)) == f"{kept.find('run')} {_digest(path)}"
    except OSError:
        return False


def waits_for_its_run(
    path: Path,
    notes: Path,
    *,
    system: str,
    data: str,
    images: Sequence[str],
    look: str | None = None,
    answered: bool = False,
) -> bool:
    """Whether a scene is there and whole that is to be logged only: whoever measured it was killed before it was.

    Args:
        path: the scene file.
        notes: of the training whose run it goes into.
        system: what measures, as in the scene; with the hash of its bundle.
        data: the name of what is measured.
        images: their ids, in order.
        look: how closely they are looked at, as in the scene.
        answered: there must be answers.
    """
    if not path.is_file() or is_logged(path, notes):
        return False
    try:
        scene = load_scene(path)
    except UsageError:
        return False
    if answered and not any(image.answers for image in scene.images):
        return False
    same = (scene.system, scene.data, scene.look) == (system, data, look)
    return same and [image.image_id for image in scene.images] == list(images)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _noted(path: Path) -> str:
    """The name of the note that a scene file was logged."""
    return f"logged {path.name}"


def _plots(scene: Scene, folder: Path) -> Iterator[Path]:
    images, concepts = scene.truth(), scene.rarest_first()
    boxes = {concept: scene.detections(concept) for concept in concepts}
    recall = {c: curve for c in concepts if (curve := precision_recall(images, boxes[c], c))}
    draw(recall, folder / "precision_recall.png", across="recall", up="precision")
    yield folder / "precision_recall.png"
    found = {c: curve for c in concepts if (curve := froc_curve(images, boxes[c], c))}
    draw(found, folder / "froc.png", across="false boxes an image", up="sensitivity", false_positives=True)
    yield folder / "froc.png"
