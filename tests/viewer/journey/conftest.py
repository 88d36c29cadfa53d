"""The viewer as a process of its own before a real service, and Chromium before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from medground.client.client import Client
from medground.schema.anatomy import Domain
from pipelines.viewer_process import viewer_process
from tests.inference.blob_reader import BlobReader
from tests.inference.drawn import drawn, write_ct_slice
from tests.serving.running import Running, running
from tests.viewer.journey.viewer_page import ViewerPage
from tests.viewer.people import USER

Open = Callable[..., ViewerPage]
SLICES, SIDE = 14, 256
NODULE = (60, 100, 90, 130)  # on slices 6 to 8, counted from 1
ON_SLICES = (6, 7, 8)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that reads slices of CTs."""
    with running(tmp_path_factory.mktemp("house"), BlobReader(domain=Domain.CHEST_CT)) as it:
        yield it


@pytest.fixture(scope="module")
def viewer(house: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a viewer of the service."""
    with viewer_process(house.url, tmp_path_factory.mktemp("viewer")) as url:
        yield url


@pytest.fixture
def open_viewer(chromium: Browser, viewer: str) -> Iterator[Open]:
    """Opens the viewer in a browser of its own, as another person would; an error on the page fails the test."""
    contexts = []
    errors: list[str] = []

    def opened(*, width: int = 1280, height: int = 800) -> ViewerPage:
        context = chromium.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return ViewerPage(page, viewer)

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def new_ct(house: Running, tmp_path: Path, numbers: Iterator[int]) -> Callable[..., str]:
    """Stores a CT with a nodule on three of its slices; returns the patient's id."""

    def stored(**header: object) -> str:
        number = next(numbers)
        patient = f"P{number}"
        paths: list[Path] = []
        for at in range(1, SLICES + 1):
            pixels = drawn([NODULE] if at in ON_SLICES else [], rows=SIDE, columns=SIDE)
            name = tmp_path / f"{number}-{at}.dcm"
            own = {"PatientID": patient, "PatientName": f"Test^{patient}", "PixelSpacing": [0.8, 0.8], **header}
            paths.append(write_ct_slice(name, np.asarray(pixels), z_mm=2.5 * at, instance=at, study=number, **own))
        with Client(house.url, house.token(*USER)) as client:
            for path in paths:  # the service of the tests takes no more than a megabyte at once
                client.store([path])
        return patient

    return stored
