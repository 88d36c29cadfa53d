from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from medground.data.augment import AugmentConfig, crop_and_scale, turn, turn_map
from medground.data.midline import carried, opposite

COLUMNS, ROWS = 300, 400
BOXES_G4 = torch.tensor([[10.0, 20, 70, 50], [140, 300, 290, 390], [0, 0, 300, 400]])
LOOSE = AugmentConfig(size_px=200, scale=(0.5, 1.6), aspect=0.2, min_visible=0.0)


def in_view(boxes_G4: Tensor, quarter_turns: int, mirror: bool, seed: int) -> tuple[Tensor, np.ndarray]:
    """Boxes of a film where the augmentation puts them in a view, cut to it, and the map of the film to the view."""
    image, turned_G4 = turn(torch.zeros(1, ROWS, COLUMNS), boxes_G4, quarter_turns, mirror)
    _, cut_G4, _, map_33 = crop_and_scale(image, turned_G4, LOOSE, np.random.default_rng(seed))
    return cut_G4, map_33 @ turn_map(COLUMNS, ROWS, quarter_turns, mirror)


@pytest.mark.parametrize("quarter_turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_the_map_of_a_view_takes_boxes_where_the_augmentation_takes_them(quarter_turns: int, mirror: bool) -> None:
    for seed in range(10):
        cut_G4, to_view_33 = in_view(BOXES_G4, quarter_turns, mirror, seed)
        mapped_G4 = carried(BOXES_G4, torch.from_numpy(to_view_33[:2])).clamp(0, LOOSE.size_px)
        torch.testing.assert_close(mapped_G4, cut_G4, rtol=0, atol=1e-3)


@pytest.mark.parametrize("quarter_turns", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_the_other_side_is_that_of_the_film_in_every_view_of_it(quarter_turns: int, mirror: bool) -> None:
    """Mirrored on the film and then looked at, or looked at and then mirrored: the same."""
    x1, y1, x2, y2 = BOXES_G4.unbind(1)
    across_G4 = torch.stack([COLUMNS - x2, y1, COLUMNS - x1, y2], 1)
    for seed in range(10):
        _, to_view_33 = in_view(BOXES_G4, quarter_turns, mirror, seed)
        to_view_23 = torch.from_numpy(to_view_33[:2])
        seen_G4, expected_G4 = carried(BOXES_G4, to_view_23), carried(across_G4, to_view_23)
        opposite_23 = opposite(to_view_33, COLUMNS)
        torch.testing.assert_close(carried(seen_G4, opposite_23), expected_G4, rtol=0, atol=1e-2)
        torch.testing.assert_close(carried(expected_G4, opposite_23), seen_G4, rtol=0, atol=1e-2)


def test_a_box_in_a_view_turned_by_an_eighth_is_bounded_after_mirroring() -> None:
    half = 0.5**0.5
    to_view_33 = np.array([[half, -half, 0.0], [half, half, 0], [0, 0, 1]])  # the film's x = 0 becomes x + y = 0
    found_K4 = carried(torch.tensor([[10.0, 20, 14, 28]]), opposite(to_view_33, 0))
    torch.testing.assert_close(found_K4, torch.tensor([[-28.0, -14, -20, -10]]))
    skewed_23 = torch.tensor([[1.0, 1, 0], [0, 1, 5]])
    assert carried(torch.tensor([[0.0, 0, 10, 4]]), skewed_23).tolist() == [[0, 5, 14, 9]]
    assert carried(torch.zeros(0, 4), skewed_23).shape == (0, 4)
