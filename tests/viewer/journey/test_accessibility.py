"""No page of the viewer has a serious fault by axe-core (WCAG 2.1, A and AA)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.serving.running import Running
from tests.viewer.journey.viewer_page import ViewerPage
from tests.viewer.people import USER
from tests.viewer.test_browser_build import PATIENT

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@pytest.fixture(scope="module")
def axe(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that looks for faults, as the lock file of the stage names it."""
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_bytes((repository / "medground/viewer/browser" / name).read_bytes())
    subprocess.run(["npm", "ci", "--silent", "--ignore-scripts", *PATIENT], cwd=folder, check=True)
    return folder / "node_modules/axe-core/axe.min.js"


def faults(page: Page, axe: Path) -> list[str]:
    """What is wrong, in a line each."""
    page.add_script_tag(path=axe)
    found = page.evaluate("levels => axe.run(document, {runOnly: {type: 'tag', values: levels}})", LEVELS)
    return [
        f"{one['impact']} {one['id']}: {node['html'][:160]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.judge("npm")
def test_no_page_has_a_serious_fault(
    chromium: Browser, viewer: str, new_ct: Callable[..., str], house: Running, axe: Path
) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    page = ViewerPage(context.new_page(), viewer)
    page.page.goto(viewer)
    assert faults(page.page, axe) == []
    patient = new_ct()
    page.sign_in(house.token(*USER))
    page.page.get_by_text(f"Test {patient}").wait_for()
    assert faults(page.page, axe) == []
    page.open_study(patient)
    page.ask("is there a nodule?", "find the pneumothorax")
    page.page.get_by_role("button", name="Accept (a)").wait_for()
    page.settle()
    assert faults(page.page, axe) == []
    page.press("r")
    assert faults(page.page, axe) == []
    context.close()
