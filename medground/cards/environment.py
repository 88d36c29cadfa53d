"""With what a model was measured: Python, the kind of machine, and the packages that medground needs."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import torch

from medground.cards.evidence import Code, Environment, Package

OWN = "medground"
_LONGEST_LICENCE = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def environment() -> Environment:
    """Of this process; names of machines and people are not in it."""
    return Environment(
        python=platform.python_version(),
        system=platform.system(),
        machine=platform.machine(),
        cpu=torch.backends.cpu.get_cpu_capability(),
        packages=tuple(sorted(_needed(), key=lambda package: package.name)),
    )


def code_of(folder: Path, version: str, collected_at: str) -> Code:
    """The code in a folder; without git, or outside a repository, the commit is not known.

    Args:
        folder: of the code; files that are not tracked in it count as changes.
        version: of medground.
        collected_at: UTC, as `2026-01-02T03:04:05Z`.
    """
    tracked = _git(folder, "ls-files", ".")  # else it is installed inside a repository of something else
    commit = _git(folder, "rev-parse", "HEAD") if tracked else ""
    changed = commit and _git(folder, "status", "--porcelain", "--untracked-files=no") + _git(
        folder, "ls-files", "--others", "--exclude-standard"
    )
    return Code(version=version, commit=commit or None, uncommitted=bool(changed), collected_at=collected_at)


def _git(folder: Path, *words: str) -> str:
    try:
        run = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip()


def _needed() -> Iterator[Package]:
    """Medground and what it needs without extras, and what those need, as installed."""
    waiting, seen = [OWN], set()
    while waiting:
        name = _plain(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        wanted = sorted(set(_wanted(found)))
        waiting += wanted
        yield Package(name=name, version=found.version, licence=_licence(found), requires=tuple(wanted))


def _wanted(found: metadata.Distribution) -> Iterator[str]:
    """Names without those of extras; what another system alone would need is not installed, and falls out later."""
    for text in found.requires or ():
        name, _, marker = text.partition(";")
        match = _NAME.match(name)
        if match and "extra" not in marker:
            yield _plain(match[0])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence(found: metadata.Distribution) -> str | None:
    """The expression, the short name or the class that the package states, in this order."""
    for field in ("License-Expression", "License"):
        stated = (found.metadata.get_all(field) or [""])[0]
        if stated and len(stated) <= _LONGEST_LICENCE and "\n" not in stated:
            return str(stated)
    classes = [c for c in found.metadata.get_all("Classifier") or [] if c.startswith("License :: ")]
    return classes[0].rpartition(" :: ")[2] if classes else None
