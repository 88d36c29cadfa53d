"""Chromium for the tests of the stage, a server of slices, and a page with the stage alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.viewer.stage.server import SliceServer, serving
from tests.viewer.stage.stage_page import StagePage

Open = Callable[..., StagePage]


@pytest.fixture(scope="module")
def _server() -> Iterator[SliceServer]:
    with serving() as running:
        yield running


@pytest.fixture
def slices(_server: SliceServer) -> Iterator[SliceServer]:
    """The server without anything that an earlier test has put there."""
    _server.reset()
    yield _server
    _server.gate.set()


@pytest.fixture
def open_stage(chromium: Browser, slices: SliceServer) -> Iterator[Open]:
    """Opens a page with an empty stage; whatever goes wrong on the page fails the test."""
    contexts = []
    errors: list[str] = []

    def opened(*, width: int = 1000, height: int = 760, pixel_ratio: float = 1.0) -> StagePage:
        viewport = {"width": width, "height": height}
        context = chromium.new_context(viewport=viewport, device_scale_factor=pixel_ratio)
        contexts.append(context)
        page: Page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        return StagePage(page, slices)

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def stage(open_stage: Open) -> StagePage:
    return open_stage()
