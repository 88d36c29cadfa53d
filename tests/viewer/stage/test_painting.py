"""What is painted: windows, inversion, colour, the shape of pixels, boxes and what is written around the image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medground.viewer.images import presets, stage_series
from medground.viewer.stage_data import Series
from tests.viewer.made import instance as listed_instance
from tests.viewer.made import series as listed_series
from tests.viewer.stage.given import BLOCKS, BLUE, ORANGE, SIDE, blocks, box, data, image, middle_of, values
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage, brightness, near


def _one(
    slices: SliceServer, pixels: np.ndarray, *, spacing: tuple[float, float] | None = (0.5, 0.5), **reading
) -> Series:
    url = slices.put("/one/0", pixels, **reading)
    return Series(key="one", label="One image", slices=(image(url, "1.2.3", spacing_mm=spacing),))


def _painted(stage: StagePage) -> list[list[int]]:
    found = stage.colours([middle_of(row, column) for row in range(BLOCKS) for column in range(BLOCKS)])
    assert all(red == green == blue for red, green, blue in found)
    greys = [red for red, _, _ in found]
    return [greys[row * BLOCKS : (row + 1) * BLOCKS] for row in range(BLOCKS)]


def _expected(low: float, high: float, slope: float = 1.0, intercept: float = 0.0) -> list[list[int]]:
    return [[brightness(slope * value + intercept, low, high) for value in row] for row in values().tolist()]


def test_the_first_preset_is_painted_and_digits_choose_others(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(_one(slices, blocks())))
    assert _painted(stage) == _expected(0, 4000)
    assert stage.text(".status-window") == "W 4000 L 2000"
    stage.press("2")
    assert _painted(stage) == _expected(1000, 1500)
    assert stage.text(".status-window") == "W 500 L 1250"
    stage.press("3")  # there is no third
    assert _painted(stage) == _expected(1000, 1500)
    stage.press("1")
    assert _painted(stage) == _expected(0, 4000)


def test_values_have_slope_and_intercept(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(_one(slices, blocks(), slope=0.5, intercept=-100.0)))
    assert _painted(stage) == _expected(0, 4000, 0.5, -100.0)


def test_without_a_preset_the_range_of_the_image_is_the_window(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(_one(slices, blocks(), lowest=0.0, highest=4032.0), presets=()))
    assert _painted(stage) == _expected(0, 4032)


def test_low_values_are_white_where_the_image_says_so_and_i_turns_it_round(
    stage: StagePage, slices: SliceServer
) -> None:
    stage.give(data(_one(slices, blocks(), inverted=True)))
    turned = [[255 - grey for grey in row] for row in _expected(0, 4000)]
    assert _painted(stage) == turned
    stage.press("i")
    assert _painted(stage) == _expected(0, 4000)
    assert stage.find(".tool-invert").get_attribute("aria-pressed") == "true"


def test_colours_are_painted_as_they_are(stage: StagePage, slices: SliceServer) -> None:
    step = 65535 // 8
    red, green = np.meshgrid(np.arange(8) * step, np.arange(8) * step)
    grid = np.stack([red, green, np.full_like(red, 65535)], -1)
    pixels = grid.repeat(SIDE, 0).repeat(SIDE, 1).astype(np.uint16)
    shown = _one(slices, pixels, slope=1 / 65535, lowest=0.0, highest=1.0)
    stage.give(data(shown.model_copy(update={"is_colour": True})))
    assert stage.colours([middle_of(2, 5), middle_of(7, 0)]) == [
        (brightness(5 / 8, 0, 1), brightness(2 / 8, 0, 1), 255),
        (0, brightness(7 / 8, 0, 1), 255),
    ]
    assert stage.text(".status-window") == "W 1 L 0.5"


def test_a_colour_image_as_the_service_lists_it(stage: StagePage, slices: SliceServer) -> None:
    """Its modality's windows are for grey values: no digit takes a colour away."""
    listed = listed_series(listed_instance(7, rows=1, columns=2, is_colour=True), modality="CT")
    pixels = np.array([[[65535, 0, 0], [0, 65535, 32768]]], np.uint16)
    slices.put("/pixels/study/7/1", pixels, slope=1 / 65535, lowest=0.0, highest=1.0)
    stage.give(data(stage_series("study", listed), presets=presets(listed)))
    for key in ("0", "1", "2"):
        stage.press(key)
        assert stage.colours([(0.5, 0.5), (1.5, 0.5)]) == [(255, 0, 0), (0, 255, 128)]


def test_a_drag_changes_width_and_level(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(_one(slices, blocks())))
    area = stage.find(".picture").first.bounding_box()
    assert area is not None
    x, y = area["x"] + 300, area["y"] + 200
    stage.page.mouse.move(x, y)
    stage.page.mouse.down()
    stage.page.mouse.move(x + 100, y + 20)  # 400 points to the right double the width; down is a higher level
    stage.page.mouse.up()
    stage.settle()
    assert stage.text(".status-window") == "W 5000 L 2200"
    assert _painted(stage) == _expected(-300, 4700)


def test_neighbours_are_mixed_before_the_window_is_applied(stage: StagePage, slices: SliceServer) -> None:
    """Two pixels of 0 and 1000: half way is 500, which a window from 400 to 600 shows as middle grey."""
    pixels = np.array([[0, 1000]], np.uint16)
    stage.give(data(_one(slices, pixels), presets=[{"name": "w", "low": 400, "high": 600}]))
    assert abs(stage.grey(1.0, 0.5) - 128) <= 3
    assert (stage.grey(0.5, 0.5), stage.grey(1.5, 0.5)) == (0, 255)


def test_many_pixels_under_a_point_are_averaged(stage: StagePage, slices: SliceServer) -> None:
    pixels = np.zeros((2048, 2048), np.uint16)
    pixels[:, ::2] = 1000  # stripes of one pixel
    stage.give(data(_one(slices, pixels), presets=[{"name": "w", "low": 0, "high": 1000}]))
    fit = stage.fit()
    painted = stage.canvas()[int(fit.top) + 5, int(fit.left) + 5 : int(fit.left) + 200, 0].astype(float)
    assert abs(painted.mean() - 127.5) < 3
    assert painted.std() < 60  # single pixels would be 0 or 255: 127


@pytest.mark.parametrize("spacing", [(2.0, 1.0), (1.0, 2.0), (0.5, 0.5), None])
def test_pixels_keep_their_shape_at_every_zoom(
    stage: StagePage, slices: SliceServer, spacing: tuple[float, float] | None
) -> None:
    pixels = np.zeros((100, 100), np.uint16)
    pixels[30:70, 30:70] = 4000
    stage.give(data(_one(slices, pixels, spacing=spacing)))
    shape = (spacing or (1, 1))[0] / (spacing or (1, 1))[1]
    for key in ("0", "+", "+", "-"):
        stage.press(key)
        x1, y1, x2, y2 = stage.edges_of("#ffffff", "image")
        assert (y2 - y1) / (x2 - x1) == pytest.approx(shape, rel=0.02)


def test_the_canvas_has_the_pixels_of_the_screen(open_stage: Callable[..., StagePage], slices: SliceServer) -> None:
    stage = open_stage(pixel_ratio=2.0)
    stage.give(data(_one(slices, blocks())))
    area = stage.find(".picture").first.bounding_box()
    assert area is not None
    rows, columns = stage.canvas().shape[:2]
    assert (columns, rows) == (round(area["width"] * 2), round(area["height"] * 2))
    assert _painted(stage) == _expected(0, 4000)


BOX = (30.0, 20.0, 75.0, 60.0)


def test_a_box_is_drawn_where_it_is(stage: StagePage, slices: SliceServer) -> None:
    shown = _one(slices, blocks(), spacing=(0.7, 0.5))
    stage.give(data(shown, [box("f-1", shown.slices[0], BOX, label="")]))
    fit = stage.fit()
    (x1, y1), (x2, y2) = fit.point(*BOX[:2]), fit.point(*BOX[2:])
    over = stage.canvas("over")
    for line, at in (
        (over[int((y1 + y2) / 2)], x1),
        (over[int((y1 + y2) / 2)], x2),
        (over[:, int((x1 + x2) / 2)], y1),
        (over[:, int((x1 + x2) / 2)], y2),
    ):
        window = line[int(at) - 5 : int(at) + 6][None]
        found = np.nonzero(near(window, BLUE, 90)[0])[0] + int(at) - 5
        assert len(found), "no line where the edge is"
        assert abs(found.mean() + 0.5 - at) <= 1.0


def test_the_line_tells_the_status(stage: StagePage, slices: SliceServer) -> None:
    shown = _one(slices, blocks())
    statuses = ("unreviewed", "accepted", "edited", "rejected", "added")
    boxes = [
        box(f"f-{index}", shown.slices[0], (10.0, 6 + 24.0 * index, 110.0, 22 + 24.0 * index), status=status, label="")
        for index, status in enumerate(statuses)
    ]
    stage.give(data(shown, boxes))
    over, fit = stage.canvas("over"), stage.fit()

    def drawn(index: int) -> tuple[float, int]:
        """Share of the lower edge that is coloured, and how thick it is at most."""
        (x1, _), (x2, y) = fit.point(20.0, 0.0), fit.point(50.0, 22 + 24.0 * index)
        coloured = near(over[int(y) - 6 : int(y) + 7, int(x1) : int(x2)], BLUE, 90)
        return float(coloured.any(0).mean()), int(coloured.sum(0).max())

    share, thick = zip(*(drawn(index) for index in range(len(statuses))), strict=True)
    unreviewed, accepted, edited, rejected, added = range(5)
    assert [share[one] for one in (unreviewed, accepted, edited)] == [1.0, 1.0, 1.0]
    assert 0.2 < share[rejected] < 0.6
    assert 0.5 < share[added] < 0.8
    assert thick[accepted] > max(thick[unreviewed], thick[edited], thick[rejected])
    corner = fit.point(10.0, 6 + 24.0 * edited)
    handle = over[int(corner[1]) - 1 : int(corner[1]) + 1, int(corner[0]) - 1 : int(corner[0]) + 1]
    assert near(handle, BLUE).all()
    signs = stage.find(".legend-entry").all_inner_texts()
    assert [text.strip().rpartition("(")[2] for text in signs] == [
        "not reviewed)",
        "accepted)",
        "edited)",
        "rejected)",
        "added)",
    ]


def test_sides_scale_and_notice_are_written(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(_one(slices, blocks(), spacing=(0.5, 0.25))))
    assert [stage.text(f".side-{side}") for side in ("left", "right", "top", "bottom")] == ["R", "L", "A", "P"]
    words = stage.text(".bar")
    area = stage.find(".bar").first.bounding_box()
    assert area is not None
    points_per_mm = stage.fit().scale_x / 0.25
    assert words.endswith(" mm")
    assert area["width"] == pytest.approx(float(words.removesuffix(" mm")) * points_per_mm, abs=0.5)
    assert 60 < area["width"] <= 180
    assert stage.find(".bar").first.get_attribute("title") == "Spacing from: patient plane"
    assert stage.text(".notice") == "Research only, not a medical device"


def test_without_a_spacing_there_is_no_scale(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(_one(slices, blocks(), spacing=None)))
    assert stage.text(".bar") == "no scale"


def test_the_values_under_the_pointer_are_told(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(_one(slices, blocks(), intercept=-1024.0)))
    x, y = middle_of(3, 6)
    stage.page.mouse.move(*stage.at(x + 0.5, y + 0.5))
    stage.settle()
    assert stage.text(".status-point") == f"x {int(x)} y {int(y)}: {values()[3, 6] - 1024}"
    stage.page.mouse.move(2, 2)
    stage.settle()
    assert stage.find(".status-point").text_content() == ""


def test_m_measures_the_chosen_box(stage: StagePage, slices: SliceServer) -> None:
    shown = _one(slices, blocks(), spacing=(0.7, 0.5))
    stage.give(data(shown, [box("f-1", shown.slices[0], BOX, colour=ORANGE)], selected="f-1"))
    before = stage.canvas("over")
    stage.press("m")
    # 40 rows of 0.7 mm, 45 columns of 0.5 mm
    assert stage.text(".status-measure") == "long 28.0 mm, short 22.5 mm"
    assert (stage.canvas("over") != before).any()
    stage.press("m")
    assert (stage.canvas("over") == before).all()


def test_m_measures_pixels_where_the_spacing_is_unknown(stage: StagePage, slices: SliceServer) -> None:
    shown = _one(slices, blocks(), spacing=None)
    stage.give(data(shown, [box("f-1", shown.slices[0], BOX)], selected="f-1"))
    stage.press("m")
    assert stage.text(".status-measure") == "long 45.0 px, short 40.0 px (no scale)"
