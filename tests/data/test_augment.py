from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.data.augment import AugmentConfig, change_intensity, crop_and_scale, turn


def picture_with_box() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.full((120, 160), -2.0)
    image[30:70, 50:110] = 2.0
    return image, torch.tensor([[50.0, 30, 110, 70]])


def bright_box(image: torch.Tensor) -> list[float]:
    rows, columns = torch.nonzero(image > 0, as_tuple=True)
    return [float(x) for x in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_turned_boxes_stay_on_what_they_mark(turns, mirror):
    image, boxes = turn(*picture_with_box(), turns, mirror)
    assert boxes[0].tolist() == bright_box(image)


@pytest.mark.parametrize("seed", range(40))
def test_scaled_and_cropped_boxes_stay_on_what_they_mark(seed):
    config = AugmentConfig(size_px=128)
    image, boxes, kept = crop_and_scale(*picture_with_box(), config, np.random.default_rng(seed))
    assert image.shape == (128, 128)
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
    _, boxes, none = crop_and_scale(image, torch.zeros(0, 4), config, np.random.default_rng(0))
    assert boxes.shape == (0, 4)
    assert none.shape == (0,)


def test_intensity_stays_in_range_and_in_order():
    image = torch.linspace(-3, 3, 64 * 64).reshape(64, 64)
    for seed in range(20):
        out = change_intensity(image, np.random.default_rng(seed))
        assert -3 <= float(out.min()) <= float(out.max()) <= 3
        assert float(out[-16:].mean()) > float(out[:16].mean())
