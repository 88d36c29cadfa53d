"""Writes a card: all its forms and its evidence in one directory, which appears whole or not at all.

The bytes follow from the evidence alone, the date included; only what seals the card (signature, entry of the audit
log) differs from one export to the next.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from medground.cards.card_file import CardModel, write_card
from medground.cards.contents import CardFacts
from medground.cards.evidence import FOLDER, PICTURES, Evidence
from medground.cards.facts import facts_of
from medground.cards.forms.chai import chai_of
from medground.cards.forms.croissant import croissant_of
from medground.cards.forms.cyclonedx import bom_of
from medground.cards.forms.facts_json import facts_file
from medground.cards.forms.hugging_face import readme_of
from medground.cards.layout import CARD
from medground.cards.markdown import markdown_of
from medground.cards.page import page_of
from medground.evaluation.files import replace_file
from medground.schema.errors import CardError, UsageError

FACTS, PAGE = "facts.json", "model_card.html"
Form = tuple[str, Callable[[CardFacts], bytes]]
Seal = Callable[[Path], object]


FORMS: tuple[Form, ...] = (
    (FACTS, facts_file),
    ("MODEL_CARD.md", markdown_of),
    ("README.md", readme_of),
    ("chai.xml", chai_of),
    ("bom.cdx.json", bom_of),
    ("croissant.json", croissant_of),
)
"""File name and what renders it from the facts. A further form is a further line; `recompute` then knows it too."""


def rendered(facts: CardFacts, evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    """Every file that is computed: the forms, the page, and the pictures beside them.

    Args:
        facts: of the card.
        evidence: whose pictures the page shows.

    Returns:
        Path in the directory, and content.
    """
    for name, render in FORMS:
        yield name, render(facts)
    pictures = evidence.pictures
    yield PAGE, page_of(facts, pictures)
    for name, content in pictures.items():
        yield f"{PICTURES}/{name}", content


def export_card(evidence: Evidence, out: Path, *, seal: Seal | None = None, replace: bool = False) -> CardFacts:
    """Writes the directory.

    Args:
        evidence: to compute the card from.
        out: directory to write.
        seal: signs and records what was written, in place, before it appears; None leaves it unsealed.
        replace: put it in the place of a card that is there.

    Returns:
        The facts.

    Raises:
        UsageError: something is at `out`, and is not to be replaced.
        CardError: what is to be written is no card.
    """
    _check_free(out, replace=replace)
    facts = facts_of(evidence)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".medground-card-", dir=out.parent) as folder:
        staging = Path(folder) / "card"
        files = {f"{FOLDER}/{name}": content for name, content in evidence.files.items()}
        for name, content in (files | dict(rendered(facts, evidence))).items():
            path = staging / name
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
        model = CardModel(name=facts.model.name, version=facts.model.version, sha256=facts.model.sha256)
        write_card(staging, model, evidence.code.collected_at)
        if seal is not None:
            seal(staging)
        _publish(staging, out, Path(folder) / "replaced")
    return facts


def _check_free(out: Path, *, replace: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    is_card = out.is_dir() and not out.is_symlink() and (out / CARD).is_file()
    if out.is_dir() and not out.is_symlink() and not any(out.iterdir()):
        return
    if not is_card:
        raise UsageError(f"{out} is there and is no card: name another directory")
    if not replace:
        raise UsageError(f"a card is at {out}: name another directory, or replace it with --replace")


def _publish(staging: Path, out: Path, old: Path) -> None:
    """Renames the card into its place; one that was there is away only for the moment between two renames."""
    _sync(staging)
    if out.exists():
        out.rename(old)
    try:
        staging.rename(out)
    except OSError as cause:
        if old.exists():
            old.rename(out)
        raise CardError(f"{out} cannot be written ({cause.strerror}): is it in use, or on another disk?") from cause
    _sync(out.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
