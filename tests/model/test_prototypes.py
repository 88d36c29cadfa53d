"""Legend: C classes, K prototypes per class, M background prototypes, D width, N rows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from medground.model.prototypes import ABSENT, PrototypeBank, PrototypeConfig
from medground.schema.errors import UsageError

Rows = tuple[Tensor, Tensor, Tensor, Tensor]


def random(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filled(classes: int = 3, width: int = 4, **changes: float) -> PrototypeBank:
    """A bank with arbitrary numbers: the first class has one slot less, and all weights differ."""
    bank = PrototypeBank(classes, width, PrototypeConfig(**{"per_class": 2, "background": 3, **changes}))
    bank.means_CKD.copy_(random(*bank.means_CKD.shape, seed=1))
    bank.weight_CK.copy_(random(*bank.weight_CK.shape, seed=2).abs() + 0.1)
    bank.weight_CK[0, 1:] = 0
    bank.background_MD.copy_(random(*bank.background_MD.shape, seed=3))
    bank.background_weight_M.copy_(torch.arange(1, len(bank.background_weight_M) + 1))
    root = random(width, width, seed=4)
    bank.scatter_DD.copy_(root @ root.T + 0.1 * torch.eye(width))
    bank.scatter_weight.fill_(50)
    bank.ground.see(random(40, width, seed=9))
    bank.set_images(torch.arange(classes) * 20)
    return bank


def steps(count: int, width: int = 3, seed: int = 0) -> list[Rows]:
    """Training steps: two classes, the first with two modes; some steps lack a class or the background."""
    out = []
    for step in range(count):
        rng = np.random.default_rng([seed, step])
        classes = rng.integers(0, 2 if step % 5 else 1, 12)
        rows = rng.normal(size=(12, width)) + 4 * classes[:, None]
        rows[:, 0] += np.where((classes == 0) & (rng.random(12) < 0.5), 6, 0)
        background = rng.normal(size=(0 if step % 4 == 3 else 8, width)) - 3
        weight = rng.uniform(0.5, 1.5, 12)
        out.append(tuple(torch.from_numpy(x) for x in (rows, classes, weight, background)))
    return out


def test_ratio_is_the_log_odds_of_linear_discriminant_analysis():
    rows = random(60, 5) @ random(5, 5, seed=1)
    label = torch.arange(60) % 2
    rows[label == 1] += 1
    judge = LinearDiscriminantAnalysis(priors=[0.5, 0.5], store_covariance=True).fit(rows, label)
    bank = PrototypeBank(2, 5, PrototypeConfig(per_class=1, background=1, shrinkage=0))
    bank.update(rows, label, torch.ones(60), rows[:0])
    assert torch.allclose(bank.scatter_DD, torch.from_numpy(judge.covariance_))
    odds = judge.decision_function(rows)
    ratio = bank.log_ratio(rows, [1, 0]).numpy()
    assert ratio[:, 0] == pytest.approx(odds, abs=1e-4)
    assert ratio[:, 1] == pytest.approx(-odds, abs=1e-4)
    against_background = PrototypeBank(1, 5, bank.config)
    against_background.update(rows[label == 1], label[:30] * 0, torch.ones(30), rows[label == 0])
    assert against_background.log_ratio(rows, [0])[:, 0].numpy() == pytest.approx(odds, abs=1e-4)


def slow_ratio(bank: PrototypeBank, row: Tensor, column: int, shrinkage: float) -> float:
    """The formula as it is written, with whole densities."""
    scatter = bank.scatter_DD.numpy()
    covariance = (1 - shrinkage) * scatter + shrinkage * np.trace(scatter) / len(scatter) * np.eye(len(scatter))

    def mixture(means: Tensor, weight: Tensor) -> float:
        logs = [multivariate_normal.logpdf(row, mean, covariance) for mean in means.numpy()]
        return float(logsumexp(logs, b=(weight / weight.sum()).numpy()))

    classes = [mixture(m, w) for m, w in zip(bank.means_CKD, bank.weight_CK, strict=True)]
    others = [value for index, value in enumerate(classes) if index != column]
    against = [mixture(bank.background_MD, bank.background_weight_M), *others]
    return classes[column] - float(logsumexp(against, b=[0.5] + [0.5 / len(others)] * len(others)))


def test_ratio_with_several_slots_equals_the_densities():
    bank = filled(shrinkage=0.3)
    rows = random(2, 5, 4, seed=9) * 3
    ratio = bank.log_ratio(rows, [2, 0])
    assert ratio.shape == (2, 5, 2)
    assert ratio.dtype == torch.float32
    for place in np.ndindex(2, 5):
        for index, column in enumerate([2, 0]):
            assert float(ratio[place][index]) == pytest.approx(slow_ratio(bank, rows[place], column, 0.3), abs=1e-4)


def test_ratio_stays_exact_far_from_zero():
    bank, moved = filled(), filled()
    moved.means_CKD += 300
    moved.background_MD += 300
    rows = random(20, 4, seed=9)
    assert torch.allclose(moved.log_ratio(rows + 300, [0, 1, 2]), bank.log_ratio(rows, [0, 1, 2]), atol=2e-3)


def test_ratio_where_there_is_nothing_to_compare():
    rows = random(3, 4)
    assert PrototypeBank(2, 4, PrototypeConfig()).log_ratio(rows, [0, 1]).tolist() == [[ABSENT] * 2] * 3
    bank = filled()
    bank.weight_CK[1] = 0
    ratio = bank.log_ratio(rows, [1, -1, 2])
    assert (ratio[:, :2] == ABSENT).all()
    assert ratio[:, 2].isfinite().all()
    alone = filled(classes=1)
    alone.background_weight_M.zero_()
    assert (alone.log_ratio(rows, [0]) == ABSENT).all()
    assert alone.share_C().tolist() == [0]
    assert bank.log_ratio(rows[:0], [0]).shape == (0, 1)
    assert bank.log_ratio(rows, []).shape == (3, 0)
    with pytest.raises(UsageError, match="column 3"):
        bank.log_ratio(rows, [3])


class SlowBank:
    """One row at a time, numpy only."""

    def __init__(self, classes: int, width: int, config: PrototypeConfig) -> None:
        self.config = config
        self.slots = [[(np.zeros(width), 0.0)] * config.per_class for _ in range(classes)]
        self.slots.append([(np.zeros(width), 0.0)] * config.background)
        self.scatter, self.weight = np.zeros((width, width)), 0.0

    def root(self) -> np.ndarray:
        width, share = len(self.scatter), self.config.shrinkage
        if np.trace(self.scatter) == 0:
            return np.eye(width)
        sphere = np.trace(self.scatter) / width * np.eye(width)
        return np.linalg.cholesky((1 - share) * self.scatter + share * sphere)

    def step(self, count: float, weight: float) -> float:
        return max(count / (count + weight), 1 - self.config.keep)

    def update(self, rows: Tensor, classes: Tensor, weights: Tensor, background: Tensor) -> None:
        everything = [(r.numpy(), int(c), float(w)) for r, c, w in zip(rows, classes, weights, strict=True)]
        everything += [(r.numpy(), len(self.slots) - 1, 1.0) for r in background]
        inverse = np.linalg.inv(self.root())
        members: dict[tuple[int, int], list[tuple[np.ndarray, float]]] = {}
        for row, group, weight in everything:
            used = [k for k, (_, seen) in enumerate(self.slots[group]) if seen > 0] or [0]
            near = min(used, key=lambda k: np.linalg.norm(inverse @ (row - self.slots[group][k][0])))
            members.setdefault((group, near), []).append((row, weight))
        before = copy.deepcopy(self.slots)
        scatter, seen = np.zeros_like(self.scatter), 0.0
        for (group, slot), own in members.items():
            mean, weight = self.slots[group][slot]
            count = sum(w for _, w in own)
            mean = mean + self.step(count, weight) * (sum(w * r for r, w in own) / count - mean)
            self.slots[group][slot] = (mean, weight + count)
            scatter = scatter + sum(w * np.outer(r - mean, r - mean) for r, w in own)
            seen += count
        if seen:
            self.scatter = self.scatter + self.step(seen, self.weight) * (scatter / seen - self.scatter)
            self.weight += seen
        for group, slots in enumerate(before):
            free = [k for k, (_, weight) in enumerate(slots) if weight == 0]
            heaviest = int(np.argmax([weight for _, weight in slots]))
            own = members.get((group, heaviest))
            if free and own and 8 * sum(w for _, w in own) <= slots[heaviest][1]:
                self.split(group, heaviest, free[0], own)

    def split(self, group: int, slot: int, free: int, own: list[tuple[np.ndarray, float]]) -> None:
        mean, weight = self.slots[group][slot]
        root = self.root()
        white = [(np.linalg.solve(root, r - mean), w) for r, w in own]
        spread = sum(w * np.outer(r, r) for r, w in white) / sum(w for _, w in own)
        values, vectors = np.linalg.eigh(spread)
        step = 0.1 * np.sqrt(values[-1]) * root @ vectors[:, -1]
        step *= np.sign(step[np.abs(step).argmax()])
        self.slots[group][slot], self.slots[group][free] = (mean + step, weight / 2), (mean - step, weight / 2)


def test_update_equals_a_slow_loop():
    config = PrototypeConfig(per_class=3, background=2, keep=0.95)
    bank, slow = PrototypeBank(2, 3, config), SlowBank(2, 3, config)
    for rows in steps(60):
        bank.update(*rows)
        slow.update(*rows)
        means = torch.cat([*bank.means_CKD, bank.background_MD])
        weights = torch.cat([*bank.weight_CK, bank.background_weight_M])
        flat = [slot for group in slow.slots for slot in group]
        assert weights.numpy() == pytest.approx(np.array([weight for _, weight in flat]))
        assert means.numpy() == pytest.approx(np.array([mean for mean, _ in flat]), abs=1e-8)
        assert bank.scatter_DD.numpy() == pytest.approx(slow.scatter, abs=1e-8)
    assert (bank.weight_CK > 0).all()
    assert (bank.background_weight_M > 0).all()


def adder(processes: int) -> Callable[[int], Callable[[Tensor], Tensor]]:
    """A sum over threads that all have to come, as processes do in an all-reduce."""
    barrier, box = Barrier(processes, timeout=120), [torch.zeros(0)] * processes

    def of(rank: int) -> Callable[[Tensor], Tensor]:
        def total(sums: Tensor) -> Tensor:
            box[rank] = sums
            barrier.wait()
            result = torch.stack(box).sum(0)
            barrier.wait()
            return result

        return total

    return of


def test_two_processes_with_half_of_the_rows_equal_one():
    config = PrototypeConfig(per_class=3, background=2)
    whole, of = PrototypeBank(2, 3, config), adder(2)
    banks = [PrototypeBank(2, 3, config) for _ in range(2)]
    all_steps = steps(40)

    def work(rank: int) -> None:
        for index, (rows, classes, weights, background) in enumerate(all_steps):
            cut = [0, 3, 7][index % 3]  # now and then one process has no row at all
            own = slice(None, cut) if rank == 0 else slice(cut, None)
            banks[rank].update(rows[own], classes[own], weights[own], background[own], total=of(rank))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    for rows in all_steps:
        whole.update(*rows)
    assert (whole.weight_CK > 0).all()
    for bank in banks:
        for name, value in whole.named_buffers():
            assert torch.allclose(bank.get_buffer(name).double(), value.double(), atol=1e-9), name


def test_empty_rows_change_nothing_and_bad_rows_are_left_out():
    bank = filled()
    before = copy.deepcopy(bank.state_dict())
    none = torch.zeros(0, 4)
    bank.update(none, torch.zeros(0, dtype=torch.int64), torch.zeros(0), none)
    bad = torch.tensor([[math.nan, 0, 0, 0], [0, math.inf, 0, 0], [1, 1, 1, 1]])
    bank.update(bad, torch.tensor([0, 1, 2]), torch.tensor([1.0, 1.0, 0.0]), bad[:2])
    for name, value in bank.state_dict().items():
        assert torch.equal(value, before[name]), name
    with pytest.raises(UsageError, match=r"\[3\]"):
        bank.update(bad, torch.tensor([0, 3, 2]), torch.ones(3), none)


def test_the_first_row_alone_is_no_reason_for_a_score():
    bank = PrototypeBank(1, 4, PrototypeConfig())
    bank.update(random(1, 4), torch.tensor([0]), torch.ones(1), torch.zeros(0, 4))
    assert bank.means_CKD[0, 0].tolist() == pytest.approx(random(1, 4)[0].tolist())
    assert bank.share_C().tolist() == [0]
    assert bank.log_ratio(random(2, 4), [0]).tolist() == [[ABSENT], [ABSENT]]


def test_two_modes_are_found():
    width, rng = 16, np.random.default_rng(0)
    scale = np.where(np.arange(width) < 4, 5.0, 0.5)  # noise that is far wider than the distance of the modes
    modes = np.zeros((2, width))
    modes[0, 8:12], modes[1, 8:12] = 2, -2
    bank = PrototypeBank(1, width, PrototypeConfig(per_class=2, background=1))
    for _ in range(400):
        mode = rng.integers(0, 2, 20)
        rows = modes[mode] + rng.normal(size=(20, width)) * scale
        background = rng.normal(size=(20, width)) * scale
        bank.update(
            torch.from_numpy(rows), torch.zeros(20, dtype=torch.int64), torch.ones(20), torch.from_numpy(background)
        )
    found = bank.means_CKD[0].numpy()
    found = found[np.argsort(-found[:, 8])]
    assert np.abs((found - modes) / scale).max() < 0.25
    share = bank.weight_CK[0] / bank.weight_CK.sum()
    assert share.tolist() == pytest.approx([0.5, 0.5], abs=0.1)
    assert bank.scatter_DD.diagonal().sqrt().numpy() == pytest.approx(scale, rel=0.15)


def test_share_falls_with_the_images():
    bank = filled(images_half=20, max_share=0.6)
    assert bank.share_C().tolist() == pytest.approx([0, 0.3, 0.2])  # the images of the first were not counted
    bank.weight_CK[1] = 0
    bank.added_C[2] = True
    bank.images_C[0] = 1
    assert bank.share_C().tolist() == pytest.approx([0.6 * 20 / 21, 0, 1])
    with pytest.raises(UsageError, match="give 3"):
        bank.set_images(torch.tensor([1, 2]))
    with pytest.raises(UsageError, match="-1"):
        bank.set_images(torch.tensor([1, 2, -1]))


def test_blend_by_hand():
    bank = filled(images_half=20, max_share=0.5)
    bank.weight_CK[0] = 0
    bank.added_C[2] = True
    for name, value in {"slope": 0.5, "offset": -3.0, "added_slope": 0.2, "added_offset": -1.0}.items():
        bank.get_buffer(name).fill_(value)
    text = random(2, 5, 4, seed=5).float().requires_grad_()
    embeddings = random(2, 5, 4, seed=6).float().requires_grad_()
    mixed = bank.blend(text, embeddings, [0, 1, 2, -1])
    score = bank.log_ratio(embeddings, [1, 2])
    assert torch.equal(score[..., 1:], bank.ground_ratio(embeddings, [2]))
    score = score * torch.tensor([0.5, 0.2]) - torch.tensor([3.0, 1.0])
    assert torch.equal(mixed[..., [0, 3]], text[..., [0, 3]])
    assert torch.allclose(mixed[..., 1], 0.75 * text[..., 1] + 0.25 * score[..., 0])
    assert torch.allclose(mixed[..., 2], score[..., 1])
    mixed.sum().backward()
    assert text.grad is not None
    assert text.grad[0, 0].tolist() == pytest.approx([1, 0.75, 0, 1])
    assert embeddings.grad is None
    assert bank.blend(text, embeddings, [-1] * 4) is text


def test_nothing_is_trained_by_gradient():
    bank = filled()
    rows = random(6, 4).requires_grad_()
    bank.update(rows, torch.tensor([0, 1, 2, 0, 1, 2]), torch.ones(6), rows)
    assert list(bank.parameters()) == []
    assert not any(value.requires_grad for value in bank.buffers())
    assert not bank.log_ratio(rows, [0]).requires_grad
    assert not bank.with_class(rows, 3).means_CKD.requires_grad


def test_state_round_trip_with_an_added_class():
    bank = filled().with_class(random(5, 4, seed=7), 5)
    copied = PrototypeBank(4, 4, bank.config)
    copied.load_state_dict(bank.state_dict())
    rows = random(6, 4, seed=8)
    assert torch.equal(copied.log_ratio(rows, [0, 1, 2, 3]), bank.log_ratio(rows, [0, 1, 2, 3]))
    assert copied.share_C().tolist() == bank.share_C().tolist()
    assert copied.share_C()[3] == 1
    assert copied.images_C.tolist() == [0, 20, 40, 5]


def test_with_class_leaves_the_rest_and_finds_the_clusters():
    bank = filled(classes=2, per_class=3)
    before = copy.deepcopy(bank.state_dict())
    centres = torch.tensor([[50.0, 0, 0, 0], [0, 50, 0, 0]], dtype=torch.float64)
    rows = centres.repeat_interleave(torch.tensor([3, 2]), 0) + 0.01 * random(5, 4)
    bigger = bank.with_class(rows, 2)
    found = sorted(bigger.means_CKD[2, :2].tolist())
    assert np.array(found) == pytest.approx(np.array([rows[3:].mean(0).tolist(), rows[:3].mean(0).tolist()]))
    assert sorted(bigger.weight_CK[2].tolist()) == [0, 2, 3]
    for name, value in bank.state_dict().items():
        assert torch.equal(value, before[name]), name
        grown = bigger.state_dict()[name]
        assert torch.equal(grown if grown.shape == value.shape else grown[:2], value), name
    probe = random(6, 4, seed=8)
    assert float(bigger.log_ratio(probe[:1], [0])) == pytest.approx(slow_ratio(bigger, probe[0], 0, 0.1), abs=1e-3)
    assert bank.with_class(rows[:1], 1).weight_CK[2].tolist() == [1, 0, 0]
    assert bank.with_class(rows[:1].repeat(6, 1), 1).weight_CK[2].sum() == 6


@pytest.mark.parametrize(
    ("rows", "images", "message"),
    [
        (torch.zeros(0, 4), 1, "at least one"),
        (torch.zeros(2, 4), 0, "at least one"),
        (torch.zeros(2, 5), 1, "rows of 4 numbers"),
        (torch.zeros(4), 1, "rows of 4 numbers"),
        (torch.full((2, 4), math.nan), 1, "2 of 2 example rows are not finite"),
    ],
)
def test_with_class_refuses(rows, images, message):
    with pytest.raises(UsageError, match=message):
        filled().with_class(rows, images)


def test_with_class_needs_a_trained_bank():
    with pytest.raises(UsageError, match="knows no ground"):
        PrototypeBank(2, 4, PrototypeConfig()).with_class(random(3, 4), 3)


@pytest.mark.parametrize(
    "wrong",
    [{"per_class": 0}, {"background": 0}, {"keep": 1.0}, {"shrinkage": 1.1}, {"images_half": 0}, {"max_share": 2}],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        PrototypeConfig(**wrong)
