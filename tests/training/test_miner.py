from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from medground.data.augment import AugmentConfig
from medground.data.dataset import LIMB as TURNED
from medground.data.dataset import augmented
from medground.data.sample import Held
from medground.model.dense_head import Dense
from medground.training.batch import NO_OTHER_SIDE, Batch
from medground.training.miner import Hard, MinerConfig, Mistake, ReplayPool, counts, mine

CONFIG = MinerConfig()
NODULE, MASS, EFFUSION = 0, 1, 2
CHEST, LIMB = 0, 1
WHOLE = torch.tensor([[-1.0, 0, 200], [0, 1, 0]])  # opposite sides of a view that shows a film whole


def said(boxes: list[tuple[float, ...]], scores: list[tuple[float, ...]]) -> Dense:
    boxes_BA4 = torch.tensor([boxes])
    logits_BAP = torch.logit(torch.tensor([scores]), eps=1e-6)
    count = len(boxes)
    embedding_BAD, distances_BA4K = torch.zeros(1, count, 3), torch.zeros(1, count, 4, 2)
    return Dense(logits_BAP, embedding_BAD, distances_BA4K, boxes_BA4, torch.zeros(count, 2), torch.ones(count))


def truth(
    boxes: list[tuple[float, ...]],
    concepts: list[int],
    exhaustive: list[bool],
    domain: int = CHEST,
    opposite_23: torch.Tensor = WHOLE,
) -> Batch:
    return Batch(
        torch.zeros(1, 1, 200, 200),
        (torch.tensor(boxes).reshape(-1, 4),),
        (torch.tensor(concepts, dtype=torch.int64),),
        torch.tensor([exhaustive]),
        torch.tensor([domain]),
        (((),) * len(boxes),),
        opposite_23[None],
    )


def mistakes(dense: Dense, batch: Batch) -> dict[tuple[Mistake, int], object]:
    confusable = {NODULE: frozenset({MASS}), MASS: frozenset({NODULE})}
    found = mine(dense, batch, [41], confusable, CONFIG, mirrored_domains=frozenset({CHEST}))
    assert {one.sample for one in found} <= {41}
    return {(one.kind, one.concept): pytest.approx(one.score, abs=1e-5) for one in found}


LESION = (20.0, 20.0, 60.0, 60.0)
SHIFTED = (35.0, 20.0, 75.0, 60.0)  # IoU with LESION: 25 / 55 = 0.45
ALL = [True, True, True]


def test_a_near_miss_is_the_best_box_on_a_lesion_and_not_a_lesser_one() -> None:
    batch = truth([LESION], [NODULE], ALL)
    off = said([SHIFTED, LESION], [(0.9, 0, 0), (0.1, 0, 0)])
    assert mistakes(off, batch) == {(Mistake.NEAR_MISS, NODULE): 0.9}
    found = said([SHIFTED, LESION], [(0.5, 0, 0), (0.9, 0, 0)])
    assert mistakes(found, batch) == {}


def test_a_box_on_nothing_counts_where_the_image_proves_it() -> None:
    elsewhere = (100.0, 150.0, 140.0, 190.0)
    dense = said([elsewhere, LESION], [(0, 0, 0.7), (0.9, 0, 0)])
    assert mistakes(dense, truth([LESION], [NODULE], ALL)) == {(Mistake.CONFIDENT, EFFUSION): 0.7}
    assert mistakes(dense, truth([LESION], [NODULE], [True, True, False])) == {}
    quiet = said([elsewhere, LESION], [(0, 0, 0.1), (0.9, 0, 0)])
    assert mistakes(quiet, truth([LESION], [NODULE], ALL)) == {}


def test_a_mass_called_a_nodule_and_a_lesion_on_the_other_side() -> None:
    dense = said([LESION, LESION], [(0.8, 0, 0), (0, 0.9, 0)])
    assert mistakes(dense, truth([LESION], [MASS], ALL)) == {(Mistake.CONFUSED, NODULE): 0.8}
    other_side = (140.0, 20.0, 180.0, 60.0)
    mirrored = said([other_side], [(0.6, 0, 0)])
    assert mistakes(mirrored, truth([LESION], [NODULE], ALL)) == {(Mistake.MIRRORED, NODULE): 0.6}
    # A limb has no other side.
    assert mistakes(mirrored, truth([LESION], [NODULE], ALL, LIMB)) == {(Mistake.CONFIDENT, NODULE): 0.6}
    # Nor has a view of several films, nor one of the right half of a film alone.
    for opposite_23 in (NO_OTHER_SIDE, torch.tensor([[-1.0, 0, 0], [0, 1, 0]])):
        batch = truth([LESION], [NODULE], ALL, opposite_23=opposite_23)
        assert mistakes(mirrored, batch) == {(Mistake.CONFIDENT, NODULE): 0.6}


COLUMNS, ROWS = 340, 416
VIEWS = {
    "chest": (CHEST, AugmentConfig(size_px=352, scale=(0.65, 1.15), focus=0.4)),
    "close": (CHEST, AugmentConfig(size_px=320, scale=(0.9, 1.4), aspect=0.2)),
    "turned": (TURNED, AugmentConfig(size_px=352, scale=(0.65, 1.4))),
}


def kinds_in_views(kind_of_view: str, side_px: int, *, across: bool) -> list[set[Mistake]]:
    """What an answer for a lesion is, in random views that show both: mirrored on the film, or beside it on its side.

    The augmentation itself brings lesion and answer into the view, as two boxes of one film.
    """
    domain, config = VIEWS[kind_of_view]
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        room = COLUMNS / 2 - side_px * (1 if across else 2)
        x, y = float(rng.uniform(0, room)), float(rng.uniform(0, ROWS - side_px))
        answer_x = COLUMNS - x - side_px if across else float(rng.uniform(x + side_px, COLUMNS / 2 - side_px))
        boxes = np.array([[left, y, left + side_px, y + side_px] for left in (x, answer_x)], np.float32)
        if rng.random() < 0.5:
            boxes[:, [0, 2]] = COLUMNS - boxes[:, [2, 0]]
        film = Held(
            np.zeros((ROWS, COLUMNS), np.uint8),
            boxes,
            ("nodule", "mass"),
            frozenset({"nodule"}),
            domain,
            ((), ()),
            True,
        )
        sample = augmented([film], ("nodule", "mass"), config, rng)
        if len(sample.boxes_G4) < 2:
            continue
        lesion_14, answer_14 = sample.boxes_G4[:1], sample.boxes_G4[1:]
        batch = replace(Batch.of([sample]), boxes=(lesion_14,), concepts=(torch.tensor([NODULE]),), appearance=(((),),))
        dense = said([tuple(answer_14[0].tolist())], [(0.9, 0)])
        mined = mine(dense, batch, [0], {}, CONFIG, mirrored_domains=frozenset({domain}))
        found.append({mistake.kind for mistake in mined})
    assert len(found) >= 20
    return found


@pytest.mark.parametrize("kind_of_view", list(VIEWS))
@pytest.mark.parametrize("side_px", [20, 40, 80])
def test_an_answer_on_the_other_side_of_the_film_is_known_in_every_view(kind_of_view: str, side_px: int) -> None:
    assert all(kinds == {Mistake.MIRRORED} for kinds in kinds_in_views(kind_of_view, side_px, across=True))


@pytest.mark.parametrize("kind_of_view", list(VIEWS))
@pytest.mark.parametrize("side_px", [40, 80])
def test_an_answer_beside_it_on_the_same_side_is_never_on_the_other(kind_of_view: str, side_px: int) -> None:
    assert all(kinds == {Mistake.CONFIDENT} for kinds in kinds_in_views(kind_of_view, side_px, across=False))


def test_an_image_without_boxes_and_a_silent_model() -> None:
    dense = said([LESION, SHIFTED], [(0.9, 0, 0), (0.8, 0, 0)])
    assert mistakes(dense, truth([], [], ALL)) == {(Mistake.CONFIDENT, NODULE): 0.9}
    assert mistakes(said([LESION], [(0, 0, 0)]), truth([], [], ALL)) == {}


def hard(sample: int, score: float) -> Hard:
    return Hard(sample, Mistake.CONFIDENT, 0, score)


def test_the_pool_keeps_the_worst_and_lets_go_what_is_right() -> None:
    pool = ReplayPool(3)
    pool.update([1, 2, 3, 4, 5], [hard(1, 0.2), hard(2, 0.9), hard(2, 0.3), hard(3, 0.5), hard(4, 0.4)])
    assert sorted(pool.draw(9, np.random.default_rng(0))) == [2, 3, 4]
    pool.update([2, 3], [hard(3, 0.6)])
    assert sorted(pool.draw(9, np.random.default_rng(0))) == [3, 4]
    again = ReplayPool(3)
    again.restore(pool.state())
    draws = [[p.draw(1, np.random.default_rng(n)) for n in range(50)] for p in (pool, again)]
    assert draws[0] == draws[1]
    assert {one for (one,) in draws[0]} == {3, 4}
    assert ReplayPool(3).draw(4, np.random.default_rng(0)) == []


def test_worse_samples_are_drawn_more_often() -> None:
    pool = ReplayPool(10)
    pool.update([1, 2], [hard(1, 0.9), hard(2, 0.1)])
    rng = np.random.default_rng(0)
    first = sum(pool.draw(1, rng) == [1] for _ in range(500))
    assert abs(first - 450) < 4 * (500 * 0.9 * 0.1) ** 0.5


def test_counts() -> None:
    tally = counts([hard(1, 0.5), hard(2, 0.5)])
    assert tally["mined/confident"] == 2
    assert set(tally) == {f"mined/{kind}" for kind in Mistake}


def test_nothing_is_changed() -> None:
    dense, batch = said([LESION], [(0.9, 0, 0)]), truth([LESION], [MASS], ALL)
    dense.logits_BAP.requires_grad_(True)
    before = dense.boxes_BA4.clone()
    mine(dense, batch, [0], {}, CONFIG)
    assert torch.equal(dense.boxes_BA4, before)
    assert dense.logits_BAP.grad is None
