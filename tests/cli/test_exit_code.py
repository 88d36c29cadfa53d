"""What a command that cannot work says: a package that is missing, by the extra that brings it."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from medground.cli.exit_code import exit_code_of

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE_OF = {"sklearn": "scikit-learn", "model_signing": "model-signing", "OpenSSL": "pyopenssl"}


@pytest.mark.parametrize(
    "module",
    ["pyarrow", "streamlit", "starlette", "mlflow", "matplotlib", "sklearn", "peft", "model_signing", "OpenSSL"],
)
def test_the_extra_it_names_brings_the_package(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise ModuleNotFoundError(f"No module named '{module}.part'", name=f"{module}.part")

    assert exit_code_of(work, debug=False) != 0
    said = re.search(r"pip install 'medground\[(\w+)\]'", capsys.readouterr().err)
    assert said
    bounds = PROJECT["project"]["optional-dependencies"][said[1]]
    assert PACKAGE_OF.get(module, module) in {re.split(r"[<>=\[]", bound)[0] for bound in bounds}


def test_a_package_that_is_really_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(lambda: bool(importlib.import_module("medground_is_not_in_here")), debug=False) != 0
    assert "needs the package medground_is_not_in_here" in capsys.readouterr().err
