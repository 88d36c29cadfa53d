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
    assert torch.equal(one[17].image_1HW, two[17].image_1HW)
    assert not torch.equal(one[17].image_1HW, one[18].image_1HW)


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
