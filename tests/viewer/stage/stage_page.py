"""The stage on its page, as a test sees and uses it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page

from medground.viewer.stage_data import EVENTS, Event, StageData
from tests.viewer.stage.server import SliceServer

_STAGE = "document.querySelector('#host').shadowRoot.querySelector('.stage')"
_TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_READ = """([pane, canvas]) => {
  const found = STAGE.querySelectorAll('.pane')[pane].querySelector(`canvas.${canvas}`);
  const pixels = found.getContext('2d').getImageData(0, 0, found.width, found.height);
  let text = '';
  for (let at = 0; at < pixels.data.length; at += 32768) {
    text += String.fromCharCode(...pixels.data.subarray(at, at + 32768));
  }
  return [found.width, found.height, btoa(text)];
}""".replace("STAGE", _STAGE)


@dataclass(frozen=True)
class Fit:
    """Where an image lies that fits its pane: computed here a second time, from the sizes alone.

    Attributes:
        left: points of the pane.
        top: points of the pane.
        scale_x: points for a pixel.
        scale_y: points for a pixel.
    """

    left: float
    top: float
    scale_x: float
    scale_y: float

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Point of the pane of a point of the image."""
        return self.left + self.scale_x * x, self.top + self.scale_y * y


class StagePage:
    """Plays Streamlit: gives data, and reads what the stage set."""

    def __init__(self, page: Page, slices: SliceServer) -> None:
        self.page = page
        self.slices = slices
        self.data: StageData | None = None
        page.goto(f"{slices.url}/page.html")
        page.wait_for_function("window.isReady")

    # what Streamlit does

    def give(self, data: StageData) -> None:
        """Run the script: new data for the stage."""
        self.start(data)
        self.settle()

    def start(self, data: StageData) -> None:
        """The same without waiting for images."""
        self.data = data
        self.page.evaluate("data => give(data)", data.model_dump(mode="json"))
        self.page.evaluate(_TWO_FRAMES)

    def change(self, **changes: Any) -> None:
        """Run the script again with some fields changed."""
        assert self.data is not None
        self.give(StageData.model_validate({**self.data.model_dump(), **changes}))

    def reload(self) -> None:
        """Load the page again, as after a lost connection."""
        self.page.reload()
        self.page.wait_for_function("window.isReady")

    def sent(self) -> list[Event]:
        """The events that were set last, read by the page's own types."""
        states = self.page.evaluate("states")
        assert {name for name, _ in states} <= {"events"}
        return EVENTS.validate_python(states[-1][1]) if states else []

    def wait_for_sent(self, kind: str) -> Event:
        """The newest event, which becomes one of this kind."""
        self.page.wait_for_function("kind => states.at(-1)?.[1].at(-1)?.kind === kind", arg=kind)
        return self.sent()[-1]

    # what a reader does

    def settle(self) -> None:
        """Wait until what was asked for stands there."""
        self.page.evaluate(_TWO_FRAMES)
        loading = "[...stage.querySelectorAll('.waiting')].some(one => one.textContent.startsWith('Loading'))"
        self.wait(f"stage.dataset.painted !== 'nearest' && !{loading}")

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression about the element `stage` is true."""
        self.page.wait_for_function(f"() => {{ const stage = {_STAGE}; return {condition}; }}")

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def find(self, selector: str) -> Locator:
        """Elements of the stage."""
        return self.page.locator(f".stage {selector}")

    def text(self, selector: str) -> str:
        """Text of an element of the stage."""
        return self.find(selector).first.inner_text()

    def at(self, x: float, y: float, pane: int = 0) -> tuple[float, float]:
        """Point of the page of a pixel of an image that fits its pane."""
        area = self.find(".picture").nth(pane).bounding_box()
        assert area is not None
        dx, dy = self.fit(pane).point(x, y)
        return area["x"] + dx, area["y"] + dy

    def click(self, x: float, y: float) -> None:
        """Click on a pixel of the image."""
        self.page.mouse.click(*self.at(x, y))
        self.settle()

    def drag(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        *,
        button: Literal["left", "middle"] = "left",
    ) -> None:
        """Drag from one pixel of the image to another."""
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down(button=button)
        self.page.mouse.move(*self.at(*end), steps=4)
        self.page.mouse.up(button=button)
        self.settle()

    # what a reader sees

    @property
    def slice(self) -> int:
        return int(self.page.evaluate(f"{_STAGE}.dataset.slice"))

    def fit(self, pane: int = 0) -> Fit:
        """Where the image lies at the first zoom."""
        assert self.data is not None
        shown = self.data.series if pane == 0 else self.data.prior
        assert shown is not None
        spacing = shown.slices[0].spacing_mm or (1.0, 1.0)
        high, wide = (length / min(spacing) for length in spacing)
        rows, columns = self.slices.shape(shown.slices[0].url)
        area = self.find(".picture").nth(pane).bounding_box()
        assert area is not None
        scale = min(area["width"] / (columns * wide), area["height"] / (rows * high))
        left = (area["width"] - columns * wide * scale) / 2
        top = (area["height"] - rows * high * scale) / 2
        return Fit(left, top, scale * wide, scale * high)

    def canvas(self, kind: Literal["image", "over"] = "image", pane: int = 0) -> NDArray[np.uint8]:
        """Pixels of a canvas, (rows, columns, RGBA)."""
        width, height, text = self.page.evaluate(_READ, [pane, kind])
        return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)

    def colours(self, points: Sequence[tuple[float, float]], pane: int = 0) -> list[tuple[int, ...]]:
        """Red, green and blue that are painted at points of an image that fits its pane."""
        pixels, fit, ratio = self.canvas(pane=pane), self.fit(pane), self.page.evaluate("devicePixelRatio")
        assert (pixels[..., 3] == 255).all()
        places = [fit.point(*point) for point in points]
        return [tuple(map(int, pixels[int(y * ratio), int(x * ratio), :3])) for x, y in places]

    def grey(self, x: float, y: float, pane: int = 0) -> int:
        """Brightness that is painted at a point of an image that fits its pane."""
        ((red, green, blue),) = self.colours([(x, y)], pane)
        assert red == green == blue
        return red

    def edges_of(self, colour: str, kind: Literal["image", "over"] = "over") -> tuple[float, float, float, float]:
        """Outermost pixels of a colour on the canvas, in points of the pane."""
        rows, columns = np.nonzero(near(self.canvas(kind), colour))
        assert len(rows), f"nothing is {colour}"
        return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def near(pixels: NDArray[np.uint8], colour: str, by: int = 40) -> NDArray[np.bool_]:
    """Which pixels have a colour, within what the smoothing of lines leaves of it."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return (np.abs(pixels[..., :3].astype(int) - wanted).max(-1) <= by) & (pixels[..., 3] > 128)


def brightness(value: float, low: float, high: float) -> int:
    """Grey of a value in a window."""
    return int(min(max((value - low) / (high - low), 0.0), 1.0) * 255 + 0.5)


def upto(event: Event) -> dict[str, int]:
    """That everything was dealt with that this event's tab has sent until then."""
    return {event.tab: event.number}


def kinds(events: Sequence[Event]) -> list[str]:
    """What the events are."""
    return [event.kind for event in events]
