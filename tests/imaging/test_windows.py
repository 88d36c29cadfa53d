"""Windows of an image: every box held, every pixel covered, boxes there and back."""

import itertools

import numpy as np
import pytest
import torch

from medground.imaging.windows import Window, centred, covered_share, covering, tiles


def random_boxes(
    rng: np.random.Generator, columns: int, rows: int, count: int
) -> list[tuple[float, float, float, float]]:
    boxes = []
    for _ in range(count):
        width, height = rng.uniform(2, 150, 2)
        x, y = rng.uniform(0, columns - width), rng.uniform(0, rows - height)
        boxes.append((float(x), float(y), float(x + width), float(y + height)))
    return boxes


@pytest.mark.parametrize("seed", range(40))
def test_every_box_lies_in_a_window_with_its_margin_unless_the_image_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns, rows = (int(n) for n in rng.integers(180, 3000, 2))
    boxes = random_boxes(rng, columns, rows, int(rng.integers(1, 30)))
    windows = covering(boxes, 256, 32, columns, rows, 1.0)
    assert len(windows) <= len(boxes)
    for window in windows:
        assert 0 <= window.x1 < window.x2 <= columns
        assert 0 <= window.y1 < window.y2 <= rows
        assert window.x2 - window.x1 == min(256, columns)
        assert window.y2 - window.y1 == min(256, rows)
    for x1, y1, x2, y2 in boxes:
        with_margin = (max(x1 - 31, 0), max(y1 - 31, 0), min(x2 + 31, columns), min(y2 + 31, rows))
        assert any(window.holds(with_margin) for window in windows)


def test_neighbours_share_a_window_and_far_boxes_do_not() -> None:
    near = [(500.0, 500.0, 520.0, 520.0), (600.0, 560.0, 640.0, 600.0)]
    assert len(covering(near, 256, 32, 2000, 2000, 1.0)) == 1
    assert len(covering([*near, (1500.0, 500.0, 1520.0, 520.0)], 256, 32, 2000, 2000, 1.0)) == 2


def test_a_box_larger_than_its_window_gets_the_middle_of_it() -> None:
    (window,) = covering([(100.0, 100.0, 700.0, 200.0)], 256, 32, 1000, 1000, 1.0)
    assert (window.x1, window.y1, window.x2, window.y2) == (272, 22, 528, 278)


@pytest.mark.parametrize(("columns", "rows"), [(100, 90), (1024, 1024), (1025, 700), (2304, 2880), (4096, 3000)])
def test_tiles_cover_every_pixel_and_overlap(columns: int, rows: int) -> None:
    seen = np.zeros((rows, columns), dtype=int)
    windows = tiles(columns, rows, 1024, 192)
    for window in windows:
        assert max(window.x2 - window.x1, window.y2 - window.y1) <= 1024
        seen[window.y1 : window.y2, window.x1 : window.x2] += 1
    assert seen.min() == 1 or columns > 5000
    assert covered_share(windows, columns, rows) == 1.0
    across = sorted({(window.x1, window.x2) for window in windows})
    assert all(before[1] - after[0] >= 190 for before, after in itertools.pairwise(across))


@pytest.mark.parametrize("seed", range(10))
def test_the_covered_share_is_what_counting_pixels_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    windows = covering(random_boxes(rng, 900, 700, 12), 128, 8, 900, 700, 2.0)
    seen = np.zeros((700, 900), dtype=bool)
    for window in windows:
        seen[window.y1 : window.y2, window.x1 : window.x2] = True
    assert covered_share(windows, 900, 700) == pytest.approx(seen.mean(), abs=1e-12)
    assert covered_share([], 900, 700) == 0.0


def test_a_window_shows_the_stored_pixels_and_boxes_come_back_in_its_own() -> None:
    full = torch.arange(400.0 * 300).reshape(300, 400)
    image = Window(100, 50, 164, 114).image(full)
    assert torch.equal(image.pixels_HW, full[50:114, 100:164])
    half = Window(100, 50, 228, 178, 0.5).image(full)
    assert half.pixels_HW.shape == (64, 64)
    assert half.letterbox.scale_xy == (0.5, 0.5)
    assert float(half.pixels_HW[3, 5]) == pytest.approx(float(full[56:58, 110:112].mean()), rel=0.02)
    assert Window(100, 50, 164, 114).shifted((1, 2, 3, 4)) == (101, 52, 103, 54)


def test_a_box_is_cut_by_a_window_but_not_by_the_image() -> None:
    window = centred((0, 0, 10, 10), 256, 1000, 1000, 1.0)
    assert (window.x1, window.y1) == (0, 0)
    assert not window.cuts((0.0, 0.0, 50.0, 50.0), 1000, 1000, 2)
    assert window.cuts((200.0, 50.0, 255.5, 90.0), 1000, 1000, 2)
    assert window.cuts((200.0, 200.0, 220.0, 256.0), 1000, 1000, 2)
