"""Fixtures that every room's tests share, and the judges: programs that tests ask for a second opinion."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

settings.load_profile("ci")  # the same examples each time, and no deadline: neither luck nor load decides

REPOSITORY = Path(__file__).resolve().parents[1]

# Debian package: what of it a test runs, a program on the path or a file (a pattern, where its version is in the path)
JUDGES = {
    "chromium": "chromium",
    "curl": "curl",
    "dcmtk": "dcmp2pgm",
    "default-jdk-headless": "javac",
    "dicom3tools": "dciodvfy",
    "faketime": "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "libgdcm-tools": "gdcmconv",
    "libpixelmed-java": "/usr/share/java/pixelmed.jar",
    "nodejs": "node",
    "npm": "npm",
    "orthanc": "Orthanc",
    "orthanc-dicomweb": "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "postgresql": "/usr/lib/postgresql/*/bin/postgres",
}


def _stop(reason: str) -> None:
    """Skip the test, or fail it in CI, which installs everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for package in (package for marker in item.iter_markers("judge") for package in marker.args):
        judge = JUDGES.get(package)
        if judge is None:
            pytest.fail(f"name what tests run of the Debian package {package} in tests/conftest.py")
        sbin = f"{os.environ.get('PATH', '')}:/usr/sbin"
        if not (any(Path("/").glob(judge[1:])) if judge.startswith("/") else shutil.which(judge, path=sbin)):
            _stop(f"needs {judge} of the Debian package {package}")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the repository; its absence skips a test, and fails it in CI."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        _stop("the development data (../shared/data) is not here")
    return folder
