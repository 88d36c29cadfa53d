from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medground.imaging.letterbox import MULTIPLE_PX, Letterbox

SIDES = st.integers(1, 13_000)


@settings(max_examples=300, deadline=None)
@given(SIDES, SIDES, st.integers(32, 1600), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_boxes_come_back_within_a_thousandth_of_a_pixel(columns, rows, size_px, shares):
    box = Letterbox.fit(columns, rows, size_px)
    boxes = np.array([shares]) * np.array([columns, rows, columns, rows])
    assert np.abs(box.to_stored(box.to_frame(boxes)) - boxes).max() < 1e-3
    inside = box.to_frame(boxes)
    assert inside[:, [0, 2]].max() <= box.inner_columns + 1e-9
    assert inside[:, [1, 3]].max() <= box.inner_rows + 1e-9


@settings(max_examples=100, deadline=None)
@given(SIDES, SIDES, st.integers(32, 1600))
def test_the_frame_holds_the_image_and_nothing_more(columns, rows, size_px):
    box = Letterbox.fit(columns, rows, size_px)
    assert max(box.inner_columns, box.inner_rows) == size_px
    for frame, inner in ((box.frame_columns, box.inner_columns), (box.frame_rows, box.inner_rows)):
        assert frame % MULTIPLE_PX == 0
        assert 0 <= frame - inner < MULTIPLE_PX


def test_pixels_land_where_boxes_say():
    image = torch.zeros(300, 200)
    image[120:180, 40:100] = 1.0
    box = Letterbox.fit(200, 300, 96)
    frame = box.apply(image, fill=-5.0)
    assert frame.shape == (96, 64)
    rows, columns = torch.nonzero(frame[:, : box.inner_columns] > 0.5, as_tuple=True)
    expected = box.to_frame(np.array([[40.0, 120, 100, 180]]))[0]
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert [float(x) for x in seen] == pytest.approx(expected.tolist(), abs=1.0)


def test_padding_has_the_fill_value():
    frame = Letterbox.fit(100, 30, 64).apply(torch.ones(30, 100), fill=-2.0)
    assert frame.shape == (32, 64)
    assert frame[20:].unique().tolist() == [-2.0]
    assert frame[:19].min().item() == pytest.approx(1.0, abs=1e-5)


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="0x5"):
        Letterbox.fit(0, 5, 64)
