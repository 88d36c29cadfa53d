"""A whole review without a mouse."""

from __future__ import annotations

import pytest

from medground.viewer.stage_data import Accept, Add, Edit, Reject, Relabel, StageBox
from tests.viewer.stage.given import ORANGE, box, data, series
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage, kinds

XYXY = (30.5, 20.0, 75.0, 60.0)


@pytest.fixture
def reviewed(stage: StagePage, slices: SliceServer) -> StagePage:
    """A series of ten with two findings, of which the first is chosen."""
    ct = series(slices, "ct", 10)
    boxes = [box("f-1", ct.slices[4], XYXY), box("f-2", ct.slices[7], XYXY, colour=ORANGE, label="mass 0.50")]
    stage.give(data(ct, boxes, selected="f-1"))
    assert stage.slice == 4
    return stage


def _legend(stage: StagePage) -> list[str]:
    return [text.strip() for text in stage.find(".legend-entry").all_inner_texts()]


def test_a_accepts(reviewed: StagePage) -> None:
    reviewed.press("a")
    event = reviewed.sent()[-1]
    assert isinstance(event, Accept)
    assert (event.finding, event.study) == ("f-1", "study-1")
    assert _legend(reviewed) == ["\u2713 nodule 0.82 saving\u2026 (accepted)"]
    assert reviewed.text(".status-saving") == "saving\u2026"


@pytest.mark.parametrize("keys", [("2",), ("ArrowDown", "Enter"), ("ArrowUp", "Enter")])
def test_r_rejects_for_a_reason(reviewed: StagePage, keys: tuple[str, ...]) -> None:
    reviewed.press("r")
    assert reviewed.text(".menu-title") == "Why is this wrong: nodule 0.82?"
    reviewed.press(*keys)
    event = reviewed.sent()[-1]
    assert isinstance(event, Reject)
    assert (event.finding, event.reason) == ("f-1", "other")
    assert not reviewed.find(".menu").is_visible()
    assert _legend(reviewed) == ["\u2717 nodule 0.82 saving\u2026 (rejected)"]


def test_escape_closes_the_reasons(reviewed: StagePage) -> None:
    reviewed.press("r", "j", "ArrowDown", "Escape")
    assert not reviewed.find(".menu").is_visible()
    assert reviewed.sent() == []
    reviewed.press("ArrowDown")  # the keys of the stage are back
    assert reviewed.slice == 5


def test_the_list_is_told_to_screen_readers(reviewed: StagePage) -> None:
    reviewed.press("r", "ArrowDown")
    listed = reviewed.find(".menu-list")
    assert listed.get_attribute("role") == "listbox"
    active = listed.get_attribute("aria-activedescendant")
    assert reviewed.find(f"#{active}").inner_text().endswith("It is something else")
    assert reviewed.find("[role=option]").evaluate_all("all => all.map(one => one.ariaSelected)") == ["false", "true"]


def test_e_moves_and_sizes_the_box(reviewed: StagePage) -> None:
    reviewed.press("e", "ArrowRight", "ArrowRight", "ArrowDown", "Control+ArrowLeft", "Shift+ArrowRight")
    reviewed.press("Control+Shift+ArrowDown")
    assert reviewed.slice == 4
    assert reviewed.sent() == []
    reviewed.press("Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Edit)
    assert event.box_xyxy_px == (30.5 - 8, 21, 75 - 8 + 1, 61 + 10)
    assert (event.finding, event.sop, event.frame) == ("f-1", "1.2.ct.4", 1)
    assert _legend(reviewed) == ["\u270e nodule 0.82 saving\u2026 (edited)"]


def test_escape_leaves_the_box_as_it_was(reviewed: StagePage) -> None:
    before = reviewed.canvas("over")
    reviewed.press("e", "ArrowRight")
    assert (reviewed.canvas("over") != before).any()
    reviewed.press("Escape")
    assert (reviewed.canvas("over") == before).all()
    assert reviewed.sent() == []


def test_enter_without_a_change_is_no_edit(reviewed: StagePage) -> None:
    reviewed.press("e", "Enter")
    assert reviewed.sent() == []
    assert not reviewed.find(".tool-keep").is_visible()


def test_the_box_stays_inside_of_the_image(reviewed: StagePage) -> None:
    reviewed.press("e", *["Control+ArrowRight"] * 8, *["Control+Shift+ArrowUp"] * 5, "Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Edit)
    assert event.box_xyxy_px == (128 - 44.5, 20, 128, 21)


def test_while_a_box_is_changed_other_entries_wait(reviewed: StagePage) -> None:
    reviewed.press("e", "a", "j", "u", "n")
    assert reviewed.sent() == []
    assert reviewed.text(".hint") == "A box is being changed: keep it with Enter, or give it up with Escape."
    reviewed.press("2", "i")  # looking goes on
    assert reviewed.text(".status-window") == "W 500 L 1250"
    reviewed.press("Escape", "a")
    assert kinds(reviewed.sent()) == ["accept"]


def test_l_changes_the_label(reviewed: StagePage) -> None:
    reviewed.press("l", "e", "f", "f")
    assert reviewed.find(".menu-list li").all_inner_texts() == ["pleural effusion"]
    reviewed.press("Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Relabel)
    assert (event.finding, event.concept) == ("f-1", "pleural_effusion")
    assert _legend(reviewed) == ["\u270e pleural effusion 0.82 saving\u2026 (edited)"]


def test_nothing_has_these_letters(reviewed: StagePage) -> None:
    reviewed.press("l", "z", "Enter")
    assert reviewed.text(".menu-empty") == "Nothing has these letters"
    reviewed.press("Backspace", "ArrowDown", "Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Relabel)
    assert event.concept == "mass"


def test_n_draws_a_missed_finding_in_the_middle_of_the_view(reviewed: StagePage) -> None:
    reviewed.press("ArrowDown", "n", "Control+ArrowUp", "Shift+ArrowRight", "Enter")
    assert reviewed.text(".menu-title") == "What was missed?"
    reviewed.press("m", "a", "Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Add)
    side = 26  # a fifth of the 128 pixels that are seen
    first = 64 - side / 2
    assert event.box_xyxy_px == (first, first - 10, first + side + 1, first - 10 + side)
    assert (event.concept, event.sop, event.frame) == ("mass", "1.2.ct.5", 1)
    assert _legend(reviewed) == ["+ mass saving\u2026 (added)"]


def test_a_new_box_goes_along_to_another_slice_until_it_is_touched(reviewed: StagePage) -> None:
    reviewed.press("n", "PageDown", "ArrowUp", "PageUp", "Enter", "Enter")
    event = reviewed.sent()[-1]
    assert isinstance(event, Add)
    assert event.sop == "1.2.ct.9"


def test_escape_from_the_labels_goes_back_to_the_box(reviewed: StagePage) -> None:
    reviewed.press("n", "ArrowLeft", "Enter", "Escape", "ArrowLeft", "Escape")
    assert reviewed.sent() == []
    assert not reviewed.find(".tool-keep").is_visible()


def test_u_takes_back(reviewed: StagePage) -> None:
    reviewed.press("a", "u")
    assert kinds(reviewed.sent()) == ["accept", "undo"]
    assert _legend(reviewed) == ["nodule 0.82 (not reviewed)"]


def test_a_finding_in_many_slices_is_accepted_in_all(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 10)
    boxes = [box("f-1", ct.slices[at], XYXY, is_main=at == 4) for at in (3, 4, 5)]
    stage.give(data(ct, boxes, selected="f-1"))
    stage.press("a", "ArrowDown")
    assert _legend(stage) == ["\u2713 nodule 0.82 saving\u2026 (accepted)"]


def test_numbers_grow(reviewed: StagePage) -> None:
    reviewed.press("a", "u", "a", "u")
    numbers = [event.number for event in reviewed.sent()]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 1_600_000_000_000  # they begin with the time, in milliseconds


def test_without_a_chosen_finding_the_stage_says_what_to_do(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 3)
    stage.give(data(ct, [box("f-1", ct.slices[0], XYXY)]))
    for key in ("a", "r", "e", "l"):
        stage.press(key)
        assert stage.text(".hint") == "Choose a finding first: press j, or press its box."
    assert stage.sent() == []


def test_who_may_not_review_only_looks(stage: StagePage, slices: SliceServer) -> None:
    ct = series(slices, "ct", 3)
    found: StageBox = box("f-1", ct.slices[0], XYXY)
    stage.give(data(ct, [found], selected="f-1", may_review=False))
    stage.press("a", "r", "e", "l", "n", "u")
    assert stage.sent() == []
    assert not stage.find(".menu").is_visible()
    visible = stage.find(".tool:visible").all_inner_texts()
    assert {"Accept", "Reject", "Edit", "Label", "Missed", "Undo", "Keep", "Give up"} & set(visible) == set()
    assert stage.page.evaluate("otherKeys") == ["a", "r", "e", "l", "n", "u"]
