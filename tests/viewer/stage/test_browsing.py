"""Going through the images by keys, wheel and slider; loading; the prior beside them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.viewer.stage.given import BLUE, ORANGE, box, data, middle_of, series
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage, brightness, near

LOADING = "stage.querySelector('.status-loading').textContent"
ZOOM = "stage.querySelector('.status-zoom').textContent"
XYXY = (30.0, 20.0, 75.0, 60.0)


def _shown_slice(stage: StagePage, pane: int = 0) -> int:
    """The slice that is painted, by its first block."""
    greys = {brightness(40 * index, 0, 4000): index for index in range(100)}
    return greys[stage.grey(*middle_of(0, 0), pane=pane)]


def test_keys_go_through_the_slices(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 30)))
    went = []
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "PageDown", "PageDown", "PageUp", "End", "ArrowDown", "Home", "k"):
        stage.press(key)
        assert _shown_slice(stage) == stage.slice
        went.append(stage.slice)
    assert went == [1, 2, 1, 11, 21, 11, 29, 29, 0, 0]
    stage.press("End")
    assert stage.text(".status-slice") == "30 / 30, 72.5 mm"
    assert stage.find(".slider").get_attribute("aria-valuetext") == "slice 30 / 30, 72.5 mm"


def test_the_wheel_goes_through_the_slices(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 30)))
    stage.page.mouse.move(*stage.at(64, 64))
    for _ in range(3):
        stage.page.mouse.wheel(0, 100)
    stage.wait("stage.dataset.slice === '3'")
    stage.page.mouse.wheel(0, -100)
    stage.wait("stage.dataset.slice === '2'")
    stage.settle()
    assert _shown_slice(stage) == 2


def test_j_and_k_go_to_the_main_slice_of_the_next_finding(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 30)
    boxes = [
        box("f-1", ct.slices[4], XYXY, is_main=False),
        box("f-1", ct.slices[5], XYXY),
        box("f-2", ct.slices[20], XYXY),
    ]
    stage.give(data(ct, boxes))
    went = []
    for key in ("j", "j", "j", "k", "k"):
        stage.press(key)
        went.append((stage.slice, stage.find(".legend-entry[aria-pressed=true]").count()))
    assert went == [(5, 1), (20, 1), (5, 1), (20, 1), (5, 1)]
    chosen = stage.wait_for_sent("select")
    stage.page.wait_for_function("states.at(-1)[1].at(-1).finding === 'f-1'")
    assert chosen.study == "study-1"


def test_marks_stand_where_boxes_are_and_a_press_goes_there(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 20)
    boxes = [box("f-1", ct.slices[5], XYXY), box("f-2", ct.slices[15], XYXY, colour=ORANGE)]
    stage.give(data(ct, boxes))
    slider = stage.find(".slider")
    area = slider.bounding_box()
    assert area is not None
    track = stage.page.evaluate(
        """() => {
          const found = document.querySelector('#host').shadowRoot.querySelector('.slider canvas');
          const pixels = found.getContext('2d').getImageData(0, 0, found.width, found.height);
          return [found.width, found.height, [...pixels.data]];
        }"""
    )
    pixels = np.array(track[2], np.uint8).reshape(track[1], track[0], 4)
    for colour, index in ((BLUE, 5), (ORANGE, 15)):
        rows = np.nonzero(near(pixels, colour).any(1))[0]
        assert rows.min() == pytest.approx(index / 20 * area["height"], abs=1.5)
        assert rows.max() + 1 == pytest.approx((index + 1) / 20 * area["height"], abs=1.5)
    stage.page.mouse.click(area["x"] + 10, area["y"] + 15.5 / 20 * area["height"])
    stage.settle()
    assert stage.slice == 15
    assert slider.get_attribute("aria-valuenow") == "16"


def test_six_are_asked_for_at_once_and_the_nearest_first(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 40)
    slices.gate.clear()
    stage.start(data(ct, [box("f-1", ct.slices[20], XYXY)], selected="f-1"))
    assert stage.text(".waiting") == "Loading the image\u2026"
    slices.wait_for(lambda asked: len(asked) >= 6)
    assert sorted(slices.asked) == [f"/ct/{index}" for index in (18, 19, 20, 21, 22, 23)]
    slices.gate.set()
    stage.wait(f"{LOADING} === ''")
    assert sorted(slices.asked) == sorted(f"/ct/{index}" for index in range(40))
    distances = [abs(int(path.rpartition("/")[2]) - 20) for path in slices.asked]
    assert all(distance <= (at + 6) / 2 + 3 for at, distance in enumerate(distances))  # six are under way at a time


def test_what_is_looked_at_does_not_wait_for_what_is_far(stage: StagePage, slices: SliceServer) -> None:
    slices.gate.clear()
    stage.start(data(series(slices, "ct", 40)))
    stage.page.keyboard.press("End")
    slices.wait_for(lambda asked: "/ct/39" in asked)


def test_far_slices_are_let_go_beyond_the_budget_and_fetched_again(stage: StagePage, slices: SliceServer) -> None:
    """A slice has 32 KiB: 32 of the 60 fit into a MiB."""
    ct = series(slices, "ct", 60)
    stage.give(data(ct, pixels_mib=1))
    stage.wait(f"{LOADING} === 'loaded 32 of 60'")
    assert len(slices.asked) == 32
    stage.press("End")
    stage.wait("stage.dataset.painted === 'smooth'")
    assert _shown_slice(stage) == 59
    stage.wait(f"{LOADING} === 'loaded 32 of 60'")
    assert {f"/ct/{index}" for index in range(28, 60)} <= set(slices.asked)
    before = slices.asked.count("/ct/0")
    stage.press("Home")
    stage.wait("stage.dataset.painted === 'smooth'")
    assert _shown_slice(stage) == 0
    assert slices.asked.count("/ct/0") == before + 1


def test_a_prior_is_linked_by_position(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 20, step_mm=2.5)
    prior = series(slices, "old", 20, step_mm=5.0, first_mm=-10.0)
    stage.give(data(ct, prior=prior))
    stage.press("PageDown")  # 25 mm: the eighth of the prior, whose positions are -10, -5, ... 25
    assert (_shown_slice(stage, 0), _shown_slice(stage, 1)) == (10, 7)
    assert "slice 8 / 20, 25.0 mm" in stage.find(".caption").nth(1).inner_text()
    stage.press("2")  # measured in the same values: one window for both
    assert [stage.grey(*middle_of(2, 4), pane=pane) for pane in (0, 1)] == [brightness(20 * 64, 1000, 1500)] * 2


def test_a_prior_is_linked_by_index(stage: StagePage, slices: SliceServer) -> None:
    prior = series(slices, "old", 3, linked_by="index", step_mm=None)
    stage.give(data(series(slices, "ct", 5, step_mm=None), prior=prior))
    pairs = []
    for _ in range(4):
        pairs.append((stage.slice, _shown_prior(stage)))
        stage.press("ArrowDown")
    assert pairs == [(0, 0), (1, 1), (2, 2), (3, 2)]


def _shown_prior(stage: StagePage) -> int:
    """The slice of the prior, whose window is its own: its range."""
    greys = {brightness(40 * index, 0, 4032): index for index in range(10)}
    return greys[stage.grey(*middle_of(0, 0), pane=1)]


def test_zoom_stays_at_the_pointer_and_a_double_click_fits(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 3)))
    fitted = stage.text(".status-zoom")
    x, y = 88.5, 40.5
    stage.page.mouse.move(*stage.at(x, y))
    stage.settle()
    before = stage.text(".status-point")
    stage.page.keyboard.down("Control")
    for _ in range(5):
        stage.page.mouse.wheel(0, -100)
    stage.page.keyboard.up("Control")
    stage.wait(f"{ZOOM} !== '{fitted}'")
    stage.settle()
    assert before.startswith("x 88 y 40: ")
    assert stage.text(".status-point") == before
    assert stage.slice == 0
    stage.page.mouse.dblclick(*stage.at(x, y))
    stage.settle()
    assert stage.text(".status-zoom") == fitted


def test_the_wheel_zooms_a_single_image(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "xray", 1)))
    stage.page.mouse.move(*stage.at(64, 64))
    words = stage.text(".status-zoom")
    stage.page.mouse.wheel(0, -100)
    stage.wait(f"{ZOOM} !== '{words}'")
    assert float(stage.text(".status-zoom").removesuffix(" %")) == pytest.approx(
        float(words.removesuffix(" %")) * 1.2, abs=1
    )
    assert not stage.find(".slider").is_visible()


def test_a_zoomed_image_is_moved_by_shift_and_arrows_and_by_drags(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 3)))
    stage.press("Shift+ArrowRight")
    at_rest = stage.canvas()
    stage.press("+", "+", "+")
    zoomed = stage.canvas()
    stage.press("Shift+ArrowRight")  # the view goes to the right: the image 60 points to the left
    moved = stage.canvas()
    assert np.abs(moved[:, :-60].astype(int) - zoomed[:, 60:]).max() <= 1
    area = stage.find(".picture").first.bounding_box()
    assert area is not None
    stage.page.mouse.move(area["x"] + 300, area["y"] + 200)
    stage.page.mouse.down(button="middle")
    stage.page.mouse.move(area["x"] + 360, area["y"] + 200, steps=3)
    stage.page.mouse.up(button="middle")
    stage.settle()
    assert np.abs(stage.canvas().astype(int) - zoomed).max() <= 1
    stage.press("0")
    assert (stage.canvas() == at_rest).all()
    assert stage.slice == 0


def test_letters_in_a_field_of_the_page_are_text(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 30)
    stage.give(data(ct, [box("f-1", ct.slices[4], XYXY)]))
    stage.page.click("#text")
    stage.press("j", "i", "2", "a", "n", "?", "End", "ArrowDown")
    assert stage.page.input_value("#text") == "ji2an?"
    assert stage.slice == 0
    assert stage.sent() == []
    assert stage.text(".status-window") == "W 4000 L 2000"
    assert not stage.find(".help").is_visible()


def test_other_controls_of_the_page_keep_their_arrows(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 30)))
    stage.page.focus("#range")
    stage.press("ArrowDown", "ArrowDown")
    assert (stage.slice, stage.page.input_value("#range")) == (0, "48")
    stage.press("i")
    assert stage.find(".tool-invert").get_attribute("aria-pressed") == "true"


def test_the_page_does_not_see_the_keys_of_the_stage(stage: StagePage, slices: SliceServer) -> None:
    """Streamlit runs the script again at r and asks whether to clear its memory at c."""
    ct = series(slices, "ct", 3)
    stage.give(data(ct, [box("f-1", ct.slices[0], XYXY)], selected="f-1"))
    stage.press("r", "Escape", "ArrowDown", "c")
    assert stage.page.evaluate("otherKeys") == ["c"]


def test_the_list_of_keys(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 3)))
    stage.press("?")
    assert "next, previous finding" in stage.text(".help")
    stage.press("ArrowDown", "Escape")
    assert not stage.find(".help").is_visible()
    assert stage.slice == 0


def test_windows_are_chosen_from_a_list(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 3)))
    stage.find(".tool-windows").click()
    assert [entry.strip() for entry in stage.find(".menu-list li").all_inner_texts()] == ["1\nWide", "2\nNarrow"]
    stage.press("ArrowDown", "Enter")
    assert stage.text(".status-window") == "W 500 L 1250"


def test_a_colour_series_has_no_presets(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 1).model_copy(update={"is_colour": True})
    stage.give(data(ct))
    assert stage.find(".tool-windows").get_attribute("aria-disabled") == "true"


def test_a_series_without_images_says_so(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 0)))
    assert stage.text(".waiting") == "This series has no images."
    stage.press("ArrowDown", "j", "e", "+", "m")


def test_nothing_is_left_after_the_component_is_taken_away(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 3)))
    stage.page.evaluate("unmount()")
    stage.page.keyboard.press("ArrowDown")
    assert stage.find("*").count() == 0
    assert stage.page.evaluate("otherKeys") == ["ArrowDown"]
    stage.give(data(series(slices, "ct", 3)))
    assert _shown_slice(stage) == 0


def test_image_of_another_study_begins_anew(stage: StagePage, slices: SliceServer) -> None:
    stage.give(data(series(slices, "ct", 10)))
    stage.press("PageDown", "2", "+")
    assert stage.slice == 9
    stage.give(data(series(slices, "mr", 10), study="study-2"))
    assert stage.slice == 0
    assert stage.text(".status-window") == "W 4000 L 2000"
