"""A service for each test module that wants one, and people who are signed in to it."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from medground.client.client import Client
from medground.serving.access.scope import Scope
from medground.viewer import stage
from medground.viewer.oidc import CodeFlow
from medground.viewer.sessions import Session, Sessions
from tests.inference.drawn import BlobPx
from tests.serving.running import Running, film, running
from tests.viewer.code_issuer import REDIRECT, CodeIssuer, config_of
from tests.viewer.opened_page import OpenedPage
from tests.viewer.people import Asked, Clock, People

New = Callable[..., Path]
Ask = Callable[..., Asked]
Opened = Callable[..., OpenedPage]


@pytest.fixture(scope="module")  # Playwright keeps a loop running while it lives, which other modules cannot bear
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a module."""
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium of the Debian package chromium is not installed")
        pytest.skip("needs chromium of the Debian package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], headless=True)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service on loopback that all tests of a module share; each sends studies of its own."""
    with running(tmp_path_factory.mktemp("house")) as it:
        yield it


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def people(house: Running) -> Iterator[People]:
    """Sessions with credentials of the service."""
    with People(house) as made:
        yield made


@pytest.fixture(scope="module")
def client(people: People) -> Client:
    return people.session().client


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Numbers of studies that no other test uses."""
    return itertools.count(5000)


@pytest.fixture
def new_film(tmp_path: Path, numbers: Iterator[int]) -> New:
    """Writes a film of a new study."""

    def write(*blobs: BlobPx, **header: object) -> Path:
        return film(tmp_path, next(numbers), *blobs, **header)

    return write


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Iterator[Sessions]:
    made = Sessions(clock, idle_s=60, longest_s=3600)
    yield made
    made.close()


@pytest.fixture
def issuer() -> Iterator[CodeIssuer]:
    with CodeIssuer().listening() as made:
        yield made


@pytest.fixture
def flow(issuer: CodeIssuer, clock: Clock) -> Iterator[CodeFlow]:
    made = CodeFlow(config_of(issuer), REDIRECT, clock=clock)
    yield made
    made.close()


@pytest.fixture
def ask(client: Client, new_film: New) -> Ask:
    """Sends a film of a new study, asks about it and waits."""

    def asked(*blobs: BlobPx, questions: tuple[str, ...] = ("is there a nodule?",), **header: object) -> Asked:
        job = client.submit([new_film(*blobs, **header)], questions)
        client.wait(job.id)
        return Asked(job.study, job.id)

    return asked


@pytest.fixture
def opened(people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Opens the page with a new session, with these scopes, and with a study open if one is named."""
    folder = tmp_path / "static"  # the page needs no more of the stage than that it is there
    folder.mkdir()
    (folder / "viewer.js").write_text("export default function () {}", encoding="utf-8")
    (folder / "viewer.css").write_text(".stage-root{}", encoding="utf-8")
    monkeypatch.setattr(stage, "_STATIC", folder)
    stage._component.cache_clear()

    def made(study: str | None = None, *scopes: Scope, session: Session | None = None) -> OpenedPage:
        page = OpenedPage(session or people.session(*scopes))
        if study is not None:
            page.memory.study = study
            page.again()
        return page

    yield made
    stage._component.cache_clear()
