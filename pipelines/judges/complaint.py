"""Complaint: what a judge holds against one file, and the error of a judge that is not there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from medground.schema.errors import UsageError


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that a judge holds against one file.

    Attributes:
        judge: name of the program, e.g. `dciodvfy`.
        file: what was judged.
        text: the judge's words.
    """

    judge: str
    file: Path
    text: str


def program(name: str, package: str) -> str:
    """The path of a program that a judge needs.

    Args:
        name: of the program.
        package: Debian package that has it.

    Raises:
        UsageError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"{name} is not installed; it comes with the Debian package {package}")
    return found
