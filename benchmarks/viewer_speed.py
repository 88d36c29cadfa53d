"""How quick the viewer is, in a real browser: `python -m benchmarks.viewer_speed`.

A service with the shipped bundle, the viewer and Chromium run on loopback. Told are, by the page's own performance
marks: from a key to the painted slice of a CT, once it is loaded; frames a second while the window of a large film is
dragged; from the question to the painted box; and the browser's memory while a reader scrolls for --minutes.

Needs Debian's package chromium. The browser paints without a graphics card here, so one with a card is not slower.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect, sync_playwright

from medground.client.client import Client
from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_ct_study, write_radiograph_study
from medground.schema.errors import MedgroundError, UsageError
from pipelines.service_process import ServiceProcess
from pipelines.sources import say
from pipelines.viewer_process import FIND_STAGE, viewer_process

_SEED = 9_200_000
_PAINTS = (
    "performance.getEntriesByName('stage:paint').map(one => [one.duration, one.detail.isKey ? 1 : 0, one.startTime])"
)


class Reader:
    """What a reader does in the browser, and what the page measured meanwhile."""

    def __init__(self, page: Page, url: str, token: str) -> None:
        self.page, self._url = page, url
        page.set_default_timeout(120_000)
        page.goto(url)
        page.get_by_label("Access token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Work list").wait_for()

    def open(self, words: str) -> float:
        """Open a study; seconds until all its images are there."""
        self.page.goto(self._url)
        back, search = self.page.get_by_role("button", name="← Work list"), self.page.get_by_label("Search")
        back.or_(search).first.wait_for()
        if back.count():
            back.click()
        self.page.get_by_label("Search").fill(words)
        self.page.get_by_label("Search").press("Enter")
        expect(self.page.get_by_role("button", name="Open study")).to_have_count(1, timeout=60_000)
        start = time.perf_counter()
        self.page.get_by_role("button", name="Open study").click()
        self.page.locator(".stage").wait_for()
        self.wait("stage.dataset.painted && stage.dataset.painted !== 'nothing'")
        self.wait("!stage.querySelector('.status-loading').textContent")
        return time.perf_counter() - start

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression about the element `stage` is true."""
        self.page.wait_for_function(f"() => {{ const stage = {FIND_STAGE}; return stage && ({condition}); }}")

    def keys_ms(self, presses: int) -> list[float]:
        """From each of many key presses to its painted slice, ms."""
        self.page.locator(".picture").first.click(position={"x": 2, "y": 2})
        self.page.keyboard.press("Home")
        self.page.wait_for_timeout(300)
        self.page.evaluate("performance.clearMeasures()")
        for _ in range(presses):
            self.page.keyboard.press("ArrowDown")
            self.page.wait_for_timeout(25)
        return [duration for duration, is_key, _ in self.page.evaluate(_PAINTS) if is_key]

    def drag_frames_s(self, moves: int) -> float:
        """Frames painted a second while the window is dragged."""
        area = self.page.locator(".picture").first.bounding_box()
        if area is None:
            raise UsageError("no image is shown")
        x, y = area["x"] + area["width"] / 3, area["y"] + area["height"] / 3
        self.page.evaluate("performance.clearMeasures()")
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        start = time.perf_counter()
        for step in range(moves):
            self.page.mouse.move(x + step % 200, y + step % 37)
        took = time.perf_counter() - start
        self.page.mouse.up()
        return len(self.page.evaluate(_PAINTS)) / took

    def question_s(self, question: str) -> float:
        """From the press on Ask to the answer with its box on the page, seconds."""
        self.page.get_by_label("Questions").fill(question)
        start = time.perf_counter()
        self.page.get_by_role("button", name="Ask", exact=True).click()
        self.page.get_by_text(f"1. {question}", exact=True).wait_for()
        self.wait("stage.querySelectorAll('.legend button, .legend li').length > 0")
        return time.perf_counter() - start

    def memory_mib(self) -> float:
        """What the page holds in JavaScript, arrays included."""
        used: float = self.page.evaluate("performance.memory.usedJSHeapSize")
        return used / 2**20


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m benchmarks.viewer_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--slices", type=int, default=500, help="of the CT, 512 x 512 pixels (default: 500)")
    parse.add_argument("--film", type=int, default=3072, help="side of the large film, pixels (default: 3072)")
    parse.add_argument("--presses", type=int, default=300, help="key presses (default: 300)")
    parse.add_argument("--minutes", type=float, default=10, help="of scrolling for the memory (default: 10)")
    return parse


def measure(args: argparse.Namespace, folder: Path) -> list[tuple[str, str]]:
    """All figures, each with what it is of.

    Raises:
        UsageError: something did not start.
    """
    program = shutil.which("chromium")
    if program is None:
        raise UsageError("this needs chromium: apt-get install chromium")
    service = ServiceProcess(folder)
    service.start()
    try:
        with Client(service.url, service.token, timeout_s=300) as client:
            say(f"writing a CT of {args.slices} slices and two films")
            client.store(write_ct_study(chest_ct(_SEED, size_px=512, slices=args.slices), folder / "ct"))
            for number, side in ((1, args.film), (2, 2048)):
                film = chest_radiograph(_SEED + number, size_px=side, findings=("pleural_effusion",))
                client.store(write_radiograph_study(film, folder / f"film-{number}"))
        with viewer_process(service.url, folder) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            figures = _figures(Reader(page, url, service.token), args)
            browser.close()
            return figures
    finally:
        service.stop()


def _figures(reader: Reader, args: argparse.Namespace) -> list[tuple[str, str]]:
    ct = f"CT of {args.slices} slices"
    loaded = reader.open(f"PHANTOM-{_SEED}")
    figures = [(f"{ct}, until all pixels are in the browser", f"{loaded:.1f} s")]
    times = reader.keys_ms(args.presses)
    middle, late = np.percentile(times, [50, 95])
    figures.append((f"{ct}, key to painted slice, n = {len(times)}", f"p50 {middle:.0f} ms, p95 {late:.0f} ms"))
    before, peak = reader.memory_mib(), 0.0
    until = time.monotonic() + args.minutes * 60
    while time.monotonic() < until:
        reader.keys_ms(args.presses)
        peak = max(peak, reader.memory_mib())
        reader.page.keyboard.press("End")
    after = reader.memory_mib()
    scrolled = f"before {before:.0f} MiB, highest {peak:.0f}, after {args.minutes:g} minutes {after:.0f}"
    say(f"memory: {scrolled}")
    figures.append((f"{ct}, memory of the page while scrolling", scrolled))
    reader.open(f"PHANTOM-{_SEED + 1}")
    figures.append((f"film of {args.film} px, window drag", f"{reader.drag_frames_s(200):.0f} frames a second"))
    reader.open(f"PHANTOM-{_SEED + 2}")
    figures.append(
        ("film of 2048 px, from the question to the box", f"{reader.question_s('is there an effusion?'):.1f} s")
    )
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see `parser`."""
    args = parser().parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(args, Path(folder))
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    print("| what | figure |\n|---|---|")
    for what, figure in figures:
        print(f"| {what} | {figure} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
