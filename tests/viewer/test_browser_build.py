"""The stage that is shipped is what its source builds, and the source passes its own checks."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.judge("nodejs", "npm")

PATIENT = ("--prefer-offline", "--fetch-retries", "5")  # of what was fetched once the registry is not asked again
_LEFT_OUT = shutil.ignore_patterns("node_modules")


def _run(*command: str, folder: Path) -> None:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def source(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with the packages that it is built with."""
    folder = tmp_path_factory.mktemp("stage") / "browser"
    shutil.copytree(repository / "medground" / "viewer" / "browser", folder, ignore=_LEFT_OUT)
    _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *PATIENT, folder=folder)
    return folder


def test_what_is_shipped_is_what_the_source_builds(repository: Path, source: Path, tmp_path: Path) -> None:
    shipped = repository / "medground" / "viewer" / "static"
    _run("node", "build.mjs", str(tmp_path / "static"), folder=source)
    built = {path.name: path.read_bytes() for path in (tmp_path / "static").iterdir()}
    assert sorted(built) == ["viewer.css", "viewer.js"]
    differing = [name for name, content in built.items() if (shipped / name).read_bytes() != content]
    assert differing == [], "run `npm run build` in medground/viewer/browser"


def test_the_build_goes_to_the_package(source: Path) -> None:
    _run("npm", "run", "build", folder=source)
    assert (source.parent / "static" / "viewer.js").stat().st_size > 10_000


def test_types(source: Path) -> None:
    _run("npm", "run", "check", folder=source)


def test_units(source: Path) -> None:
    _run("npm", "test", folder=source)


def test_a_failing_unit_fails_the_run(source: Path, tmp_path: Path) -> None:
    """The runner passes on what the tests say."""
    folder = tmp_path / "browser"
    shutil.copytree(source, folder, symlinks=True)
    (folder / "test" / "wrong.test.ts").write_text(
        'import assert from "node:assert/strict";\nimport { test } from "node:test";\n'
        'test("wrong", () => assert.equal(1, 2));\n'
    )
    run = subprocess.run(["npm", "test"], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "not ok" in run.stdout or "\u2716 wrong" in run.stdout


def test_packages_are_pinned_and_name_no_registry(repository: Path) -> None:
    folder = repository / "medground" / "viewer" / "browser"
    package = json.loads((folder / "package.json").read_text())
    assert "dependencies" not in package  # nothing of others is shipped
    locked = json.loads((folder / "package-lock.json").read_text())["packages"]
    for name, version in package["devDependencies"].items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in entry for path, entry in locked.items() if path)
    assert "://" not in (folder / "package-lock.json").read_text()
