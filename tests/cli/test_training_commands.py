"""Every command line that docs/training.md shows goes through its parser; none is run."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from medground.cli.main import create_app

SHOWN = re.compile(r"^ *((?:medground|python -m pipelines) [^\n]*)$|`(python -m pipelines [^`\n]*)`", re.M)
PLACEHOLDERS = {"campaign NAME": "campaign ablations"}
LAUNCHER = re.compile(r"^ *python -m torch\.distributed\.run [^\n]*? -m (pipelines [^\n]*)$", re.M)


def commands(text: str) -> list[str]:
    """Lines of commands in fences, and commands of jobs amid the text, with a name for the placeholder."""
    lines = [found[1] or found[2] for found in SHOWN.finditer(text)]
    lines += [f"python -m {found[1]}" for found in LAUNCHER.finditer(text)]
    for placeholder, name in PLACEHOLDERS.items():
        lines = [line.replace(placeholder, name) for line in lines]
    return lines


def program() -> TyperGroup:
    """`medground` whose commands do nothing but take what they are given."""
    whole = typer.main.get_command(create_app())
    assert isinstance(whole, TyperGroup)
    groups = [whole]
    for group in groups:
        for command in group.commands.values():
            if isinstance(command, TyperGroup):
                groups.append(command)
            else:
                command.callback = None
    return whole


def is_command(line: str) -> bool:
    """Whether its parser takes a command line."""
    words = shlex.split(line, comments=True)
    try:
        if words[0] == "medground":
            program().main(words[1:], prog_name="medground")
        else:
            job = importlib.import_module(f"pipelines.{words[3].replace('-', '_')}")
            job.parser().parse_args(words[4:])
    except SystemExit as ended:
        return ended.code in (None, 0)
    except ImportError:
        return False
    return True


def test_every_command_of_the_manual_of_training_is_one(repository: Path) -> None:
    shown = commands((repository / "docs" / "training.md").read_text(encoding="utf-8"))
    jobs = {" ".join(shlex.split(line, comments=True)[:4]) for line in shown}
    assert {
        "medground prototypes add --bundle",
        "python -m pipelines train",
        "python -m pipelines measure",
        "python -m pipelines campaign",
        "python -m pipelines export-runs",
        "python -m pipelines compare",
    } <= jobs
    assert [line for line in shown if not is_command(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "medground prototypes add --images films/ --concept my_finding --out my_bundle",  # no --bundle
        "medground prototypes list --bundles my_bundle",
        "medground prototype list --bundle my_bundle",
        "python -m pipelines measure --set fractals",
        "python -m pipelines compare",  # no RUN
        "python -m pipelines campaign everything",
        "python -m pipelines trains --recipe limb",
    ],
)
def test_a_command_that_is_none_is_noticed(line: str) -> None:
    assert not is_command(line)
