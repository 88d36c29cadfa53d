"""A lesion with its surroundings, small, and its box where the lesion is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from medground.imaging.thumbnail import LARGEST_PX, png_of, thumbnail

BOXES = [
    (400.0, 300.0, 500.0, 380.0),
    (0.0, 0.0, 30.0, 20.0),
    (770.0, 590.0, 800.0, 600.0),
    (0.0, 0.0, 800.0, 600.0),
    (300.0, 0.0, 340.0, 600.0),
    (400.4, 300.6, 403.2, 302.1),
]


@pytest.mark.parametrize("box", BOXES)
def test_the_box_is_where_the_lesion_is(box: tuple[float, float, float, float]) -> None:
    pixels = np.zeros((600, 800), np.float32)
    x1, y1, x2, y2 = box
    pixels[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = 1
    picture, (a, b, c, d) = thumbnail(pixels, box)
    assert picture.dtype == np.uint8
    assert max(picture.shape) == LARGEST_PX
    assert 0 <= a < c <= picture.shape[1]
    assert 0 <= b < d <= picture.shape[0]
    bright = np.argwhere(picture > 127)
    low, high = bright.min(0), bright.max(0) + 1
    assert np.allclose([b, a, d, c], [*low, *high], atol=1.1 + 128 / 160)  # a pixel of either picture


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10.02, 10, 10.2, 2900), (0.32, 0.33)),
        ((3999.9, 10, 4005, 2900), (127.99, 128)),
        ((-5, 10, 0.0001, 300), (0, 0.01)),
        ((2000, 10, 2000.01, 3900), (64, 64.01)),
    ],
)
def test_a_sliver_keeps_a_width_within_the_picture(
    box: tuple[float, float, float, float], expected: tuple[float, float]
) -> None:
    pixels = np.zeros((4000, 4000), np.float32)
    picture, (x1, y1, x2, y2) = thumbnail(pixels, box)
    assert picture.shape == (128, 128)
    assert (x1, x2) == expected
    turned, (a, b, c, d) = thumbnail(pixels, (box[1], box[0], box[3], box[2]))
    assert turned.shape == (128, 128)
    assert (a, b, c, d) == (y1, x1, y2, x2)


def test_a_small_image_is_made_larger_and_keeps_its_shape() -> None:
    picture, box = thumbnail(np.full((40, 20), 0.5, np.float32), (5, 10, 15, 30))
    assert picture.shape == (128, 64)
    assert box == (16.0, 32.0, 48.0, 96.0)
    assert set(picture.ravel().tolist()) == {128}


def test_the_png_holds_the_pixels_and_nothing_else() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 128), dtype=np.uint8)
    content = png_of(picture)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode, image.info) == ("PNG", "L", {})
        assert np.array_equal(np.asarray(image), picture)
