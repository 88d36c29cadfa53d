"""The whole viewer in a browser, as a reader sees and uses it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from pipelines.viewer_process import FIND_STAGE

Box = tuple[float, float, float, float]
PATIENCE_MS = 120_000
_TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_READ = """canvas => {
  const found = STAGE.querySelector(`.pane canvas.${canvas}`);
  const pixels = found.getContext('2d').getImageData(0, 0, found.width, found.height);
  let text = '';
  for (let at = 0; at < pixels.data.length; at += 32768) {
    text += String.fromCharCode(...pixels.data.subarray(at, at + 32768));
  }
  return [found.width, found.height, btoa(text)];
}""".replace("STAGE", FIND_STAGE)


class ViewerPage:
    """A browser with the viewer open.

    Args:
        page: of a context of its own.
        url: of the viewer.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)  # a page is made anew within seconds, and within more on a busy machine

    # what a reader does

    def sign_in(self, token: str) -> None:
        """By the form."""
        self.page.goto(self.url)
        self.page.get_by_label("Access token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Work list").wait_for()
        self.idle()

    def open_study(self, words: str) -> None:
        """Find a study by words and open it."""
        self.page.get_by_label("Search").fill(words)
        self.page.get_by_label("Search").press("Enter")
        self.wait_for_one_study()
        self.page.get_by_role("button", name="Open study").click()
        self.stage.wait_for()
        self.settle()

    def wait_for_one_study(self) -> None:
        """Wait until the work list holds one study."""
        self.idle()
        expect(self.page.get_by_role("button", name="Open study")).to_have_count(1)

    def ask(self, *questions: str) -> None:
        """Ask, and wait for the answer."""
        self.page.get_by_label("Questions").fill("\n".join(questions))
        self.page.get_by_role("button", name="Ask", exact=True).click()
        for number, question in enumerate(questions, start=1):
            self.page.get_by_text(f"{number}. {question}", exact=True).wait_for()
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button from one pixel of the image to another."""
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=5)
        self.page.mouse.up()
        self.settle()

    def click(self, x: float, y: float) -> None:
        """Click on a pixel of the image."""
        self.page.mouse.click(*self.at(x, y))
        self.settle()

    # what a reader sees

    @property
    def stage(self) -> Locator:
        return self.page.locator(".stage")

    def idle(self) -> None:
        """Wait until Streamlit has made the page that was asked for last: before, it may still take a field away."""
        self.page.wait_for_function(
            "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
        )

    def settle(self) -> None:
        """Wait until the page has been made and the image stands there."""
        self.page.evaluate(_TWO_FRAMES)
        self.idle()
        loading = "[...stage.querySelectorAll('.waiting')].some(one => one.textContent.startsWith('Loading'))"
        self.wait(f"stage.dataset.painted && stage.dataset.painted !== 'nearest' && !{loading}")

    def wait(self, condition: str, arg: Any = None) -> None:
        """Wait until a JavaScript expression about the element `stage` is true."""
        self.page.wait_for_function(f"arg => {{ const stage = {FIND_STAGE}; return stage && ({condition}); }}", arg=arg)

    @property
    def slice(self) -> int:
        return int(self.page.evaluate(f"{FIND_STAGE}.dataset.slice"))

    def status(self) -> str:
        """The line under the image."""
        return self.stage.inner_text()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Point of the page of a pixel of a square image with square pixels that fits its pane."""
        area = self.stage.locator(".picture").first.bounding_box()
        assert area is not None
        left, top, scale = self.fit(area["width"], area["height"])
        return area["x"] + left + scale * x, area["y"] + top + scale * y

    shape: tuple[int, int] = (256, 256)  # rows, columns of the images of the study

    def fit(self, width: float, height: float) -> tuple[float, float, float]:
        """Left, top and scale of an image that fits its pane: computed here a second time."""
        rows, columns = self.shape
        scale = min(width / columns, height / rows)
        return (width - columns * scale) / 2, (height - rows * scale) / 2, scale

    def canvas(self, kind: str) -> NDArray[np.uint8]:
        """Pixels of a canvas of the first pane, (rows, columns, RGBA)."""
        width, height, text = self.page.evaluate(_READ, kind)
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)

    def grey(self, x: float, y: float) -> int:
        """Brightness that is painted at a pixel of the image."""
        pixels = self.canvas("image")
        left, top, scale = self.fit(pixels.shape[1], pixels.shape[0])
        return int(pixels[int(top + scale * y), int(left + scale * x), 0])

    def painted_box(self, colour: str) -> Box:
        """Where a box of a colour is drawn, in pixels of the image: the long straight lines of that colour."""
        wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        pixels = self.canvas("over")
        near = (np.abs(pixels[..., :3].astype(int) - wanted).max(-1) <= 48) & (pixels[..., 3] > 128)
        columns, rows = _lines(near, 0), _lines(near, 1)
        left, top, scale = self.fit(pixels.shape[1], pixels.shape[0])
        return (
            (columns[0] - left) / scale,
            (rows[0] - top) / scale,
            (columns[-1] + 1 - left) / scale,
            (rows[-1] + 1 - top) / scale,
        )


def _lines(near: NDArray[np.bool_], axis: int) -> Sequence[int]:
    """Columns (axis 0) or rows (axis 1) that hold a straight line of a box: at least half as long as the longest."""
    counts = near.sum(axis)
    assert counts.max() > 0, "nothing of that colour is drawn"
    return [int(place) for place in np.nonzero(counts >= counts.max() / 2)[0]]
