"""What a system said about every image of a data set, beside the truth: kept with a run, to compare runs by."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from medground.evaluation.detection import Detection, ImageTruth, Truth
from medground.evaluation.files import replace_file
from medground.evaluation.report import EvaluationReport, evaluate
from medground.evaluation.verdicts import Asked
from medground.schema.config import StrictConfig
from medground.schema.errors import UsageError
from medground.schema.rarity import RARE_REAL_BOXES
from medground.schema.result import Verdict
from medground.schema.subgroup import Axis

ENDING = ".scene.json.gz"
MOST_BYTES = 256 << 20
"""Of a scene, unpacked; one of a thousand films has some 20 MB."""
MOST_THREADS = 1024
RARE_BELOW = RARE_REAL_BOXES
PHANTOM = "phantom-"
"""What the id of a phantom's image begins with; its seed follows."""
_PHANTOM_ID = re.compile(rf"{PHANTOM}[0-9]{{1,18}}", re.ASCII)
Box = tuple[float, float, float, float]


class SceneImage(StrictConfig):
    """One image: concept and xyxy box of each truth, the same with a score of each detection, and the answers.

    `columns` and `rows` are those of the stored image; both None in files from before they were kept. `drawn_by` is the
    source of each truth; empty in files from before it was kept. `attributes` is what is known of the image as a whole,
    in coarse words; empty in files from before it was kept.
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
    attributes: dict[Axis, str] = Field(default_factory=dict)

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
        threads: of the processor that measured it, which settle how sums are rounded; None in files from before that.
        look: how closely images were looked at, where whoever measured said so; None for as the bundle does by itself.
    """

    format: Literal[1] = 1
    system: str
    data: str
    training_boxes: dict[str, int]
    real_boxes: dict[str, int] | None = None
    images: tuple[SceneImage, ...]
    threads: int | None = Field(default=None, ge=1, le=MOST_THREADS)
    look: Literal["once", "closer", "all"] | None = None

    @model_validator(mode="after")
    def _counts_the_same_concepts(self) -> Scene:
        if self.real_boxes is not None and set(self.real_boxes) != set(self.training_boxes):
            odd = sorted(set(self.real_boxes) ^ set(self.training_boxes))
            raise ValueError(f"real_boxes and training_boxes need the same concepts, only one of them has {odd}")
        return self

    @property
    def is_synthetic(self) -> bool:
        """Whether there are images, and each is a phantom: known by its id, which is its patient's too."""
        return bool(self.images) and all(
            _PHANTOM_ID.fullmatch(image.image_id) and image.patient_id == image.image_id for image in self.images
        )

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
    """Writes a scene as JSON under gzip, whole or not at all; equal scenes give equal bytes.

    Raises:
        UsageError: if it cannot be written.
    """
    replace_file(path, gzip.compress(scene.model_dump_json().encode(), mtime=0))


def unpacked(content: bytes, most: int) -> bytes:
    """The JSON of a scene's file.

    Args:
        content: of the file.
        most: bytes that it may unpack to; no more are unpacked.

    Raises:
        ValueError: it is no gzip, cut short, too large, or followed by something.
    """
    reader = zlib.decompressobj(wbits=31)  # gzip
    try:
        text = reader.decompress(content, most + 1)
    except zlib.error as error:
        raise ValueError("it is no gzip") from error
    if len(text) > most or not reader.eof or reader.unused_data:
        raise ValueError("it is cut short, too large, or followed by something")
    return text


def load_scene(path: Path) -> Scene:
    """Reads what `save_scene` wrote.

    Raises:
        UsageError: if it is cut short, too large or something else.
    """
    try:
        return Scene.model_validate_json(unpacked(path.read_bytes(), MOST_BYTES))
    except (OSError, ValueError) as error:
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
