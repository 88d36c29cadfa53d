"""The same way by the keyboard alone: Tab to what Streamlit holds, single keys on the stage."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from medground.client.client import Client
from tests.serving.running import Running
from tests.viewer.journey.conftest import NODULE, ON_SLICES, Open
from tests.viewer.journey.viewer_page import ViewerPage
from tests.viewer.people import USER


def tab_to(page: ViewerPage, name: str) -> None:
    """Press Tab until an element of that name has the focus: once round the page, or twice if it is just redrawn."""
    page.page.get_by_label(name).or_(page.page.get_by_role("button", name=name)).first.wait_for()
    page.idle()
    for _ in range(160):
        page.page.keyboard.press("Tab")
        found = page.page.evaluate(
            "() => { const one = document.activeElement; const own = one.tagName === 'BUTTON' ? one.innerText : ''; "
            "const labels = [...(one.labels ?? [])].map(label => label.innerText); "
            "return [own, one.getAttribute('aria-label'), ...labels].join('|'); }"
        )
        if name in found:
            return
    pytest.fail(f"Tab never comes to {name!r}")


def test_everything_can_be_done_by_keys(open_viewer: Open, new_ct: Callable[..., str], house: Running) -> None:
    patient = new_ct()
    page = open_viewer()
    page.page.goto(page.url)
    expect(page.page.get_by_label("Access token")).to_be_focused()  # by itself, a moment after the page has loaded
    page.page.keyboard.type(house.token(*USER))
    page.page.keyboard.press("Enter")
    page.page.get_by_role("heading", name="Work list").wait_for()
    tab_to(page, "Search")
    page.page.keyboard.type(patient)
    page.page.keyboard.press("Enter")
    page.page.get_by_text(f"Test {patient}").wait_for()
    page.wait_for_one_study()
    tab_to(page, "Open study")
    page.page.keyboard.press("Enter")
    page.stage.wait_for()
    page.settle()

    first = page.slice
    page.press("ArrowDown", "ArrowDown", "PageDown", "Home", "ArrowDown")
    assert page.slice == 1 != first or first == 1
    tab_to(page, "Questions")
    page.page.keyboard.type("is there a nodule?")
    page.page.keyboard.press("Control+Enter")
    page.page.get_by_text("1. is there a nodule?", exact=True).wait_for()
    page.page.get_by_role("button", name="Accept (a)").wait_for()
    page.page.keyboard.press("Escape")
    page.page.evaluate("document.activeElement.blur()")
    page.settle()

    assert page.slice + 1 in ON_SLICES  # the first finding is chosen
    page.press("Home", "k")
    assert page.slice + 1 in ON_SLICES
    page.press("e", "ArrowRight", "ArrowRight", "Shift+ArrowDown", "Enter")
    page.page.get_by_text("✎ edited").wait_for()
    page.press("l")
    page.page.keyboard.type("effus")
    page.press("Enter")
    page.page.get_by_role("button", name=re.compile("^pleural effusion.*edited")).wait_for()
    page.press("u")  # the label, not the box
    page.page.get_by_role("button", name=re.compile("^nodule.*edited")).wait_for()
    page.press("n", "Enter")
    page.page.keyboard.type("nodule")
    page.press("Enter")
    page.page.get_by_text("+ added").wait_for()
    page.press("r", "1")
    page.page.get_by_text("✗ rejected").wait_for()

    tab_to(page, "Signed by")
    page.page.keyboard.press("Control+A")
    page.page.keyboard.type("Reader^Ann")
    page.page.keyboard.press("Enter")
    page.page.get_by_text("Signed: report").wait_for()
    with Client(house.url, house.token(*USER)) as client:
        (study,) = client.studies(search=patient).studies
        (result,) = client.results(study.study)
        review = client.review(result.job)
    assert [one["entry"]["action"] for one in review.entries] == ["edit", "edit", "undo", "add", "reject", "sign"]
    moved = (NODULE[0] + 2, NODULE[1], NODULE[2] + 2, NODULE[3] + 1)
    assert review.entries[0]["entry"]["box_xyxy_px"] == pytest.approx(moved, abs=1)
