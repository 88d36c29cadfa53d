"""Random scenes with known truth and COCO's own judge, for every test of the evaluation room."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from medground.evaluation.detection import Detection, ImageTruth, Truth
from medground.evaluation.overlap import BoxPx
from medground.schema.box import Box

Scene = tuple[list[ImageTruth], list[Detection]]


def _box(rng: np.random.Generator, whole: bool) -> BoxPx:
    x, y = rng.uniform(0, 60, 2)
    width, height = rng.uniform(5, 40, 2)
    box = np.array([x, y, x + width, y + height])
    x1, y1, x2, y2 = (np.round(box) if whole else box).tolist()
    return x1, y1, x2, y2


def _random_scene(
    seed: int, *, n_images: int = 30, n_patients: int = 12, exhaustive: float = 1.0, ties: bool = False
) -> Scene:
    """Images with 0 to 4 truths of two concepts; some detections are shaken truths, some are anywhere."""
    rng = np.random.default_rng(seed)
    images: list[ImageTruth] = []
    detections: list[Detection] = []

    def score() -> float:
        return float(np.round(rng.random(), 1) if ties else rng.random())

    for i in range(n_images):
        name = f"{i:04d}"
        truths = [
            Truth(name, concept, _box(rng, ties)) for concept in ("nodule", "mass") for _ in range(rng.integers(0, 5))
        ]
        complete = frozenset(c for c in ("nodule", "mass") if rng.random() < exhaustive)
        images.append(ImageTruth(name, f"p{rng.integers(n_patients)}", tuple(truths), complete))
        for truth in truths:
            for _ in range(rng.integers(0, 3)):
                x1, y1, x2, y2 = np.array(truth.box_xyxy_px) + rng.uniform(-2.5, 2.5, 4)
                detections.append(Detection(name, truth.concept, (x1, y1, x2, y2), score()))
        for concept in ("nodule", "mass"):
            detections += [Detection(name, concept, _box(rng, ties), score()) for _ in range(rng.integers(0, 4))]
    return images, detections


@pytest.fixture
def random_scene() -> Callable[..., Scene]:
    return _random_scene


def _coco_average_precision(
    images: list[ImageTruth], detections: list[Detection], concept: str, area: int = 0
) -> list[float]:
    """AP at each of COCO's ten overlaps, by pycocotools; -1 where no truth is of the area.

    `area` is 0 for all, then 1 to 3 for small, medium and large.
    """
    number = {image.image_id: index + 1 for index, image in enumerate(images)}

    def xywh(box: tuple[float, float, float, float]) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    truths = [truth for image in images for truth in image.truths if truth.concept == concept]
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": n} for n in number.values()],
        "categories": [{"id": 1}],
        "annotations": [
            {
                "id": i + 1,
                "image_id": number[truth.image_id],
                "category_id": 1,
                "bbox": xywh(truth.box_xyxy_px),
                "area": Box(**dict(zip(("x1", "y1", "x2", "y2"), truth.box_xyxy_px, strict=True))).area_px2,
                "iscrowd": 0,
            }
            for i, truth in enumerate(truths)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        found = coco.loadRes(
            [
                {"image_id": number[d.image_id], "category_id": 1, "bbox": xywh(d.box_xyxy_px), "score": d.score}
                for d in detections
                if d.concept == concept
            ]
        )
        judge = COCOeval(coco, found, "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, 0, area, 2]  # overlaps x recalls, 100 boxes an image
    return [float(row.mean()) for row in precision]


@pytest.fixture
def coco_average_precision() -> Callable[..., list[float]]:
    return _coco_average_precision
