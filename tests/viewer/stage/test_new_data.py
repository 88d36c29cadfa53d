"""New data from the page while a reader is at work."""

from __future__ import annotations

import pytest

from medground.viewer.stage_data import Edit, Series
from tests.viewer.stage.given import box, data, series
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage

XYXY = (30.0, 20.0, 75.0, 60.0)


@pytest.fixture
def ct(slices: SliceServer) -> Series:
    return series(slices, "ct", 10)


@pytest.fixture
def reviewed(stage: StagePage, ct: Series) -> StagePage:
    stage.give(data(ct, [box("f-1", ct.slices[4], XYXY), box("f-2", ct.slices[7], XYXY)]))
    return stage


def test_slice_zoom_window_and_inversion_stay(reviewed: StagePage, slices: SliceServer) -> None:
    reviewed.press("ArrowDown", "ArrowDown", "ArrowDown", "2", "+", "+", "Shift+ArrowDown", "i")
    reviewed.wait("!stage.querySelector('.status-loading').textContent")
    before, asked = reviewed.canvas(), len(slices.asked)
    words = [reviewed.text(f".status-{name}") for name in ("slice", "window", "zoom")]
    reviewed.change(boxes=(), notice="Another notice")
    assert (reviewed.canvas() == before).all()
    assert [reviewed.text(f".status-{name}") for name in ("slice", "window", "zoom")] == words
    assert reviewed.text(".notice") == "Another notice"
    assert len(slices.asked) == asked  # what is in memory is not fetched again


def test_the_slice_is_found_again_where_others_came_before_it(reviewed: StagePage, ct: Series) -> None:
    reviewed.press("ArrowDown", "ArrowDown", "ArrowDown")
    reviewed.change(series=ct.model_copy(update={"slices": ct.slices[2:]}))
    assert reviewed.slice == 1
    assert reviewed.text(".status-slice") == "2 / 8, 7.5 mm"


def test_an_edit_in_progress_goes_on(reviewed: StagePage) -> None:
    assert reviewed.data is not None
    reviewed.press("j", "e", "ArrowRight")
    moved = tuple(one.model_copy(update={"label": "nodule 0.9"}) for one in reviewed.data.boxes)
    reviewed.change(boxes=moved, selected="f-1")
    reviewed.press("ArrowRight", "Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Edit)
    assert event.box_xyxy_px == (32, 20, 77, 60)


def test_a_drag_in_progress_goes_on(reviewed: StagePage) -> None:
    reviewed.press("j", "e")
    reviewed.page.mouse.move(*reviewed.at(75, 60))
    reviewed.page.mouse.down()
    reviewed.page.mouse.move(*reviewed.at(80, 62))
    reviewed.change(notice="Another notice")
    reviewed.page.mouse.move(*reviewed.at(90, 70))
    reviewed.page.mouse.up()
    reviewed.press("Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Edit)
    assert event.box_xyxy_px == (30, 20, 90, 70)


def test_an_open_list_stays_open_with_what_was_typed(reviewed: StagePage) -> None:
    reviewed.press("j", "l", "m", "a")
    reviewed.change(notice="Another notice")
    assert reviewed.find(".menu-list li").all_inner_texts() == ["mass"]
    reviewed.press("Enter")
    assert reviewed.sent()[-1].kind == "relabel"


def test_the_finding_that_the_page_chooses_is_shown_once(reviewed: StagePage) -> None:
    reviewed.change(selected="f-2")
    assert reviewed.slice == 7
    assert reviewed.find(".legend-entry[aria-pressed=true]").count() == 1
    reviewed.press("Home")
    reviewed.change(notice="Another notice")  # the same choice again is no choice
    assert reviewed.slice == 0
    reviewed.change(selected="f-1")
    assert reviewed.slice == 4
    assert reviewed.sent() == []  # the page knows


def test_an_edit_ends_where_its_finding_is_gone(reviewed: StagePage) -> None:
    reviewed.press("j", "e", "ArrowRight")
    reviewed.wait_for_sent("select")
    reviewed.change(boxes=())
    assert not reviewed.find(".tool-keep").is_visible()
    assert reviewed.text(".hint") == "The finding can no longer be changed; its box is given up."
    reviewed.press("Enter")
    assert [event.kind for event in reviewed.sent()] == ["select"]


def test_an_edit_ends_with_the_series_and_says_so(reviewed: StagePage, slices: SliceServer) -> None:
    reviewed.press("j", "e", "ArrowRight")
    reviewed.wait_for_sent("select")
    reviewed.give(data(series(slices, "mr", 3), study="study-2"))
    assert reviewed.text(".hint") == "Something else was opened; the box that was changed is given up."
    reviewed.press("Enter")
    assert [event.kind for event in reviewed.sent()] == ["select"]
