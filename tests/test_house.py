"""The house itself: floors, names, light imports, pins and the wheel."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PACKAGES = ("medground", "apps", "pipelines", "benchmarks")
HEAVY = {"torch", "monai", "mlflow", "transformers", "scipy", "matplotlib", "highdicom", "sklearn"}
NAMES_WITHOUT_A_NOUN = {"utils", "util", "common", "misc", "helpers", "helper", "core"}


def _copy(repository: Path, names: tuple[str, ...], target: Path) -> None:
    for name in names:
        if (repository / name).is_dir():
            made = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(repository / name, target / name, ignore=made)
        else:
            shutil.copy(repository / name, target / name)


def _modules(repository: Path) -> list[Path]:
    return [path for package in PACKAGES for path in sorted((repository / package).rglob("*.py"))]


def _imported_by(code: str) -> set[str]:
    """Top-level names in sys.modules after running `code` in a fresh interpreter."""
    script = f"{code}\nimport sys; print('MODULES', *{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.rpartition("MODULES")[2].split())


# The first case is the control: the copied tree, unchanged, keeps every contract.
@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        (None, "", None),
        ("medground/schema/box.py", "import torch", "Schema and dicom know no torch"),
        ("medground/model/reading.py", "import medground.inference", "The floors of the house"),
        ("medground/inference/__init__.py", "import medground.training", "The floors of the house"),
        ("medground/evaluation/__init__.py", "import medground.model", "The floors of the house"),
        ("medground/inference/__init__.py", "import mlflow", "MLflow has one door"),
        (
            "medground/cli/__init__.py",
            "import apps",
            "Applications and pipelines compose; nothing in the library knows them",
        ),
        ("medground/attic/__init__.py", '"""A room that is in no plan."""', "The floors of the house"),
    ],
)
def test_a_wrong_import_is_refused(
    repository: Path, tmp_path: Path, module: str | None, line: str, broken: str | None
) -> None:
    _copy(repository, (*PACKAGES, "pyproject.toml"), tmp_path)
    if module:
        path = tmp_path / module
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{path.read_text() if path.exists() else ''}\n{line}\n")
    lint_imports = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([lint_imports, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == (1 if broken else 0), run.stdout + run.stderr
    reported = re.findall(r"^(.*) BROKEN", run.stdout, flags=re.MULTILINE)
    assert reported == ([broken] if broken else []), run.stdout + run.stderr


def test_importing_the_package_costs_nothing_heavy() -> None:
    assert not _imported_by("import medground") & (HEAVY | {"numpy", "pydicom", "pydantic"})


def test_help_is_answered_without_heavy_imports() -> None:
    code = (
        "import sys; sys.argv = ['medground', '--help']\n"
        "from medground.cli.main import run\n"
        "try: run()\nexcept SystemExit as end: assert not end.code, end.code\n"
    )
    assert not _imported_by(code) & HEAVY


def test_every_module_says_what_it_is_and_has_a_noun_for_a_name(repository: Path) -> None:
    modules = _modules(repository)
    assert len(modules) > 20
    silent = [str(path) for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]
    nameless = [
        str(path) for path in modules if NAMES_WITHOUT_A_NOUN & {path.stem, *path.relative_to(repository).parts}
    ]
    assert (silent, nameless) == ([], [])


def test_pins_install_from_a_plain_index_and_cover_every_dependency(repository: Path) -> None:
    lines = (repository / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert [f"{name}=={version}" for name, version in pins.items() if Version(version).local] == []
    assert [name for name in pins if re.match("nvidia-|cuda-|triton", name)] == []
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    wanted += [Requirement(text) for extra in ("train", "dev") for text in project["optional-dependencies"][extra]]
    for requirement in wanted:
        if requirement.name != "medground":
            assert requirement.specifier.contains(pinned[requirement.name.lower()]), requirement


def test_the_wheel_carries_the_whole_package_and_its_command(repository: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    _copy(repository, ("medground", "pyproject.toml", "README.md", "LICENSE"), source)
    files = [path.relative_to(source) for path in (source / "medground").rglob("*") if path.is_file()]
    there = {path.as_posix() for path in files if path.parts[:3] != ("medground", "viewer", "browser")}  # built from it
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert {name for name in names if ".dist-info/" not in name} == there
    assert "medground = medground.cli.main:run" in entry_points
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize("script", ["setup", "system-packages", "check", "constraints", "../.ci/run"])
def test_scripts_are_executable_and_parse(repository: Path, script: str) -> None:
    path = repository / "scripts" / script
    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", path], check=True)
