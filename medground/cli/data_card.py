"""`medground data card`: what a data set is, as a page for people and as Croissant for programs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from medground.data.cards.croissant import croissant_of
from medground.data.cards.facts import facts_of
from medground.data.cards.page import page_of
from medground.data.cards.stated import NOT_STATED, Stated
from medground.data.columnar import DataSet

PAGE, CROISSANT = "data_card.md", "croissant.json"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line of `medground data card`, parsed; see its help for the meaning of each."""

    folder: Path
    out: Path | None = None
    licence: str | None = None
    source: str | None = None
    description: str | None = None


def run_card(options: Options) -> int:
    """Write both files, each whole or not at all.

    Args:
        options: what was asked.

    Returns:
        Exit code 0.

    Raises:
        MedgroundError: the data set, its report or its split cannot be read.
    """
    data = DataSet(options.folder)
    facts = facts_of(data)
    stated = Stated(description=options.description, licence=options.licence, source=options.source)
    out = options.out or options.folder
    out.mkdir(parents=True, exist_ok=True)
    base = os.path.relpath(options.folder.resolve(), out.resolve())
    described = croissant_of(options.folder, facts, stated, base="" if base == "." else f"{Path(base).as_posix()}/")
    _write(out / CROISSANT, json.dumps(described, ensure_ascii=False, indent=1) + "\n")
    _write(out / PAGE, page_of(facts, stated, data.vocabulary))
    asked = (("--licence", options.licence), ("--source", options.source), ("--description", options.description))
    missing = [option for option, words in asked if not words]
    left = f"; {', '.join(missing)} {NOT_STATED}" if missing else ""
    Console().print(
        f"{facts.images} images, {sum(count.boxes for count in facts.concepts.values())} boxes; written to "
        f"{out / PAGE} and {out / CROISSANT}{left}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
