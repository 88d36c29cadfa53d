from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from medground.imaging.upright import AS_IT_IS, Turn

TURNS = [Turn(*settings) for settings in product((False, True), repeat=3)]


@pytest.mark.parametrize("turn", TURNS)
def test_a_box_goes_back_to_the_pixels_it_was_drawn_around(turn):
    stored = np.zeros((30, 50), dtype=np.float32)
    stored[4:10, 7:27] = 1
    upright = turn.apply(stored)
    assert upright.shape == ((50, 30) if turn.swap else (30, 50))
    rows, columns = np.nonzero(upright)
    seen = tuple(map(float, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))
    assert turn.back(seen, 50, 30) == (7.0, 4.0, 27.0, 10.0)


def test_eight_turns_give_eight_pictures_and_one_leaves_it_alone():
    stored = np.random.default_rng(0).random((5, 5), dtype=np.float32)
    assert len({turn.apply(stored).tobytes() for turn in TURNS}) == 8
    assert np.array_equal(AS_IT_IS.apply(stored), stored)
    coloured = np.random.default_rng(0).random((4, 6, 3), dtype=np.float32)
    assert Turn(swap=True, mirror_x=True).apply(coloured).shape == (6, 4, 3)
