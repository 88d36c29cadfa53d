"""Forms that a trusted signer wrote wrongly are found without the evidence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.cards.agreement import disagreements
from medground.cards.card_file import write_card
from medground.cards.export import FORMS
from medground.cards.findings import Finding, Kind
from medground.cards.keys import load_signing_key
from medground.cards.record import record_export
from medground.cards.signing import sign_directory
from medground.cards.verify import verify
from tests.audit.chains import Clock
from tests.cards.small_card import EXPORTED_AT, MODEL, SmallCard, copied

NAMES = [name for name, _ in FORMS if name != "facts.json"]


def files_in(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name, _ in FORMS}


def test_forms_of_one_card_agree(card: SmallCard) -> None:
    files = files_in(card.directory)
    assert disagreements(files) == []
    assert disagreements({name: content for name, content in files.items() if name != "chai.xml"}) == []


@pytest.mark.parametrize("name", NAMES)
def test_one_digit_in_a_form_is_found(card: SmallCard, name: str) -> None:
    files = files_in(card.directory)
    at = max(n for n, byte in enumerate(files[name]) if chr(byte).isdigit())
    other = b"8" if files[name][at : at + 1] != b"8" else b"7"
    files[name] = files[name][:at] + other + files[name][at + 1 :]
    assert disagreements(files) == [Finding(name, Kind.FORM, "it does not say what facts.json says")]


@pytest.mark.parametrize("said", [{"sha256": "e" * 64}, {"name": "another"}, {"version": "9"}])
def test_facts_of_another_model_are_found(card: SmallCard, tmp_path: Path, said: dict[str, str]) -> None:
    copy, key, engine = copied(card, tmp_path), load_signing_key(card.private), create_engine("sqlite://")
    create_tables(engine)
    model = MODEL.model_copy(update=said)
    write_card(copy, model, EXPORTED_AT)
    sign_directory(copy, key)
    record_export(copy, key, AuditLog(engine, Clock()), None, Clock())
    (finding,) = verify(copy, [card.key]).findings
    assert (finding.file, finding.kind) == ("card.json", Kind.FORM)
    assert finding.words.startswith(
        f"it is of {model.name} {model.version} ({model.sha256[:12]}), its facts of medground"
    )


def test_without_facts_nothing_is_compared(card: SmallCard) -> None:
    files = files_in(card.directory)
    assert disagreements({**files, "facts.json": b"{}", "chai.xml": b""}) == []
    assert disagreements({"chai.xml": b""}) == []


def test_facts_of_which_no_card_can_be_made(card: SmallCard) -> None:
    files = files_in(card.directory)
    facts = json.loads(files["facts.json"])
    facts["method"]["overlaps"] = []
    files["facts.json"] = (json.dumps(facts, ensure_ascii=False, indent=1) + "\n").encode()
    assert "MODEL_CARD.md" in {finding.file for finding in disagreements(files)}


def test_a_card_that_was_signed_with_a_wrong_number(card: SmallCard, tmp_path: Path) -> None:
    copy, key, engine = copied(card, tmp_path), load_signing_key(card.private), create_engine("sqlite://")
    markdown = copy / "MODEL_CARD.md"
    markdown.write_text(markdown.read_text().replace("0.505", "0.905", 1))
    create_tables(engine)
    write_card(copy, MODEL, EXPORTED_AT)
    sign_directory(copy, key)
    record_export(copy, key, AuditLog(engine, Clock()), None, Clock())
    assert verify(copy, [card.key]).findings == (
        Finding("MODEL_CARD.md", Kind.FORM, "it does not say what facts.json says"),
    )
    shutil.copy(card.directory / "MODEL_CARD.md", copy)
    assert [one.kind for one in verify(copy, [card.key]).findings] == [Kind.CHANGED]
