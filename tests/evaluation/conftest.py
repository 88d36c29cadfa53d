"""Random scenes with known truth, for every test of the evaluation room."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medground.evaluation.detection import BoxPx, Detection, ImageTruth, Truth

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
