"""A model's scene of a data set: every trained finding asked for on every image, through the path that users take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medground.data.image_groups import groups_of
from medground.data.phantom.chest_radiograph import chest_radiograph, to_record
from medground.data.phantom.dicom_study import write_radiograph_study
from medground.data.questions import ask
from medground.evaluation.scene import PHANTOM, Scene, SceneImage
from medground.inference.examine import Limits, examine
from medground.inference.gather import gather
from medground.inference.ground import ground
from medground.inference.request import Looking, Request
from medground.inference.understand import understand
from medground.model.grounder import Grounder
from medground.schema.anatomy import Domain
from medground.schema.record import ImageRecord
from medground.schema.result import BoxPx

BOXES = 100  # per image and question, as COCO counts
SIZE_PX = 1024
NOTED = 20


@dataclass(frozen=True, slots=True)
class Case:
    """A file and the truth about it."""

    path: Path
    record: ImageRecord


def phantom_cases(seeds: Iterable[int], folder: Path) -> Iterator[Case]:
    """Phantoms, each written into the folder as a DICOM study when its turn comes."""
    for seed in seeds:
        image = chest_radiograph(seed, size_px=SIZE_PX)
        (path,) = write_radiograph_study(image, folder)
        yield Case(path, to_record(image, record_id=f"{PHANTOM}{seed}"))


def every_box(
    path: Path, queries: Sequence[str], grounder: Grounder, looking: Looking
) -> tuple[tuple[str, BoxPx, float], ...]:
    """Every box the model proposes for the questions about a film, also those that answers leave out.

    Args:
        path: of one image.
        queries: what is asked.
        grounder: the model.
        looking: how closely.

    Returns:
        Concept, box and score of each; none of a film that is refused.
    """
    questions = [understand(query, grounder.vocabulary) for query in queries]
    (study,) = gather([path]).studies
    seen = [examine(group, questions, grounder, Limits(BOXES, 0.0, looking), lambda: None) for group in study.groups]
    return tuple(
        kept(heard.phrase.concept, candidate.box_xyxy_px, candidate.score)
        for examination in seen
        for look in examination.looks
        for heard in look.reading.phrases
        for candidate in heard.candidates[:BOXES]
    )


def kept(concept: str, box_xyxy_px: BoxPx, score: float) -> tuple[str, BoxPx, float]:
    """A box as scenes keep it: hundredths of a pixel, millionths of a score; more digits say nothing and fill files."""
    x1, y1, x2, y2 = (round(edge, 2) for edge in box_xyxy_px)
    return concept, (x1, y1, x2, y2), round(score, 6)


def measure(
    cases: Iterable[Case],
    grounder: Grounder,
    domain: Domain,
    *,
    system: str,
    data: str,
    looking: Looking | None = None,
    seed: int = 0,
    note: Callable[[str], None] | None = None,
) -> Scene:
    """Asks about every trained finding of the domain on every case, looking as closely as the bundle does by itself.

    Boxes are scored for every question; verdicts only where the answer is known: the finding is marked, or the image
    was labelled exhaustively for it.

    Args:
        cases: what is asked about.
        grounder: the model.
        domain: kind of the images.
        system: name and version of the model.
        data: name of the data.
        looking: how closely; as the bundle does by itself if None.
        seed: of the wording of the questions.
        note: told how far it is, every twentieth image.
    """
    trained = {t.concept: t.boxes for t in grounder.scope.trained if t.domain == domain}
    images: list[SceneImage] = []
    for number, case in enumerate(cases):
        rng = np.random.default_rng((seed, number))
        queries = tuple(
            ask(grounder.vocabulary[c], "zh" if (number + row) % 2 else "en", rng) for row, c in enumerate(trained)
        )
        images.append(_seen(case, tuple(trained), queries, grounder, looking))
        if note and (number + 1) % NOTED == 0:
            note(f"{data}: {number + 1} images")
    real = {t.concept: t.real_boxes for t in grounder.scope.trained if t.domain == domain}
    return Scene(
        system=system,
        data=data,
        training_boxes=trained,
        real_boxes=real,
        images=tuple(images),
        threads=torch.get_num_threads(),
        look=looking.value if looking else None,
    )


def _seen(
    case: Case, concepts: Sequence[str], queries: Sequence[str], grounder: Grounder, looking: Looking | None
) -> SceneImage:
    record = case.record
    result = ground(gather([case.path]), Request(tuple(queries), looking=looking), grounder).result
    marked = {region.concept for region in record.regions}
    return SceneImage(
        image_id=record.record_id,
        patient_id=record.patient_id,
        columns=record.columns,
        rows=record.rows,
        exhaustive_for=tuple(sorted(record.exhaustive_for)),
        truths=tuple((region.concept, region.box.xyxy_px) for region in record.regions),
        drawn_by=tuple(region.source for region in record.regions),
        attributes=groups_of(record),
        detections=every_box(case.path, queries, grounder, Looking(result.settings.mode)),
        answers=tuple(
            (concept, concept in marked, answer.verdict, answer.presence)
            for concept, answer in zip(concepts, result.studies[0].answers, strict=True)
            if concept in marked or concept in record.exhaustive_for
        ),
    )
