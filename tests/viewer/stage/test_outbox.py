"""Events until the page has dealt with them: over reloads, refused, and in what order."""

from __future__ import annotations

import pytest

from medground.viewer.stage_data import Refused, Select, Series
from tests.viewer.stage.conftest import Open
from tests.viewer.stage.given import box, data, series
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage, kinds, upto

XYXY = (30.0, 20.0, 75.0, 60.0)


@pytest.fixture
def ct(slices: SliceServer) -> Series:
    return series(slices, "ct", 10)


@pytest.fixture
def reviewed(stage: StagePage, ct: Series) -> StagePage:
    boxes = [box("f-1", ct.slices[4], XYXY), box("f-2", ct.slices[7], XYXY)]
    stage.give(data(ct, boxes, selected="f-1"))
    return stage


def _legend(stage: StagePage) -> str:
    return stage.text(".legend-entry").strip()


def test_events_wait_over_a_reload_until_they_are_acknowledged(reviewed: StagePage) -> None:
    given = reviewed.data
    assert given is not None
    reviewed.press("a", "j", "a")
    before = [event for event in reviewed.sent() if event.kind != "select"]
    assert kinds(before) == ["accept", "accept"]
    reviewed.reload()
    reviewed.give(given)
    reviewed.page.wait_for_function("states.length > 0")
    assert reviewed.sent() == before
    assert _legend(reviewed) == "\u2713 nodule 0.82 saving\u2026 (accepted)"
    reviewed.change(acknowledged=upto(before[0]))
    assert _legend(reviewed) == "nodule 0.82 (not reviewed)"  # as the page says, which has not changed it
    reviewed.reload()
    reviewed.give(given)
    reviewed.page.wait_for_function("states.length > 0")
    assert reviewed.sent() == before[1:]
    reviewed.change(acknowledged=upto(before[1]))
    assert reviewed.find(".status-saving").text_content() == ""
    reviewed.reload()
    reviewed.give(given)
    reviewed.press("u")
    assert kinds(reviewed.sent()) == ["undo"]
    assert reviewed.sent()[0].number > before[1].number


def test_each_tab_names_its_events(reviewed: StagePage, open_stage: Open, ct: Series) -> None:
    """Also one that is duplicated, which takes a copy of the storage along: what it does is its own."""
    given = reviewed.data
    assert given is not None
    reviewed.press("a")
    (first,) = reviewed.sent()
    kept = reviewed.page.evaluate("JSON.stringify({...sessionStorage})")
    copy = open_stage()
    copy.page.evaluate("kept => Object.assign(sessionStorage, JSON.parse(kept))", kept)
    copy.reload()
    copy.give(given)
    copy.press("u")
    again, second = copy.sent()
    assert again == first
    assert len(first.tab) == len(second.tab) == 16
    assert first.tab != second.tab
    copy.change(acknowledged=upto(second))
    assert copy.find(".status-saving").text_content() != ""
    copy.change(acknowledged={**upto(first), **upto(second)})
    assert copy.find(".status-saving").text_content() == ""


def test_an_acknowledged_event_is_not_sent_again(reviewed: StagePage) -> None:
    reviewed.press("a")
    first = reviewed.sent()[-1]
    reviewed.change(acknowledged=upto(first))
    assert reviewed.find(".status-saving").text_content() == ""
    reviewed.press("u")
    assert kinds(reviewed.sent()) == ["undo"]


def test_a_refused_event_is_taken_back_and_the_words_are_shown(reviewed: StagePage) -> None:
    reviewed.press("a")
    event = reviewed.sent()[-1]
    elsewhere = Refused(tab="0123456789abcdef", number=event.number, words="of another tab")
    reviewed.change(acknowledged={elsewhere.tab: event.number + 1}, refused=(elsewhere,))
    assert _legend(reviewed) == "\u2713 nodule 0.82 saving\u2026 (accepted)"
    refused = (elsewhere, Refused(tab=event.tab, number=event.number, words="the study is signed"))
    reviewed.change(acknowledged=upto(event), refused=refused)
    assert _legend(reviewed) == "nodule 0.82 (not reviewed)"
    assert reviewed.text(".alert span") == "The acceptance was not saved: the study is signed"
    reviewed.find(".alert button").click()
    assert not reviewed.find(".alert").is_visible()
    reviewed.change(refused=refused)  # told again with the next run: it is not news
    assert not reviewed.find(".alert").is_visible()


def test_a_refused_edit_goes_back_to_the_box_of_the_page(reviewed: StagePage) -> None:
    before = reviewed.canvas("over")
    reviewed.press("e", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "Enter")
    assert (reviewed.canvas("over") != before).any()
    event = reviewed.sent()[-1]
    refused = (Refused(tab=event.tab, number=event.number, words="no"),)
    reviewed.change(acknowledged=upto(event), refused=refused)
    assert (reviewed.canvas("over") == before).all()


def test_events_of_another_study_wait_too(reviewed: StagePage, slices: SliceServer) -> None:
    reviewed.press("a")
    first = reviewed.sent()[-1]
    reviewed.give(data(series(slices, "mr", 3), study="study-2"))
    reviewed.press("u")
    assert [(event.study, event.kind) for event in reviewed.sent()] == [("study-1", "accept"), ("study-2", "undo")]
    reviewed.change(acknowledged=upto(first))  # said of the second study, it says nothing of the first
    assert [event.study for event in reviewed.sent()] == ["study-1", "study-2"]
    reviewed.change(study="study-1", acknowledged=upto(first))
    reviewed.press("u")
    assert [(event.study, event.kind) for event in reviewed.sent()] == [("study-2", "undo"), ("study-1", "undo")]


def test_only_the_newest_choice_is_sent(reviewed: StagePage) -> None:
    reviewed.press("j", "k", "j")
    reviewed.wait_for_sent("select")
    reviewed.page.wait_for_function("states.at(-1)[1].at(-1).finding === 'f-2'")
    assert kinds(reviewed.sent()) == ["select"]
    reviewed.press("a")
    assert kinds(reviewed.sent()) == ["select", "accept"]


def test_an_older_choice_of_the_page_does_not_take_the_newer_one_back(reviewed: StagePage) -> None:
    reviewed.press("j")
    event = reviewed.wait_for_sent("select")
    assert isinstance(event, Select)
    reviewed.change(selected="f-2", acknowledged=upto(event))
    reviewed.press("k")
    assert reviewed.slice == 4
    reviewed.change(selected=None)  # a run of before that key
    assert reviewed.slice == 4
    assert reviewed.find(".legend-entry[aria-pressed=true]").count() == 1


def test_a_box_that_is_not_saved_yet_takes_no_further_entry(reviewed: StagePage) -> None:
    reviewed.press("n", "Enter", "Enter")
    reviewed.find(".legend-entry").nth(1).click()
    reviewed.press("a")
    assert kinds(reviewed.sent()) == ["add"]
    assert reviewed.text(".hint") == "This finding is not saved yet; wait a moment."


def test_what_was_added_is_replaced_by_the_box_of_the_page(reviewed: StagePage, ct: Series) -> None:
    assert reviewed.data is not None
    reviewed.press("n", "Enter", "Enter")
    added = reviewed.sent()[-1]
    theirs = box("added-1", ct.slices[4], XYXY, label="nodule", status="added", score=None)
    reviewed.change(acknowledged=upto(added), boxes=(*reviewed.data.boxes, theirs))
    texts = [text.strip() for text in reviewed.find(".legend-entry").all_inner_texts()]
    assert texts == ["nodule 0.82 (not reviewed)", "+ nodule (added)"]


def test_without_a_connection_it_is_said_that_nothing_is_saved(reviewed: StagePage) -> None:
    reviewed.page.context.set_offline(True)
    reviewed.press("a")
    assert reviewed.text(".status-saving") == "not saved yet"
    before = len(reviewed.page.evaluate("states"))
    reviewed.find(".send-again").click()
    assert len(reviewed.page.evaluate("states")) == before + 1
    reviewed.page.context.set_offline(False)
    reviewed.page.wait_for_function("before => states.length > before", arg=before + 1)
    assert kinds(reviewed.sent()) == ["accept"]
    reviewed.wait("stage.querySelector('.status-saving').textContent === 'saving\u2026'")


def test_a_browser_without_storage_is_told_of(stage: StagePage, ct: Series) -> None:
    stage.page.evaluate("() => { Storage.prototype.setItem = () => { throw new DOMException('full'); }; }")
    stage.give(data(ct, [box("f-1", ct.slices[4], XYXY)], selected="f-1"))
    stage.press("a")
    assert kinds(stage.sent()) == ["accept"]
    assert stage.text(".alert").startswith("This browser keeps nothing over a reload")
    stage.change(acknowledged=upto(stage.sent()[-1]))
    assert stage.find(".alert").count() == 0
