from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medground.imaging.overlay import COLOURS, LONGEST_PX, SHORTEST_PX, Caption, Mark, can_draw, draw_overlay

CAPTION = Caption("Study 1, question 1", "find the nodule", "nodule", "found")


def drawn(display: NDArray[np.float32], marks: list[Mark], side: int | None = None) -> NDArray[np.uint8]:
    return np.asarray(draw_overlay(display, marks, CAPTION, columns_toward_left=side))


def rows_of_image(picture: NDArray[np.uint8], level: int) -> tuple[int, int]:
    """First and last row that carry the flat grey level of the image in its first column."""
    rows = np.flatnonzero((picture[:, 0] == level).all(1))
    return int(rows[0]), int(rows[-1]) + 1


@pytest.mark.parametrize(
    ("shape", "image_size"),
    [((64, 64), (720, 720)), ((1000, 900), (900, 1000)), ((4000, 2000), (800, 1600)), ((900, 800, 3), (800, 900))],
)
def test_scale(shape: tuple[int, ...], image_size: tuple[int, int]) -> None:
    assert SHORTEST_PX == 720
    assert LONGEST_PX == 1600
    picture = drawn(np.full(shape, 0.4, dtype=np.float32), [])
    top, bottom = rows_of_image(picture, 102)
    assert (picture.shape[1], bottom - top) == image_size


def test_the_box_frames_its_pixels_and_hides_none_of_them() -> None:
    display = np.full((800, 800), 0.4, dtype=np.float32)
    display[300:340, 200:260] = 0.8
    picture = drawn(display, [Mark(1, "nodule", 0.9, (200, 300, 260, 340))])
    top, _ = rows_of_image(picture, 102)
    inside = picture[top + 300 : top + 340, 200:260]
    assert (inside == 204).all()
    for y, x in ((299, 230), (340, 230), (320, 199), (320, 260)):
        assert tuple(picture[top + y, x]) == COLOURS[0]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 760), st.integers(0, 660), st.integers(4, 300), st.integers(4, 300)),
        min_size=1,
        max_size=5,
    )
)
def test_labels_cover_no_box_of_their_own_and_stay_inside(boxes: list[tuple[int, int, int, int]]) -> None:
    display = np.full((700, 800), 0.4, dtype=np.float32)
    for x, y, w, h in boxes:
        display[y : y + h, x : x + w] = 0.8
    marks = [
        Mark(i + 1, "nodule", 0.5, (x, y, min(x + w, 800), min(y + h, 700))) for i, (x, y, w, h) in enumerate(boxes)
    ]
    picture = drawn(display, marks)
    plain = drawn(display, [])
    top = rows_of_image(plain[:, :1], 102)[0] if (plain[:, 0] == 102).all(1).any() else 26
    assert picture.shape[1] == 800
    band = round(14 * 1.45 * 1.3)
    # No label reaches into the band above the image: it is the same with and without marks.
    np.testing.assert_array_equal(picture[: min(top, band)], plain[: min(top, band)])
    # Label grounds are pure black areas; inside a box only other boxes' thin lines may be dark.
    for mark in marks:
        x1, y1, x2, y2 = (int(v) for v in mark.box_xyxy_px)
        inside = picture[band + y1 : band + y2, x1:x2]
        holds_another = any(
            other is not mark
            and other.box_xyxy_px[0] >= x1 - 8
            and other.box_xyxy_px[1] >= y1 - 8
            and other.box_xyxy_px[2] <= x2 + 8
            and other.box_xyxy_px[3] <= y2 + 8
            for other in marks
        )
        if not holds_another:
            black = (inside == 0).all(2)
            runs = black[:-4, :-4] & black[4:, :-4] & black[:-4, 4:] & black[4:, 4:] & black[2:-2, 2:-2]
            assert not runs.any()


def test_sides_are_written_where_they_are_known() -> None:
    display = np.full((720, 720), 0.4, dtype=np.float32)
    toward_left, toward_right = drawn(display, [], 1), drawn(display, [], -1)
    top, _ = rows_of_image(toward_left, 102)
    assert (toward_left[top:] == toward_right[top:]).all()
    corner = slice(0, 30)
    assert (toward_left[:top, corner] != toward_right[:top, corner]).any()
    assert (toward_left[:top, -30:] != toward_right[:top, -30:]).any()
    unknown = drawn(display, [])
    assert (unknown[:top, corner] == unknown[0, 0]).all()


def test_same_name_same_colour_other_name_other_colour() -> None:
    display = np.full((800, 800), 0.4, dtype=np.float32)
    marks = [
        Mark(1, "nodule", 0.9, (100, 100, 140, 140)),
        Mark(2, "effusion", 0.8, (100, 300, 140, 340)),
        Mark(3, "nodule", 0.7, (100, 500, 140, 540)),
    ]
    picture = drawn(display, marks)
    top, _ = rows_of_image(picture, 102)
    assert [tuple(picture[top + y, 99]) for y in (120, 320, 520)] == [COLOURS[0], COLOURS[1], COLOURS[0]]


def test_the_font_knows_latin_and_admits_what_it_lacks() -> None:
    assert can_draw("Is there a pneumothorax? 12.5 mm")
    assert not can_draw("左肺有结节吗")


@pytest.mark.parametrize("shape", [(20, 5000), (5000, 20), (1, 1)])
def test_odd_shapes_and_values(shape: tuple[int, int]) -> None:
    display = np.full(shape, np.nan, dtype=np.float32)
    picture = draw_overlay(display, [Mark(1, "nodule", 0.5, (0, 0, shape[1], shape[0]))], CAPTION)
    assert max(picture.size) <= LONGEST_PX + 400


def test_hundreds_of_findings_give_a_short_legend() -> None:
    display = np.zeros((800, 800), dtype=np.float32)
    marks = [Mark(i, "nodule", 0.5, (i, i, i + 20, i + 20)) for i in range(300)]
    few, many = drawn(display, marks[:12]), drawn(display, marks)
    assert many.shape[0] - few.shape[0] <= 60


def test_a_long_question_is_cut_and_not_run_out_of_the_picture() -> None:
    caption = Caption("Study 1, question 1", "why " * 500 + "w" * 3000, "nodule", "found")
    picture = draw_overlay(np.zeros((720, 720), dtype=np.float32), [], caption)
    assert picture.size[1] < 720 + 20 * 14
