from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.imaging.preprocess import prepare
from medground.model.grounder import Grounder
from medground.model.reading import Phrase

NODULE, MASS = Phrase("nodule", "nodule"), Phrase("mass", "mass")


@pytest.fixture
def image():
    return prepare(np.random.default_rng(1).random((140, 180), dtype=np.float32), 128)


def read(grounder, image, phrases, **limits):
    settings = {"max_boxes": 30, "top_k": 3, "min_score": 0.0, **limits}
    return grounder.read([image], phrases, **settings)[0]


def test_boxes_lie_inside_the_stored_image_best_first(bundle, image):
    reading = read(Grounder(bundle), image, [NODULE, MASS])
    assert [p.phrase for p in reading.phrases] == [NODULE, MASS]
    for phrase in reading.phrases:
        scores = [c.score for c in phrase.candidates]
        assert scores == sorted(scores, reverse=True)
        assert 0 <= phrase.presence <= 1
        for candidate in phrase.candidates:
            x1, y1, x2, y2 = candidate.box_xyxy_px
            assert 0 <= x1 < x2 <= 180
            assert 0 <= y1 < y2 <= 140


def test_a_phrase_is_read_the_same_alone_and_in_company(bundle, image):
    grounder = Grounder(bundle)
    alone = read(grounder, image, [MASS]).phrases[0]
    together = read(grounder, image, [NODULE, MASS]).phrases[1]
    assert together.presence == pytest.approx(alone.presence, abs=1e-5)
    assert len(together.candidates) == len(alone.candidates)
    for one, two in zip(together.candidates, alone.candidates, strict=True):
        assert one.box_xyxy_px == pytest.approx(two.box_xyxy_px, abs=1e-2)
        assert one.score == pytest.approx(two.score, abs=1e-5)


def test_limits_hold(bundle, image):
    grounder = Grounder(bundle)
    assert len(read(grounder, image, [NODULE], max_boxes=4).phrases[0].candidates) <= 4
    assert read(grounder, image, [NODULE], min_score=1.0).phrases[0].candidates == ()
    described = read(grounder, image, [NODULE], top_k=2).phrases[0].candidates
    assert all(c.appearance == () for c in described[2:])
    reading = read(grounder, image, [])
    assert reading.phrases == ()
    assert 0 <= reading.domain_probability <= 1


def test_no_two_boxes_of_one_answer_overlap_by_more_than_half(bundle, image):
    boxes = [c.box_xyxy_px for c in read(Grounder(bundle), image, [NODULE]).phrases[0].candidates]
    for row, a in enumerate(boxes):
        for b in boxes[:row]:
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
            assert width * height / union <= 0.5 + 1e-3


def test_without_queries_the_decoder_is_not_asked(bundle, image):
    dense, _ = Grounder(bundle, query_weight=0.0).raw(image, [NODULE])
    mixed, _ = Grounder(bundle, query_weight=0.5).raw(image, [NODULE])
    assert not torch.equal(dense[0].logits_N, mixed[0].logits_N)
    assert dense[0].presence_logit == mixed[0].presence_logit


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (1, 400), (700, 3)])
def test_odd_sizes_have_an_answer(bundle, shape):
    tiny = prepare(np.random.default_rng(0).random(shape, dtype=np.float32), 128)
    reading = read(Grounder(bundle), tiny, [NODULE])
    for candidate in reading.phrases[0].candidates:
        assert candidate.box_xyxy_px[2] <= shape[1]
        assert candidate.box_xyxy_px[3] <= shape[0]
