from __future__ import annotations

import numpy as np
import torch

from medground.data.augment import AugmentConfig
from medground.data.dataset import MixedDataset, Pool, inverse_root_weights
from medground.data.sample import Held

CONCEPTS = ("nodule", "mass")


def held(concepts: tuple[str, ...], shade: int = 100, domain: int = 0) -> Held:
    boxes = np.array([[10, 10, 40, 40]] * len(concepts), dtype=np.float32).reshape(-1, 4)
    return Held(
        np.full((64, 64), shade, np.uint8), boxes, concepts, frozenset({"nodule"}), domain, ((),) * len(concepts), True
    )


def dataset(length: int = 400) -> MixedDataset:
    pools = [
        Pool("a", 3.0, (held(("nodule",)), held(("cavity", "mass"))), (1.0, 1.0)),
        Pool("b", 1.0, (held((), domain=1),), (1.0,)),
        Pool("empty", 5.0, (), ()),
    ]
    return MixedDataset(pools, CONCEPTS, AugmentConfig(size_px=64, scale=(0.9, 1.1)), seed=1, length=length)


def test_a_sample_depends_on_its_number_alone():
    one, two = dataset(), dataset()
    _ = [one[n] for n in range(5)]
    assert torch.equal(one[17].image_CHW, two[17].image_CHW)
    assert not torch.equal(one[17].image_CHW, one[18].image_CHW)


def test_shares_hold_and_untrained_concepts_are_left_out():
    samples = [dataset()[n] for n in range(400)]
    from_a = sum(s.domain == 0 for s in samples)
    assert 270 <= from_a <= 330  # 3 of 4, five standard deviations
    for sample in samples:
        assert sample.exhaustive_C.tolist() == [True, False]
        assert len(sample.boxes_G4) == len(sample.concept_G) == len(sample.appearance_G)
        assert set(sample.concept_G.tolist()) <= {0, 1}


def test_rare_findings_are_drawn_more_often():
    items = [held(("nodule",))] * 9 + [held(("mass",))] + [held(())]
    weights = inverse_root_weights(items)
    assert weights == (1.0,) * 9 + (3.0,) + (1.0,)
    assert inverse_root_weights([held(())] * 2) == (1.0, 1.0)


def test_a_mosaic_is_exhaustive_for_what_all_four_are_and_keeps_every_box_of_one_kind_of_image():
    other = Held(
        np.full((64, 64), 100, np.uint8), np.zeros((0, 4), np.float32), (), frozenset({"nodule", "mass"}), 0, (), True
    )
    pools = [Pool("a", 1.0, (held(("nodule",)), other), (1.0, 1.0))]
    config = AugmentConfig(size_px=96, scale=(0.99, 1.01), aspect=0.0, mosaic=1.0)
    samples = [MixedDataset(pools, CONCEPTS, config, seed=1, length=50)[n] for n in range(50)]
    counts = {len(sample.boxes_G4) for sample in samples}
    assert max(counts) == 4  # the square is as large as the view: each of four nodules stays in it
    for sample in samples:
        if len(sample.boxes_G4):
            assert sample.exhaustive_C.tolist() == [True, False]  # the labelled one is not exhaustive for masses
