from __future__ import annotations

import numpy as np
import pytest
import torch

from medground.model.roi import region_features, roi_align


def _slow(level: np.ndarray, box: list[float], stride: int, samples: int) -> np.ndarray:
    """Bilinear interpolation at the centre of each cell, border repeated, feature centres at (i + 0.5) * stride."""
    channels, rows, columns = level.shape
    out = np.zeros((channels, samples, samples))
    for i in range(samples):
        for j in range(samples):
            y = (box[1] + (box[3] - box[1]) * (i + 0.5) / samples) / stride - 0.5
            x = (box[0] + (box[2] - box[0]) * (j + 0.5) / samples) / stride - 0.5
            y0, x0 = int(np.floor(y)), int(np.floor(x))
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = (1 - abs(y - y0 - dy)) * (1 - abs(x - x0 - dx))
                    row, column = np.clip(y0 + dy, 0, rows - 1), np.clip(x0 + dx, 0, columns - 1)
                    out[:, i, j] += weight * level[:, row, column]
    return out


def test_equals_the_slow_formula_inside_and_over_the_border():
    generator = torch.Generator().manual_seed(5)
    level = torch.randn(2, 3, 7, 9, generator=generator)
    boxes = torch.tensor([[4.0, 6.0, 40.0, 30.0], [-10.0, -5.0, 20.0, 80.0], [33.3, 10.1, 90.0, 55.5]])
    image = torch.tensor([0, 1, 1])
    fast = roi_align(level, boxes, image, 8)
    for row in range(3):
        slow = _slow(level[image[row]].numpy(), boxes[row].tolist(), 8, 5)
        assert fast[row].numpy() == pytest.approx(slow, abs=1e-4)


def test_each_region_is_read_from_its_own_level():
    levels = (torch.full((1, 2, 8, 8), 1.0), torch.full((1, 2, 4, 4), 2.0), torch.full((1, 2, 2, 2), 3.0))
    boxes = torch.tensor([[0.0, 0, 60, 60]] * 3)
    out = region_features(levels, boxes, torch.zeros(3, dtype=torch.int64), torch.tensor([2, 0, 1]), (8, 16, 32))
    assert out.mean((1, 2, 3)).tolist() == [3.0, 1.0, 2.0]


def test_no_regions():
    out = roi_align(torch.zeros(1, 4, 5, 5), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 8)
    assert out.shape == (0, 4, 5, 5)
