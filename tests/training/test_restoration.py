from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from medground.imaging.preprocess import BLACK
from medground.schema.errors import UsageError
from medground.training.restoration import (
    RestorationConfig,
    RestorationHead,
    hide,
    restoration_loss,
    restoration_targets,
)

CONFIG = RestorationConfig()
STRIDES_PX = (8, 16, 32)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed))


def features(images: int, rows: int, columns: int, width: int, seed: int = 1) -> list[Tensor]:
    return [noise(images, width, rows // s, columns // s, seed=seed + s) for s in STRIDES_PX]


def slow_targets(image_HW: Tensor, stride: int, config: RestorationConfig) -> list[list[float]]:
    """Value by value, with the standard deviation written out."""
    pixels, patch, square = image_HW.tolist(), config.patch_px, stride // config.values
    rows, columns = image_HW.shape
    out = [[0.0] * (columns // square) for _ in range(rows // square)]
    for top in range(0, rows, patch):
        for left in range(0, columns, patch):
            inside = [pixels[y][x] for y in range(top, top + patch) for x in range(left, left + patch)]
            mean = sum(inside) / len(inside)
            scale = math.sqrt(sum((v - mean) ** 2 for v in inside) / len(inside)) + config.softening
            for y in range(top, top + patch, square):
                for x in range(left, left + patch, square):
                    means = [pixels[y + j][x + i] for j in range(square) for i in range(square)]
                    out[y // square][x // square] = (sum(means) / len(means) - mean) / scale
    return out


def identity_head(config: RestorationConfig = CONFIG) -> RestorationHead:
    """A head that repeats the features of a cell, one for each of its values."""
    head = RestorationHead(config.values**2, STRIDES_PX, config)
    square = torch.eye(config.values**2)[:, :, None, None]
    for index in range(len(STRIDES_PX)):
        head.project[index].load_state_dict({"weight": square, "bias": torch.zeros(config.values**2)})
    return head


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_the_share_is_exact_in_each_image(share: float) -> None:
    images_B1HW = noise(3, 1, 96, 160)
    _, hidden_BHW = hide(images_B1HW, RestorationConfig(hidden=share), rng())
    assert hidden_BHW.shape == (3, 3, 5)
    assert hidden_BHW.dtype == torch.bool
    assert hidden_BHW.sum((1, 2)).tolist() == [round(15 * share)] * 3


def test_hidden_patches_are_blank_and_all_others_untouched() -> None:
    images_B1HW = noise(2, 1, 64, 96)
    before = images_B1HW.clone()
    seen_B1HW, hidden_BHW = hide(images_B1HW, CONFIG, rng())
    for image in range(2):
        for row in range(2):
            for column in range(3):
                where = (image, 0, slice(32 * row, 32 * row + 32), slice(32 * column, 32 * column + 32))
                expected = torch.zeros(32, 32) if hidden_BHW[image, row, column] else before[where]
                assert torch.equal(seen_B1HW[where], expected)
    assert torch.equal(images_B1HW, before)


def test_the_generator_alone_decides() -> None:
    images_B1HW = noise(2, 1, 128, 128)
    torch.manual_seed(1)
    first = hide(images_B1HW, CONFIG, rng(5))[1]
    torch.manual_seed(2)
    assert torch.equal(hide(images_B1HW, CONFIG, rng(5))[1], first)
    assert not torch.equal(hide(images_B1HW, CONFIG, rng(6))[1], first)
    assert not torch.equal(first[0], first[1])


def test_every_patch_is_hidden_equally_often() -> None:
    images_B1HW = noise(1, 1, 8, 8).expand(2000, 1, 8, 8)
    small = RestorationConfig(patch_px=2, values=1, hidden=0.25)
    often_HW = hide(images_B1HW, small, rng())[1].float().mean(0)
    assert (often_HW - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / 2000)


@pytest.mark.parametrize("value", [BLACK, -3.0, 0.1])
def test_flat_patches_are_neither_hidden_nor_counted(value: float) -> None:
    images_B1HW = noise(2, 1, 128, 128)
    images_B1HW[0, :, 32:64] = value  # the second row of patches, 4 of 16
    images_B1HW[1] = value
    for seed in range(20):
        seen_B1HW, hidden_BHW = hide(images_B1HW, CONFIG, rng(seed))
        assert hidden_BHW.sum((1, 2)).tolist() == [6, 0]
        assert not hidden_BHW[0, 1].any()
        assert torch.equal(seen_B1HW[0, :, 32:64], images_B1HW[0, :, 32:64])
    head = RestorationHead(6, STRIDES_PX, CONFIG)
    levels = features(2, 128, 128, 6)
    total, count = restoration_loss(head, levels, STRIDES_PX, images_B1HW, hidden_BHW)
    alone = restoration_loss(head, [level[:1] for level in levels], STRIDES_PX, images_B1HW[:1], hidden_BHW[:1])
    assert count == 6
    torch.testing.assert_close((total, count), alone)


def test_targets_equal_a_slow_loop_and_ignore_brightness_and_contrast() -> None:
    config = RestorationConfig(softening=1e-6)
    images_B1HW = noise(2, 1, 32, 64)
    targets = restoration_targets(images_B1HW, STRIDES_PX, config)
    assert [tuple(target.shape) for target in targets] == [(2, 1, 16, 32), (2, 1, 8, 16), (2, 1, 4, 8)]
    for stride, target in zip(STRIDES_PX, targets, strict=True):
        for image in range(2):
            slow = torch.tensor(slow_targets(images_B1HW[image, 0], stride, config))
            torch.testing.assert_close(target[image, 0], slow, atol=1e-5, rtol=1e-4)
    scaled = restoration_targets(images_B1HW * 0.3 + 1.2, STRIDES_PX, config)
    torch.testing.assert_close(scaled, targets, atol=1e-4, rtol=1e-4)


def test_a_perfect_head_has_no_loss_and_errors_count_only_where_hidden() -> None:
    images_B1HW = noise(1, 1, 64, 64)
    hidden_BHW = torch.tensor([[[True, False], [False, True]]])
    levels = []
    for stride in STRIDES_PX:
        target = torch.tensor(slow_targets(images_B1HW[0, 0], stride, CONFIG))
        levels.append(F.pixel_unshuffle(target[None, None], CONFIG.values))
    head = identity_head()
    total, count = restoration_loss(head, levels, STRIDES_PX, images_B1HW, hidden_BHW)
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert count == 2
    for level in levels:
        side = level.shape[2] // 2
        level[:, :, :side, side:] += 7.0  # a patch that was seen
    assert restoration_loss(head, levels, STRIDES_PX, images_B1HW, hidden_BHW)[0].item() == pytest.approx(0, abs=1e-6)
    levels[1][:, :, :2, :2] += 3.0  # a hidden patch, one level of three: smooth L1 of 3 is 2.5
    total, _ = restoration_loss(head, levels, STRIDES_PX, images_B1HW, hidden_BHW)
    assert total.item() == pytest.approx(2.5 / 3, rel=1e-4)


@pytest.mark.parametrize("patch_px", [16, 32, 64])
def test_loss_equals_a_slow_loop(patch_px: int) -> None:
    config = RestorationConfig(patch_px=patch_px)
    images_B1HW, levels = noise(2, 1, 64, 128), features(2, 64, 128, 5)
    hidden_BHW = hide(images_B1HW, config, rng())[1]
    torch.manual_seed(0)
    head = RestorationHead(5, STRIDES_PX, config)
    total, count = restoration_loss(head, levels, STRIDES_PX, images_B1HW, hidden_BHW)
    slow = 0.0
    for index, stride in enumerate(STRIDES_PX):
        side = patch_px * 4 // stride
        weights = head.project[index].state_dict()
        weight_OC, bias_O = weights["weight"][:, :, 0, 0], weights["bias"]
        for image, row, column in hidden_BHW.nonzero().tolist():
            wanted = slow_targets(images_B1HW[image, 0], stride, config)
            for y in range(row * side, row * side + side):
                for x in range(column * side, column * side + side):
                    said_O = weight_OC @ levels[index][image, :, y // 4, x // 4] + bias_O
                    off = abs(said_O[y % 4 * 4 + x % 4].item() - wanted[y][x])
                    slow += (off**2 / 2 if off < 1 else off - 0.5) / side**2 / len(STRIDES_PX)
    assert count == hidden_BHW.sum()
    assert total.item() == pytest.approx(slow, rel=1e-4)


def test_nothing_hidden_is_zero_with_a_gradient() -> None:
    images_B1HW, levels = torch.full((2, 1, 64, 64), BLACK), features(2, 64, 64, 5)
    seen_B1HW, hidden_BHW = hide(images_B1HW, CONFIG, rng())
    head = RestorationHead(5, STRIDES_PX, CONFIG)
    total, count = restoration_loss(head, levels, STRIDES_PX, images_B1HW, hidden_BHW)
    gradients = torch.autograd.grad(total, list(head.parameters()))
    assert torch.equal(seen_B1HW, images_B1HW)
    assert (total.item(), count.item()) == (0, 0)
    assert not any(gradient.any() for gradient in gradients)
    none = restoration_loss(head, features(0, 64, 64, 5), STRIDES_PX, images_B1HW[:0], hidden_BHW[:0])
    assert (none[0].item(), none[1].item()) == (0, 0)


def test_two_halves_add_up_to_the_whole() -> None:
    images_B1HW, levels = noise(4, 1, 64, 64), features(4, 64, 64, 5)
    images_B1HW[0, :, :32] = BLACK  # the halves have unequal counts
    hidden_BHW = hide(images_B1HW, CONFIG, rng())[1]
    head = RestorationHead(5, STRIDES_PX, CONFIG)

    def loss(part: slice) -> Tensor:
        cut = [level[part] for level in levels]
        return torch.stack(restoration_loss(head, cut, STRIDES_PX, images_B1HW[part], hidden_BHW[part]))

    torch.testing.assert_close(loss(slice(0, 1)) + loss(slice(1, 4)), loss(slice(0, 4)))
    assert loss(slice(0, 4))[1] == 1 + 3 * 2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="48 x 64 px"):
        hide(noise(1, 1, 48, 64), CONFIG, rng())
    with pytest.raises(UsageError, match="stride 8 px"):
        RestorationHead(5, STRIDES_PX, RestorationConfig(values=3))
    with pytest.raises(UsageError, match="patch of 12 px"):
        RestorationHead(5, STRIDES_PX, RestorationConfig(patch_px=12))
    head = RestorationHead(5, STRIDES_PX, CONFIG)
    hidden_BHW = torch.ones(1, 2, 2, dtype=torch.bool)
    with pytest.raises(UsageError, match=r"\(4, 8, 16\)"):
        restoration_loss(head, features(1, 64, 64, 5), (4, 8, 16), noise(1, 1, 64, 64), hidden_BHW)
    with pytest.raises(ValidationError):
        RestorationConfig(hidden=1.0)


class SmallPyramid(nn.Module):
    """Strides 8, 16 and 32 with a way down, so that a fine cell sees around its patch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.PixelUnshuffle(8), nn.Conv2d(64, width, 3, 1, 1), nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1), nn.SiLU()
        )
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(2))
        self.wide = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.SiLU())

    def forward(self, images_B1HW: Tensor) -> list[Tensor]:
        fine = self.fine(images_B1HW)
        middle = F.silu(self.down[0](fine))
        coarse = self.wide(F.silu(self.down[1](middle)))
        middle = middle + F.interpolate(coarse, scale_factor=2.0)
        return [fine + F.interpolate(middle, scale_factor=2.0), middle, coarse]


def smooth_films(count: int, side: int, seed: int = 0) -> Tensor:
    """Two bright lungs on a gradient, each film placed and sized a little differently."""
    axis = torch.linspace(-1, 1, side)
    y_HW, x_HW = torch.meshgrid(axis, axis, indexing="ij")
    films = []
    for dy, dx, size, tilt in (0.3 * noise(count, 4, seed=seed)).clamp(-0.5, 0.5).tolist():
        film_HW = tilt * y_HW - 0.5
        for centre in (-0.45, 0.45):
            film_HW = film_HW + torch.exp(
                -((x_HW - centre - dx / 3) ** 2) / 0.06 - ((y_HW - dy / 3) ** 2) / (0.3 + 0.2 * size)
            )
        films.append(2 * film_HW)
    return torch.stack(films)[:, None]


def test_a_small_pyramid_learns_to_restore() -> None:
    torch.manual_seed(0)
    images_B1HW = smooth_films(8, 128)
    pyramid, head = SmallPyramid(32), RestorationHead(32, STRIDES_PX, CONFIG)
    optimizer = torch.optim.AdamW([*pyramid.parameters(), *head.parameters()], 3e-3)

    def loss(generator: torch.Generator) -> Tensor:
        seen_B1HW, hidden_BHW = hide(images_B1HW, CONFIG, generator)
        total, count = restoration_loss(head, pyramid(seen_B1HW), STRIDES_PX, images_B1HW, hidden_BHW)
        return total / count.clamp(min=1)

    before = loss(rng(99)).item()
    generator = rng()
    for _ in range(60):
        optimizer.zero_grad()
        torch.autograd.backward(loss(generator))
        optimizer.step()
    after = loss(rng(99)).item()  # blanks that no step has seen
    assert after < 0.6 * before
