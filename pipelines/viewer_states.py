"""`python -m pipelines viewer-states`: every state of the viewer as a picture, at the sizes of two screens.

A service with the shipped bundle, the viewer and Chromium run on loopback; a tour goes through all that a reader may
come to see, with synthetic studies, and keeps a PNG of each state: --out/1280x800/03-work-list.png and so on. The
pictures are for people to look at: is anything clipped, can all of it be read.

Needs Debian's package chromium, and fonts-wqy-zenhei for Chinese.
"""

from __future__ import annotations

import argparse
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pydicom
from playwright.sync_api import Locator, Page, sync_playwright

from medground.client.client import Client
from medground.data.phantom.chest_ct import chest_ct
from medground.data.phantom.chest_radiograph import chest_radiograph
from medground.data.phantom.dicom_study import write_ct_study, write_radiograph_study
from medground.schema.errors import MedgroundError, UsageError
from medground.serving.access.scope import Scope
from medground.serving.access.tokens import Tokens
from medground.serving.database import connect
from pipelines.service_process import TENANT, ServiceProcess
from pipelines.sources import say
from pipelines.viewer_process import FIND_STAGE, viewer_process

SIZES = ((1280, 800), (1920, 1080))
CT_SEED, FILM_SEED = 9_300_007, 9_300_001
CT_SLICES = 60


class Tour:
    """One way through the viewer, with a picture of each state.

    Args:
        page: of a browser.
        url: of the viewer.
        folder: for the pictures.
    """

    def __init__(self, page: Page, url: str, folder: Path) -> None:
        self.page, self._url, self._folder = page, url, folder
        self._number = 0
        page.set_default_timeout(120_000)

    def keep(self, name: str, show: Locator | None = None) -> None:
        """A picture of what is seen now, or of where something stands, once all of it is there."""
        if show is not None:
            show.scroll_into_view_if_needed()
        self.page.wait_for_timeout(600)  # toasts and spinners have come or gone
        self._number += 1
        self.page.screenshot(path=self._folder / f"{self._number:02}-{name}.png")

    def sign_in(self, token: str) -> None:
        """By the form, after a token that is none."""
        self.page.goto(self._url)
        self.page.get_by_label("Access token").wait_for()
        self.keep("sign-in")
        for words in ("mg_wrong", token):
            self.page.get_by_label("Access token").fill(words)
            self.page.get_by_role("button", name="Sign in").click()
            if words != token:
                self.page.get_by_label("Access token").wait_for()
                self.keep("sign-in-refused")
        self.page.get_by_role("heading", name="Work list").wait_for()

    def open_study(self, words: str) -> None:
        """By its patient's id."""
        if self.page.get_by_role("button", name="← Work list").count():
            self.page.get_by_role("button", name="← Work list").click()
        self.page.get_by_label("Search").fill(words)
        self.page.get_by_label("Search").press("Enter")
        self.page.get_by_role("button", name="Open study").first.wait_for()
        self.page.wait_for_timeout(500)
        self.page.get_by_role("button", name="Open study").first.click()
        self.page.locator(".stage").wait_for()
        self.settle()

    def settle(self) -> None:
        """Wait until the pixels are painted."""
        condition = "stage.dataset.painted && !stage.querySelector('.status-loading').textContent"
        self.page.wait_for_function(f"() => {{ const stage = {FIND_STAGE}; return stage && ({condition}); }}")

    def ask(self, *questions: str) -> None:
        """Ask, and wait for all answers."""
        self.page.get_by_label("Questions").fill("\n".join(questions))
        self.page.get_by_role("button", name="Ask", exact=True).click()
        for number, question in enumerate(questions, start=1):
            self.page.get_by_text(f"{number}. {question}", exact=True).wait_for()
        self.settle()

    def press(self, *keys: str) -> None:
        """Keys on the stage."""
        self.page.evaluate("document.activeElement.blur()")
        for key in keys:
            self.page.keyboard.press(key)

    def through(self, token: str, damaged: Path) -> None:
        """The whole tour."""
        page = self.page
        self.sign_in(token)
        self.keep("work-list")
        page.get_by_text("Model limits").first.click()
        self.keep("model-limits")
        page.keyboard.press("Escape")
        page.get_by_text("Open files", exact=True).click()
        page.locator("input[type=file]").set_input_files(damaged)
        page.get_by_role("button", name=re.compile("^Send")).click()
        refused = page.get_by_text("Not every file was taken").or_(page.get_by_text("Nothing was stored"))
        refused.wait_for()
        self.keep("damaged-upload", refused)
        page.get_by_label("Search").fill("nobody")
        page.get_by_label("Search").press("Enter")
        page.get_by_text("No study here fits").wait_for()
        self.keep("work-list-without-a-match")
        self._film()
        self._ct()

    def left_alone(self, service: ServiceProcess) -> None:
        """With a service that is away, then as somebody who may only read, then with a token that was taken back."""
        page = self.page
        service.stop()
        self.press("j")
        page.get_by_role("button", name="← Work list").click()
        page.get_by_text("The service does not answer").wait_for()
        self.keep("service-away")
        service.start()
        page.get_by_role("button", name="Try again").click()
        page.get_by_role("button", name="← Work list").click()
        page.get_by_role("heading", name="Work list").wait_for()
        self._sign_out()
        engine = connect(service.database)
        tokens = Tokens(engine, lambda: time.time_ns() // 1000, secrets.token_bytes)
        reader = tokens.create("reader", TENANT, (Scope.READ,))
        page.get_by_label("Access token").fill(reader.plain)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Work list").wait_for()
        self.open_study(f"PHANTOM-{FILM_SEED}")
        self.keep("reader-who-may-not-review")
        tokens.revoke(reader.record.token_id)
        engine.dispose()
        page.get_by_role("button", name="← Work list").click()
        ended = page.get_by_text("Your token has ended").or_(page.get_by_text("session has ended"))
        ended.first.wait_for()
        self.keep("token-taken-back")

    def _sign_out(self) -> None:
        self.page.get_by_role("button", name="Sign out").click()
        self.page.get_by_label("Access token").wait_for()
        self.keep("signed-out")

    def _film(self) -> None:
        page = self.page
        self.open_study(f"PHANTOM-{FILM_SEED}")
        self.keep("film-without-a-question")
        self.ask("find pleural effusion", "左肺有结节吗", "is there a pneumothorax?", "is there a brain tumour?")
        self.keep("film-four-answers")
        self.keep("film-statements", page.get_by_role("button", name="Accept (a)"))
        self.keep("film-last-answer", page.get_by_text("4. is there a brain tumour?", exact=True))
        self.press("?")
        self.keep("film-keys")
        self.press("Escape", "m")
        self.keep("film-axes")
        self.press("m", "e", "ArrowRight", "ArrowRight")
        self.keep("film-editing")
        self.press("Enter")
        page.get_by_text("✎ edited").first.wait_for()
        self.keep("film-edited")
        self.press("r")
        self.keep("film-reasons")
        self.press("Escape", "l")
        self.keep("film-labels")
        self.press("Escape", "n")
        self.keep("film-drawing")
        self.press("Enter")
        page.keyboard.type("mass")
        self.press("Enter")
        page.get_by_text("+ added").wait_for()
        self.keep("film-added")
        self.press("i")
        self.keep("film-inverted")
        self.press("i", "+", "+", "+")
        self.keep("film-zoomed")
        self.press("0")
        self.keep("film-before-signing", page.get_by_role("button", name="Sign", exact=True))
        page.get_by_label("Signed by").fill("Reader^Ann")
        page.get_by_role("button", name="Sign", exact=True).click()
        refused = page.get_by_text("or tick the box")
        refused.wait_for()
        self.keep("film-not-all-reviewed", refused)
        page.get_by_text(re.compile("^Sign although")).click()
        page.get_by_role("button", name="Sign", exact=True).click()
        signed = page.get_by_text("Signed: report")
        signed.wait_for()
        self.keep("film-signed", signed)

    def _ct(self) -> None:
        page = self.page
        self.open_study(f"PHANTOM-{CT_SEED}")
        self.keep("ct")
        self.ask("find the lung nodules")
        self.keep("ct-answered")
        similar = page.get_by_text("Similar cases the model learnt from")
        similar.click()
        self.keep("ct-similar-cases", page.get_by_role("button", name="Accept (a)"))
        similar.click()
        page.get_by_label("Beside it").first.click()
        page.get_by_role("option").nth(1).click()
        page.get_by_text(re.compile("^Prior")).wait_for()
        self.settle()
        self.keep("ct-beside-its-prior")


def write_studies(folder: Path) -> list[list[Path]]:
    """A CT, a prior of its patient and a film with an effusion; each a list of files."""
    ct = write_ct_study(chest_ct(CT_SEED, size_px=512, slices=CT_SLICES), folder / "ct")
    prior = write_ct_study(chest_ct(CT_SEED - 7, size_px=512, slices=CT_SLICES), folder / "prior")
    for path in prior:
        header = pydicom.dcmread(path)
        header.PatientID, header.PatientName = f"PHANTOM-{CT_SEED}", pydicom.dcmread(ct[0]).PatientName
        header.StudyDate = header.SeriesDate = "20240301"
        header.save_as(path)
    findings = ("pleural_effusion", "nodule", "mass")
    film = write_radiograph_study(chest_radiograph(FILM_SEED, size_px=2048, findings=findings), folder / "film")
    return [prior, ct, film]  # the newest is listed first


def take(size: tuple[int, int], out: Path, folder: Path) -> int:
    """All pictures of one size, with a service of their own, so that no answer is there before it is asked for.

    Args:
        size: of the window, points.
        out: for the pictures.
        folder: of the service; empty.

    Returns:
        How many there are.

    Raises:
        UsageError: something did not start.
    """
    program = shutil.which("chromium")
    if program is None:
        raise UsageError("this needs chromium: apt-get install chromium")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    damaged = folder / "damaged.dcm"
    damaged.write_bytes(bytes(128) + b"DICM" + bytes(range(200)))
    service = ServiceProcess(folder)
    service.start()
    try:
        with Client(service.url, service.token, timeout_s=300) as client:
            for files in write_studies(folder):
                client.store(files)
        with viewer_process(service.url, folder) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            one = Tour(page, url, out)
            try:
                one.through(service.token, damaged)
                one.left_alone(service)
            except Exception:
                one.keep("where-it-stopped")
                raise
            browser.close()
    finally:
        service.stop()
    return len(list(out.iterdir()))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="python -m pipelines viewer-states",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--out", type=Path, default=Path("out/viewer-states"), help="folder of the pictures")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; see `parser`."""
    args = parser().parse_args(argv)
    try:
        for size in SIZES:
            name = f"{size[0]}x{size[1]}"
            with tempfile.TemporaryDirectory() as folder:
                say(f"{take(size, args.out / name, Path(folder))} pictures of {name}")
    except MedgroundError as error:
        say(f"error: {error}")
        return error.exit_code
    say(f"look at them in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
