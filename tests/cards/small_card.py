"""A card of a few files, laid out like an export, signed and recorded in a log of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine

from medground.audit.anchor import AnchorFile
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cards.card_file import CardModel, write_card
from medground.cards.contents import CardFacts
from medground.cards.export import FORMS
from medground.cards.facts import facts_of
from medground.cards.keys import PublicKey, load_public_key, load_signing_key, make_key_pair
from medground.cards.measured import Resampling
from medground.cards.record import record_export
from medground.cards.signing import sign_directory
from tests.audit.chains import Clock, event
from tests.cards.made_evidence import MANIFEST, made_evidence

MODEL = CardModel(
    name=json.loads(MANIFEST)["name"],
    version=json.loads(MANIFEST)["version"],
    sha256=hashlib.sha256(MANIFEST).hexdigest(),
)
EXPORTED_AT = "2026-01-02T03:04:05Z"
BEFORE = 3  # entries of the log before the export


@dataclass(frozen=True)
class SmallCard:
    """A signed card.

    Attributes:
        directory: of the card.
        private: file of the key that signed it.
        key: its public half.
        url: of the log.
        anchors: file of anchors.
    """

    directory: Path
    private: Path
    key: PublicKey
    url: str
    anchors: Path


def write_forms(directory: Path, facts: CardFacts) -> None:
    """Every form that follows from the facts alone."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, render in FORMS:
        (directory / name).write_bytes(render(facts))


def write_files(directory: Path) -> None:
    """The files of an export: its forms as they are, and evidence as small as it can be."""
    write_forms(directory, facts_of(made_evidence(), Resampling(resamples=20)))
    texts = {
        "model_card.html": "<!doctype html><title>compact</title><p>Mean AP50 0.438</p>\n",
        "evidence/images.json": '[{"site": "a", "view": "PA"}]\n',
        "evidence/empty.txt": "",
        "evidence/data_cards/limb.json": '{"images": 4}\n',
    }
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    scene = gzip.compress(json.dumps({"scores": [0.5, 0.25]}).encode(), mtime=0)
    (directory / "evidence/scenes").mkdir()
    (directory / "evidence/scenes/chest.scene.json.gz").write_bytes(scene)


def small_card(folder: Path) -> SmallCard:
    """Write, sign and record a card.

    Args:
        folder: for the card, its key, its log and its anchors.
    """
    directory = folder / "card"
    write_files(directory)
    private, public = make_key_pair(folder / "key")
    url = f"sqlite:///{folder / 'audit.db'}"
    engine = create_engine(url)
    create_tables(engine)
    clock = Clock()
    log = AuditLog(engine, clock)
    for number in range(1, BEFORE + 1):
        log.append(event(number))
    anchors = folder / "anchors"
    key = load_signing_key(private)
    write_card(directory, MODEL, EXPORTED_AT)
    sign_directory(directory, key)
    record_export(directory, key, log, AnchorFile(anchors), clock)
    engine.dispose()
    return SmallCard(directory, private, load_public_key(public), url, anchors)


def copied(card: SmallCard, folder: Path) -> Path:
    """A copy of the card's directory, to be edited."""
    return Path(shutil.copytree(card.directory, folder / "copy"))
