from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from medground.data.augment import AugmentConfig
from medground.data.dataset import Pool
from medground.data.sample import Held, quantise, restore
from medground.data.vocabulary import load_vocabulary
from medground.imaging.preprocess import standardise
from medground.schema.anatomy import DOMAINS
from pipelines.prototypes import SHARES, VIEWS, choose_share, fit_prototypes
from pipelines.recipes.compact import tiny
from tests.model.shapes import CLASSES, FILM, drawn_picture, trained_bundle


@pytest.mark.parametrize(("figure", "chosen"), [(lambda s: s, SHARES[-1]), (lambda s: -s, 0.0), (lambda _: 0.5, 0.0)])
def test_the_share_that_finds_most_is_taken_and_none_in_doubt(figure, chosen):
    network = copy.deepcopy(trained_bundle(10).network)
    network.weigh_prototypes(0.5)
    tables = choose_share(network, lambda: {"nodule": figure(network.prototypes.config.max_share)})
    assert network.prototypes.config.max_share == network.config.prototypes.max_share == chosen
    assert [table["mean"] for table in tables.values()] == [figure(share) for share in SHARES]


def test_a_network_without_prototypes_stays_without():
    network = copy.deepcopy(trained_bundle(10).network)
    network.weigh_prototypes(0.0)
    assert choose_share(network, lambda: {"nodule": 1.0}) == {}
    assert network.prototypes.config.max_share == 0.0


def test_ground_and_scales_are_fitted_on_views_of_the_pools():
    network = copy.deepcopy(trained_bundle().network)
    classes = tuple(CLASSES.values())
    recipe = tiny().model_copy(update={"concepts": classes, "augment": AugmentConfig(size_px=64, scale=(0.95, 1.05))})
    pool = Pool("drawn", 1.0, tuple(held(seed) for seed in range(24)), (1.0,) * 24)
    fit_prototypes(recipe, network, load_vocabulary(), [pool])
    bank = network.prototypes
    assert bank.images_C.tolist() == [24, 24, 24]
    assert float(bank.ground.count) == VIEWS * (64 + 16 + 4)
    for ratio, slope, offset in (
        (bank.log_ratio, bank.slope, bank.offset),
        (bank.ground_ratio, bank.added_slope, bank.added_offset),
    ):
        assert float(slope) > 0
        inside, outside = [], []
        for number in range(1000, 1010):
            sample = held(number)
            image = torch.from_numpy(restore(sample.pixels_HW))[None, None]
            with torch.no_grad():
                dense = network.dense(network.backbone.look(image), torch.zeros(0, 32))
            score_A = (slope * ratio(dense.embedding_BAD[0], [0])[:, 0] + offset).sigmoid()
            x1, y1, x2, y2 = sample.boxes_G4[0].tolist()
            x_A, y_A = dense.centres_A2.T
            in_A = (x_A > x1) & (x_A < x2) & (y_A > y1) & (y_A < y2)
            inside.append(score_A[in_A].max())
            outside.append(score_A[~in_A].median())
        assert torch.stack(inside).mean() > 1.5 * torch.stack(outside).mean()
        assert 0.05 < float(torch.stack(inside).mean()) < 0.999
    again = copy.deepcopy(bank.state_dict())
    fit_prototypes(recipe, network, load_vocabulary(), [pool])
    assert all(torch.equal(value, again[name]) for name, value in bank.state_dict().items())


def held(seed: int) -> Held:
    picture, boxes = drawn_picture(seed, "sSx")
    return Held(
        pixels_HW=quantise(standardise(picture)),
        boxes_G4=np.array(boxes, np.float32),
        concepts=tuple(CLASSES.values()),
        appearance=((),) * 3,
        exhaustive_for=frozenset(CLASSES.values()),
        domain=DOMAINS.index(FILM),
        real=False,
    )
