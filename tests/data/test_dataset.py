from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from medground.data.augment import AugmentConfig
from medground.data.dataset import MixedDataset, Pool, augmented, inverse_root_weights
from medground.data.sample import Held
from medground.training.batch import Batch

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


def test_views_of_a_close_pool_have_its_magnification_and_are_no_mosaics():
    large = Held(
        np.full((800, 800), 100, np.uint8),
        np.array([[300, 300, 360, 340]], np.float32),
        ("nodule",),
        frozenset(),
        0,
        ((),),
        True,
    )
    config = AugmentConfig(size_px=128, scale=(0.1, 0.11), aspect=0.0, mosaic=1.0, focus=1.0)
    samples = MixedDataset([Pool("close", 1.0, (large,), (1.0,), (0.5, 1.0))], CONCEPTS, config, seed=1, length=60)
    widths = [float(box[2] - box[0]) for n in range(60) for box in samples[n].boxes_G4]
    assert len(widths) == 60  # one box a view: no view is a mosaic, each holds the lesion
    assert 29 <= min(widths) < 36
    assert 52 < max(widths) <= 61


def test_a_slice_brings_its_neighbours_and_a_film_stands_for_its_own():
    below, above = np.full((64, 64), 50, np.uint8), np.full((64, 64), 200, np.uint8)
    ct = replace(held(("nodule",), domain=1), beside_2HW=np.stack([below, above]))
    plain = AugmentConfig(size_px=64, scale=(1.0, 1.0), aspect=0.0)
    three = augmented([ct], CONCEPTS, plain, np.random.default_rng(0))
    assert three.image_CHW.shape == (3, 64, 64)
    means = [float(channel.mean()) for channel in three.image_CHW]
    assert means[0] < means[1] < means[2]
    film = augmented([held(("nodule",))], CONCEPTS, plain, np.random.default_rng(0))
    batch = Batch.of([three, film])
    assert batch.images_BCHW.shape == (2, 3, 64, 64)
    assert torch.equal(batch.images_BCHW[1, 0], batch.images_BCHW[1, 2])
    assert torch.equal(batch.own_B1HW[:, 0], batch.images_BCHW[:, 1])
    alone = Batch.of([film])
    assert torch.equal(alone.own_B1HW, alone.images_BCHW)


def test_a_view_of_one_film_has_another_side_and_one_of_several_has_none():
    plain = AugmentConfig(size_px=64, scale=(1.0, 1.0), aspect=0.0)
    film, pasted = held(("nodule",)), replace(held(("nodule",)), copied=True)
    one, four, other = (
        augmented(items, CONCEPTS, plain, np.random.default_rng(0)) for items in ([film], [film] * 4, [pasted])
    )
    assert one.opposite_23 is not None
    torch.testing.assert_close(one.opposite_23, torch.tensor([[-1.0, 0, 64], [0, 1, 0]]))
    assert four.opposite_23 is None
    assert other.opposite_23 is None
    batch = Batch.of([one, four, other])
    assert torch.equal(batch.opposite_B23[0], one.opposite_23)
    assert bool(batch.opposite_B23[1:].isnan().all())
