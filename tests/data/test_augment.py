from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.data.augment import AugmentConfig, change_intensity, crop_and_scale, standardised, tiled, turn
from medground.data.sample import quantise, restore


def picture_with_box() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.full((1, 120, 160), -2.0)
    image[:, 30:70, 50:110] = 2.0
    return image, torch.tensor([[50.0, 30, 110, 70]])


def bright_box(image: torch.Tensor) -> list[float]:
    rows, columns = torch.nonzero(image[0] > 0, as_tuple=True)
    return [float(x) for x in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_turned_boxes_stay_on_what_they_mark(turns, mirror):
    image, boxes = turn(*picture_with_box(), turns, mirror)
    assert boxes[0].tolist() == bright_box(image)


@pytest.mark.parametrize("seed", range(40))
def test_scaled_and_cropped_boxes_stay_on_what_they_mark(seed):
    config = AugmentConfig(size_px=128)
    image, boxes, kept, _ = crop_and_scale(*picture_with_box(), config, np.random.default_rng(seed))
    assert image.shape == (1, 128, 128)
    if bool(kept[0]):
        assert boxes[0].tolist() == pytest.approx(bright_box(image), abs=1.5)


def test_a_box_out_of_view_is_dropped_and_none_is_fine():
    image, _ = picture_with_box()
    config = AugmentConfig(size_px=32, scale=(3.0, 3.0), aspect=0.0)
    kept = [
        bool(crop_and_scale(image, torch.tensor([[0.0, 0, 8, 8]]), config, np.random.default_rng(s))[2][0])
        for s in range(30)
    ]
    assert not all(kept)
    _, boxes, none, _ = crop_and_scale(image, torch.zeros(0, 4), config, np.random.default_rng(0))
    assert boxes.shape == (0, 4)
    assert none.shape == (0,)


def test_intensity_stays_in_range_and_in_order():
    image = torch.linspace(-3, 3, 64 * 64).reshape(1, 64, 64)
    for seed in range(20):
        out = change_intensity(image, np.random.default_rng(seed))
        assert -3 <= float(out.min()) <= float(out.max()) <= 3
        assert float(out[:, -16:].mean()) > float(out[:, :16].mean())


@pytest.mark.parametrize("seed", range(10))
def test_four_images_in_one_keep_their_boxes_on_what_they_mark(seed):
    sizes = [(120, 160), (100, 100), (160, 90), (60, 140)]
    images, boxes = [], []
    for rows, columns in sizes:
        image = torch.full((1, rows, columns), -2.0)
        image[:, 10:40, 20:50] = 2.0
        images.append(image)
        boxes.append(torch.tensor([[20.0, 10, 50, 40]]))
    square, placed = tiled(images, boxes, np.random.default_rng(seed))
    assert square.shape == (1, 240, 240)  # half as long again as the longest side
    for own in placed:
        x1, y1, x2, y2 = own[0].tolist()
        assert 0 <= x1 < x2 <= 240
        assert 0 <= y1 < y2 <= 240
        inside = square[0, round(y1) + 1 : round(y2) - 1, round(x1) + 1 : round(x2) - 1]
        assert float(inside.min()) > 0  # bright all over
    bright = (square > 0).sum()
    assert float(bright) == pytest.approx(
        sum(float((b[0, 2] - b[0, 0]) * (b[0, 3] - b[0, 1])) for b in placed), rel=0.1
    )


@pytest.mark.parametrize("seed", range(40))
def test_a_focused_view_holds_one_of_the_boxes_whole(seed):
    boxes = torch.tensor([[20.0, 30, 60, 50], [300, 250, 340, 300]])
    config = AugmentConfig(size_px=128, scale=(0.8, 1.6), aspect=0.0, focus=1.0)
    view, clipped, kept, _ = crop_and_scale(torch.zeros(1, 400, 400), boxes, config, np.random.default_rng(seed))
    whole = (clipped > 0).all(1) & (clipped < view.shape[1]).all(1) & kept
    assert whole.any()


def test_a_focused_view_lies_within_a_box_that_is_larger_than_it():
    config = AugmentConfig(size_px=128, scale=(1.0, 1.0), aspect=0.0, focus=1.0)
    boxes = torch.tensor([[50.0, 50, 350, 350]])
    for seed in range(20):
        clipped = crop_and_scale(torch.zeros(1, 400, 400), boxes, config, np.random.default_rng(seed))[1]
        width, height = (clipped[0, 2:] - clipped[0, :2]).tolist()
        assert min(width, height) >= 64


def test_focus_finds_what_a_small_view_mostly_misses():
    image, boxes = torch.zeros(1, 400, 400), torch.tensor([[20.0, 30, 40, 50]])

    def share(focus: float) -> float:
        config = AugmentConfig(size_px=96, scale=(0.9, 1.1), focus=focus)
        return sum(bool(crop_and_scale(image, boxes, config, np.random.default_rng(s))[2][0]) for s in range(200)) / 200

    assert share(0.0) < 0.15
    assert share(0.7) == pytest.approx(0.7, abs=0.12)
    assert share(1.0) == 1.0


@pytest.mark.parametrize("seed", range(40))
def test_a_view_of_a_large_image_shows_what_resampling_all_of_it_would_show(seed):
    """Only what is in view is resampled: boxes lie on what they mark to half a pixel, and nothing black gets in."""
    rng = np.random.default_rng(seed)
    image = torch.zeros(1, 1500, 1200)
    x, y = (int(n) for n in rng.integers(100, 1000, 2))
    image[:, y : y + 60, x : x + 80] = 2.0
    config = AugmentConfig(size_px=128, scale=(0.25, 1.3), focus=1.0)
    view, boxes, kept, _ = crop_and_scale(image, torch.tensor([[x, y, x + 80.0, y + 60.0]]), config, rng)
    assert bool(kept[0])
    assert boxes[0].tolist() == pytest.approx(bright_box(view - 1), abs=1.0)
    assert float(view.min()) >= -1e-6


def test_kept_pixels_become_what_they_were_quantised_from():
    pixels = np.random.default_rng(0).uniform(-3, 3, (1, 20, 30)).astype(np.float32)
    kept = quantise(pixels)
    assert torch.allclose(standardised(torch.from_numpy(kept)), torch.from_numpy(restore(kept)), atol=1e-6)
    floats = torch.from_numpy(pixels)
    assert standardised(floats) is floats


def test_slices_beside_are_cut_turned_and_changed_with_their_image():
    """Three channels of the same pixels stay the same, but for noise, which is each slice's own."""
    image, boxes = picture_with_box()
    three = image.expand(3, -1, -1)
    turned, turned_boxes = turn(three, boxes, 1, True)
    view, _, _, _ = crop_and_scale(turned, turned_boxes, AugmentConfig(size_px=96), np.random.default_rng(3))
    assert view.shape == (3, 96, 96)
    assert torch.equal(view[0], view[1])
    one, _, _, _ = crop_and_scale(*turn(image, boxes, 1, True), AugmentConfig(size_px=96), np.random.default_rng(3))
    assert torch.equal(one[0], view[2])
    square, _ = tiled([three, image, three, image], [boxes] * 4, np.random.default_rng(0))
    assert square.shape[0] == 3
