"""Pictures that are no radiographs: what a model must recognise as strange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Picture = NDArray[np.float32]
SIDE_PX = 256


def _picture(values: Any) -> Picture:
    return np.asarray(values, dtype=np.float32)


def stranger(seed: int) -> Picture:
    """A (256, 256) picture of 0..1, one of several kinds; the same seed gives the same picture."""
    rng = np.random.default_rng(seed)
    kinds: tuple[Callable[[np.random.Generator], Picture], ...] = (
        _coloured_noise,
        _stripes,
        _scene,
        _page,
        _cells,
        _fan,
        _disc,
    )
    picture = kinds[int(rng.integers(len(kinds)))](rng)
    picture = ndimage.gaussian_filter(picture, float(rng.uniform(0, 1.5)))
    picture = picture + rng.standard_normal(picture.shape, dtype=np.float32) * float(rng.uniform(0, 0.06))
    if rng.random() < 0.5:
        picture = 1 - picture
    low, high = picture.min(), picture.max()
    return _picture((picture - low) / max(high - low, 1e-6))


def _coloured_noise(rng: np.random.Generator) -> Picture:
    """Noise whose power falls as a random power of frequency: clouds, sand, static."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE_PX), np.fft.fftfreq(SIDE_PX)))
    spectrum = np.fft.fft2(rng.standard_normal((SIDE_PX, SIDE_PX))) / (frequency + 0.01) ** rng.uniform(0, 2.5)
    return _picture(np.real(np.fft.ifft2(spectrum)))


def _grid() -> tuple[Picture, Picture]:
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32) / SIDE_PX
    return y, x


def _stripes(rng: np.random.Generator) -> Picture:
    y, x = _grid()
    angle, period = rng.uniform(0, np.pi), rng.uniform(0.02, 0.3)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    return _picture(np.sign(wave) if rng.random() < 0.5 else wave)


def _scene(rng: np.random.Generator) -> Picture:
    """Flat shapes over a gradient, as in a photograph of things."""
    y, x = _grid()
    picture = (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1)).astype(np.float32)
    for _ in range(int(rng.integers(4, 25))):
        cy, cx, ry, rx = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.02, 0.3), rng.uniform(0.02, 0.3)
        round_shape = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        square = (np.abs(x - cx) < rx) & (np.abs(y - cy) < ry)
        picture[round_shape if rng.random() < 0.5 else square] = rng.uniform(-1, 1)
    return picture


def _page(rng: np.random.Generator) -> Picture:
    """Lines of dark marks on a light page."""
    picture = np.ones((SIDE_PX, SIDE_PX), dtype=np.float32)
    line = int(rng.integers(6, 18))
    for row in range(line, SIDE_PX - line, line):
        marks = rng.random(SIDE_PX // 3) < rng.uniform(0.4, 0.8)
        picture[row : row + line // 2, : marks.size * 3] -= np.repeat(marks, 3).astype(np.float32)
    return picture


def _cells(rng: np.random.Generator) -> Picture:
    """Many round bodies of one size, as under a microscope."""
    points = np.zeros((SIDE_PX, SIDE_PX), dtype=bool)
    points[rng.integers(0, SIDE_PX, 90), rng.integers(0, SIDE_PX, 90)] = True
    distance = ndimage.distance_transform_edt(~points).astype(np.float32)
    radius = rng.uniform(6, 18)
    return _picture(np.clip(1 - np.abs(distance - radius) / radius, 0, 1) + 0.3 * (distance < radius))


def _fan(rng: np.random.Generator) -> Picture:
    """A bright sector of speckle on black, as an ultrasound machine shows."""
    y, x = _grid()
    angle, radius = np.arctan2(x - 0.5, y + 0.05), np.hypot(x - 0.5, y + 0.05)
    inside = (np.abs(angle) < rng.uniform(0.4, 0.8)) & (radius > 0.12) & (radius < rng.uniform(0.7, 1.0))
    speckle = ndimage.gaussian_filter(rng.exponential(1.0, x.shape), (0.8, 2.0))
    return _picture(speckle * inside * np.exp(-radius * rng.uniform(0, 2)))


def _disc(rng: np.random.Generator) -> Picture:
    """An oval with a bright rim and inner folds on black, as a head in cross-section."""
    y, x = _grid()
    ry, rx = rng.uniform(0.3, 0.47), rng.uniform(0.25, 0.42)
    radius = np.hypot((x - 0.5) / rx, (y - 0.5) / ry)
    folds = ndimage.gaussian_filter(rng.standard_normal(x.shape), rng.uniform(2, 6))
    rim = np.exp(-(((radius - 1) / 0.05) ** 2)) * rng.uniform(0.5, 2)
    return _picture(np.where(radius < 1, 0.5 + folds / (np.abs(folds).max() + 1e-6) * 0.4, 0) + rim)
