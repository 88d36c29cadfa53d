"""The same review with the mouse."""

from __future__ import annotations

import pytest

from medground.viewer.stage_data import Add, Edit, Reject, Select
from tests.viewer.stage.given import ORANGE, box, data, series
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage, kinds

XYXY = (30.0, 20.0, 75.0, 60.0)


@pytest.fixture
def reviewed(stage: StagePage, slices: SliceServer) -> StagePage:
    ct = series(slices, "ct", 10)
    small = box("f-2", ct.slices[4], (40.0, 30.0, 60.0, 50.0), colour=ORANGE, label="mass 0.50")
    stage.give(data(ct, [box("f-1", ct.slices[4], XYXY), small], selected="f-1"))
    return stage


@pytest.mark.parametrize(
    ("at", "finding"),
    [((33.0, 55.0), "f-1"), ((50.0, 40.0), "f-2"), ((40.2, 35.0), "f-2"), ((75.2, 40.0), "f-1")],
)
def test_a_click_chooses_the_box_under_it(reviewed: StagePage, at: tuple[float, float], finding: str) -> None:
    reviewed.click(*at)
    event = reviewed.wait_for_sent("select")
    assert isinstance(event, Select)
    assert event.finding == finding
    assert reviewed.find(".legend-entry[aria-pressed=true]").count() == 1


def test_a_click_beside_every_box_chooses_none(reviewed: StagePage) -> None:
    reviewed.click(110, 110)
    assert reviewed.sent() == []
    assert reviewed.text(".status-window") == "W 4000 L 2000"


def test_a_drag_over_a_box_is_a_window_and_no_choice(reviewed: StagePage) -> None:
    reviewed.drag((50, 40), (60, 40))
    assert reviewed.sent() == []
    assert reviewed.text(".status-window") != "W 4000 L 2000"


def test_buttons_accept_and_reject(reviewed: StagePage) -> None:
    reviewed.find(".tool-accept").click()
    assert kinds(reviewed.sent()) == ["accept"]
    reviewed.find(".tool-reject").click()
    reviewed.find("[role=option]").nth(1).click()
    event = reviewed.sent()[-1]
    assert isinstance(event, Reject)
    assert event.reason == "other"


@pytest.mark.parametrize(
    ("hold", "to", "expected"),
    [
        ((75.0, 60.0), (85.0, 66.0), (30, 20, 85, 66)),
        ((75.0, 60.0), (85.3, 65.6), (30, 20, 85, 66)),  # to whole pixels
        ((30.0, 20.0), (20.0, 26.0), (20, 26, 75, 60)),
        ((75.0, 40.0), (90.0, 50.0), (30, 20, 90, 60)),
        ((52.0, 20.0), (52.0, 10.0), (30, 10, 75, 60)),
        ((35.0, 55.0), (45.0, 50.0), (40, 15, 85, 55)),
        ((30.0, 20.0), (90.0, 70.0), (75, 60, 90, 70)),  # pulled over the other corner
        ((75.0, 60.0), (200.0, 200.0), (30, 20, 128, 128)),  # as far as the image goes
    ],
)
def test_handles_and_the_box_are_pulled(
    reviewed: StagePage, hold: tuple[float, float], to: tuple[float, float], expected: tuple[float, ...]
) -> None:
    reviewed.find(".tool-edit").click()
    reviewed.drag(hold, to)
    assert reviewed.sent() == []
    reviewed.find(".tool-keep").click()
    event = reviewed.sent()[-1]
    assert isinstance(event, Edit)
    assert event.box_xyxy_px == expected


def test_give_up_leaves_the_box(reviewed: StagePage) -> None:
    reviewed.find(".tool-edit").click()
    reviewed.drag((75, 60), (85, 66))
    reviewed.find(".tool-give-up").click()
    assert reviewed.sent() == []


def test_enter_keeps_after_the_button_was_pressed(reviewed: StagePage) -> None:
    """The focus goes to the image, so that Enter does not press the button again."""
    reviewed.find(".tool-edit").click()
    reviewed.press("ArrowRight", "Enter")
    assert kinds(reviewed.sent()) == ["edit"]


def test_a_missed_finding_is_drawn(reviewed: StagePage) -> None:
    reviewed.find(".tool-draw").click()
    reviewed.drag((80, 100), (50, 70))  # over the box in the middle, from corner to corner
    assert reviewed.text(".menu-title") == "What was missed?"
    reviewed.find("[role=option]").nth(2).click()
    event = reviewed.sent()[-1]
    assert isinstance(event, Add)
    assert event.box_xyxy_px == (50, 70, 80, 100)
    assert (event.concept, event.sop) == ("pleural_effusion", "1.2.ct.4")


def test_a_drawn_box_can_be_drawn_again(reviewed: StagePage) -> None:
    reviewed.find(".tool-draw").click()
    reviewed.drag((80, 100), (50, 70))
    reviewed.press("Escape")
    reviewed.drag((90, 90), (100, 110))
    reviewed.press("Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Add)
    assert event.box_xyxy_px == (90, 90, 100, 110)


def test_a_press_without_a_drag_draws_nothing(reviewed: StagePage) -> None:
    reviewed.find(".tool-draw").click()
    reviewed.click(100, 100)
    assert not reviewed.find(".menu").is_visible()
    assert reviewed.sent() == []


def test_the_legend_chooses(reviewed: StagePage) -> None:
    reviewed.find(".legend-entry").nth(1).click()
    event = reviewed.wait_for_sent("select")
    assert isinstance(event, Select)
    assert event.finding == "f-2"
    assert reviewed.find(".legend-entry").nth(1).get_attribute("aria-pressed") == "true"


def test_every_control_has_a_name(reviewed: StagePage) -> None:
    buttons = reviewed.find("button")
    assert buttons.count() > 15
    unnamed = buttons.evaluate_all("all => all.filter(one => !(one.ariaLabel || one.textContent.trim())).length")
    assert unnamed == 0
    region = reviewed.page.locator(".stage")
    assert (region.get_attribute("role"), region.get_attribute("aria-label")) == ("region", "Images and findings")
    picture = reviewed.find(".picture").first
    assert picture.get_attribute("aria-label") == "Series ct, slice 5 / 10, 10.0 mm"
    assert picture.get_attribute("tabindex") == "0"
