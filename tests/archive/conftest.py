"""One archive for the tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.archive.orthanc import Orthanc


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running
