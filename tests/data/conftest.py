"""Pictures that look alike without being copies of each other, and real data imported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medground.data.importers import Import, by_name

DrawLimb = Callable[[int], NDArray[np.uint8]]


@pytest.fixture(scope="session")
def draw_limb() -> DrawLimb:
    """Forearm and hand in the middle of a dark plate: the same layout from every seed, other bones in each."""

    def draw(seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        rows, columns = 320, 256
        y, x = np.mgrid[:rows, :columns].astype(np.float64)
        image = np.full((rows, columns), 22.0)
        centre = columns / 2 + rng.normal(0, 12) + rng.normal(0, 0.08) * (y - rows / 2)
        wrist = rng.uniform(150, 190)
        image += 45 * ((abs(x - centre) < rng.uniform(28, 40)) & (y < wrist + 70))
        for side in (-1, 1):
            axis = centre + side * rng.uniform(9, 16) + rng.uniform(2, 8) * np.sin(y / rng.uniform(30, 60))
            width = rng.uniform(5, 8) + rng.uniform(1, 4) * np.exp(-(((y - wrist) / 25) ** 2))
            image += rng.uniform(60, 90) * ((abs(x - axis) < width) & (y < wrist))
        for finger in range(5):
            start, lean = centre + (finger - 2) * rng.uniform(11, 15), (finger - 2) * rng.uniform(0.05, 0.25)
            end = wrist + rng.uniform(90, 125) - 8 * abs(finger - 2)
            inside = (abs(x - start - lean * (y - wrist)) < rng.uniform(4, 6)) & (y > wrist + 18) & (y < end)
            image += rng.uniform(50, 80) * inside * (np.sin(y / rng.uniform(5, 8) + rng.uniform(0, 6)) > -0.8)
        for _ in range(8):
            cy, cx = wrist + rng.uniform(2, 18), np.median(centre) + rng.uniform(-24, 24)
            image += rng.uniform(30, 60) * ((y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(20, 60))
        noisy = ndimage.gaussian_filter(image, 1.2) + rng.normal(0, 2, image.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def fracatlas(shared_data: Path) -> Import:
    return by_name("fracatlas")(shared_data / "fracatlas")
