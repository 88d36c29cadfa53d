"""For everyone: contrast of text, a focus that is seen, and the whole stage by tabulator."""

from __future__ import annotations

import pytest

from medground.viewer.stage_data import StageBox
from tests.viewer.stage.given import box, data, series
from tests.viewer.stage.server import SliceServer
from tests.viewer.stage.stage_page import StagePage

XYXY = (30.0, 20.0, 75.0, 60.0)

# Relative luminance and contrast as WCAG 2.2 has them; grounds that let through are laid over those behind.
_CONTRASTS = """() => {
  const stage = document.querySelector('#host').shadowRoot.querySelector('.stage');
  const parsed = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((one, at) => one * a + below[at] * (1 - a));
  const ground = (element) => {
    if (!element || element.parentNode === null) return [255, 255, 255];
    const behind = element === stage ? [255, 255, 255] : ground(element.parentElement);
    return over(parsed(getComputedStyle(element).backgroundColor), behind);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...stage.querySelectorAll('*')]
    .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
    .map((one) => {
      const behind = ground(one);
      const pair = [luminance(over(parsed(getComputedStyle(one).color), behind)), luminance(behind)];
      return [one.className || one.tagName, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
    });
}"""


@pytest.fixture
def reviewed(stage: StagePage, slices: SliceServer) -> StagePage:
    ct = series(slices, "ct", 10)
    found: StageBox = box("f-1", ct.slices[0], XYXY)
    stage.give(data(ct, [found], prior=series(slices, "old", 10)))
    return stage


@pytest.mark.parametrize("keys", [(), ("j", "l"), ("j", "r"), ("?",), ("j", "e"), ("a",)])
def test_text_has_contrast(reviewed: StagePage, keys: tuple[str, ...]) -> None:
    reviewed.press(*keys)
    contrasts = reviewed.page.evaluate(_CONTRASTS)
    assert len(contrasts) > 20
    assert [name for name, contrast in contrasts if contrast < 4.5] == []


def test_a_failure_has_contrast(stage: StagePage, slices: SliceServer) -> None:
    slices.statuses["/ct/0"] = 500
    stage.start(data(series(slices, "ct", 1)))
    stage.wait("stage.querySelector('.alert')")
    assert [name for name, contrast in stage.page.evaluate(_CONTRASTS) if contrast < 4.5] == []


def test_the_tabulator_reaches_buttons_image_slider_and_legend(reviewed: StagePage) -> None:
    reviewed.page.focus("#range")
    seen = []
    for _ in range(30):
        reviewed.page.keyboard.press("Tab")
        focused = reviewed.page.evaluate(
            """() => {
              const found = document.querySelector('#host').shadowRoot.activeElement;
              return found && [found.className, getComputedStyle(found).outlineStyle];
            }"""
        )
        if focused:
            seen.append(focused)
    names = [name for name, _ in seen]
    for wanted in ("tool tool-accept", "tool tool-help", "picture", "slider", "legend-entry"):
        assert wanted in names
    assert {outline for _, outline in seen} == {"solid"}


def test_the_row_of_buttons_keeps_its_height_while_a_box_is_changed(reviewed: StagePage) -> None:
    before = reviewed.find(".picture").first.bounding_box()
    reviewed.press("j", "e")
    assert reviewed.find(".tool-keep").is_visible()
    assert reviewed.find(".picture").first.bounding_box() == before


@pytest.mark.parametrize(("window", "height"), [(1080, 835), (800, 555), (500, 440)])
def test_without_a_height_the_stage_takes_what_the_window_leaves(
    stage: StagePage, slices: SliceServer, window: int, height: int
) -> None:
    stage.page.set_viewport_size({"width": 1280, "height": window})
    stage.give(data(series(slices, "ct", 10), height_px=None))
    area = stage.page.locator(".stage").bounding_box()
    assert area is not None
    assert area["height"] == height


@pytest.mark.parametrize(("width", "height"), [(820, 620), (1500, 900)])
def test_the_stage_has_the_height_that_the_page_asks_for(
    stage: StagePage, slices: SliceServer, width: int, height: int
) -> None:
    """820 points are left of a screen of 1280 beside Streamlit's sidebar."""
    stage.page.set_viewport_size({"width": width, "height": 1000})
    stage.give(data(series(slices, "ct", 10), height_px=height))
    area = stage.page.locator(".stage").bounding_box()
    picture = stage.find(".picture").first.bounding_box()
    assert area is not None
    assert picture is not None
    assert (area["width"], area["height"]) == (width, height)
    assert picture["height"] > height - 152
    buttons = [button.bounding_box() for button in stage.find(".tool:visible").all()]
    assert len({button["y"] for button in buttons if button}) == 1  # one row


def test_what_is_chosen_is_told(reviewed: StagePage) -> None:
    reviewed.press("j")
    assert reviewed.text("[aria-live]") == "Chosen: nodule 0.82, unreviewed"
    assert reviewed.find(".tool-accept").get_attribute("aria-label") == "Accept: The chosen finding is right"
