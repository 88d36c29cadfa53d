from __future__ import annotations

import numpy as np
import pytest

from medground.evaluation.overlap import assign, iou_matrix
from medground.schema.box import Box

BOX = (10.0, 10.0, 30.0, 30.0)


def test_iou_matrix_equals_the_iou_of_boxes(random_scene):
    images, detections = random_scene(5)
    truths = [truth.box_xyxy_px for image in images for truth in image.truths]
    boxes = [d.box_xyxy_px for d in detections if min(d.box_xyxy_px) >= 0][:40]
    names = ("x1", "y1", "x2", "y2")
    as_boxes, as_truths = ([Box(**dict(zip(names, b, strict=True))) for b in group] for group in (boxes, truths))
    slow = np.array([[a.iou(b) for b in as_truths] for a in as_boxes])
    assert (slow > 0).any()
    np.testing.assert_allclose(iou_matrix(boxes, truths), slow, atol=1e-12)


def slow_assign(iou_DG, least, counts_G):
    """Truths that count are asked first, then the others; the last of the nearest free ones is taken."""
    free, taken = set(range(len(counts_G))), []
    for row in iou_DG:
        best = -1
        for wanted in (True, False):
            able = [g for g in sorted(free) if counts_G[g] == wanted and row[g] >= least]
            if able and best < 0:
                best = max(able, key=lambda g: (row[g], g))
        taken.append(best)
        free.discard(best)
    return taken


@pytest.mark.parametrize("seed", range(30))
def test_assignment_equals_a_slow_one(seed):
    rng = np.random.default_rng(seed)
    iou_DG = rng.integers(0, 6, (rng.integers(0, 9), rng.integers(0, 6))) / 5
    counts_G = rng.random(iou_DG.shape[1]) < 0.6
    assert assign(iou_DG, 0.4, counts_G).tolist() == slow_assign(iou_DG, 0.4, counts_G)


def test_without_boxes_or_truths_nothing_is_taken():
    none = np.ones(0, dtype=bool)
    assert iou_matrix([], [BOX]).shape == (0, 1)
    assert iou_matrix([BOX], []).shape == (1, 0)
    assert assign(iou_matrix([BOX], []), 0.5, none).tolist() == [-1]
    assert assign(iou_matrix([], [BOX]), 0.5, np.ones(1, dtype=bool)).tolist() == []
