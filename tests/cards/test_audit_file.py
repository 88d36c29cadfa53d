"""`audit.json`: bound to the card, to the log's form of an entry, and to the signer."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine

from medground.audit.entry import NO_HASH, Entry, entry_of, record_of
from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind
from medground.audit.log import AuditLog
from medground.cards.audit_file import (
    AuditAnchor,
    broken_links,
    export_event,
    read_audit_file,
    write_audit_file,
)
from medground.cards.card_file import CardModel
from medground.cards.keys import load_signing_key, make_key_pair
from medground.schema.errors import CardError
from tests.audit.chains import Clock
from tests.cards.small_card import BEFORE, MODEL, SmallCard, copied

DIGEST = hashlib.sha256(b"a signature").hexdigest()


def entry(event: AuditEvent) -> Entry:
    return entry_of(record_of(event, 1, Clock()(), NO_HASH))


def links(card: SmallCard, folder: Path, event: AuditEvent, anchor: AuditAnchor | None = None) -> list[str]:
    key = load_signing_key(card.private)
    written = write_audit_file(folder, entry(event), anchor, key)
    assert read_audit_file((folder / "audit.json").read_bytes()) == written
    return broken_links(written, MODEL, DIGEST, key.public)


def test_it_is_the_entry_of_the_log(card: SmallCard) -> None:
    file = read_audit_file((card.directory / "audit.json").read_bytes())
    engine = create_engine(card.url)
    log = AuditLog(engine, Clock())
    [stored] = log.read(after=BEFORE)
    engine.dispose()
    assert entry_of(file.record) == stored
    assert stored.event.action == Action.EXPORTED
    assert stored.event.object_id == MODEL.sha256
    signature = hashlib.sha256((card.directory / "card.sig").read_bytes()).hexdigest()
    assert stored.event.details == {"digest": f"sha256:{signature}", "kind": "model-card"}
    assert file.anchor is not None
    assert (file.anchor.sequence, file.anchor.hash) == (stored.sequence, stored.hash)


def test_a_good_one_has_no_broken_links(card: SmallCard, tmp_path: Path) -> None:
    event = export_event(MODEL, DIGEST)
    record = record_of(event, 1, Clock()(), NO_HASH)
    later = AuditAnchor(sequence=9, hash="1" * 64, time=record.time)
    own = AuditAnchor(sequence=1, hash=record.hash, time=record.time)
    for anchor in (None, own, later):
        assert links(card, tmp_path, event, anchor) == []


def test_what_is_recorded_must_be_this_export(card: SmallCard, tmp_path: Path) -> None:
    other_model = CardModel(name="other", version="1", sha256="f" * 64)
    assert links(card, tmp_path, export_event(MODEL, "a" * 64)) == [
        "entry 1 records the export of another card: its digest is not that of card.sig"
    ]
    assert links(card, tmp_path, export_event(other_model, DIGEST)) == [
        "entry 1 records the export of another model's card"
    ]
    deleted = AuditEvent(
        action=Action.DELETED,
        actor_kind=ActorKind.SYSTEM,
        actor="medground-card",
        object_kind=ObjectKind.MODEL,
        object_id=MODEL.sha256,
        details={"digest": f"sha256:{DIGEST}", "kind": "model-card"},
    )
    assert links(card, tmp_path, deleted) == ["entry 1 records something else than the export of a card"]
    for anchor in (AuditAnchor(sequence=1, hash="1" * 64, time="2026-01-02T03:04:05.000006Z"),):
        found = links(card, tmp_path, export_event(MODEL, DIGEST), anchor)
        assert found == ["the anchor of entry 1 does not fit entry 1"]


def test_an_edit_with_its_hash_is_found_by_the_signature(card: SmallCard) -> None:
    content = (card.directory / "audit.json").read_bytes()
    file, key = read_audit_file(content), card.key
    signature = file.record.details.split("sha256:")[1][:64]
    assert broken_links(file, MODEL, signature, key) == []
    later = file.record.time.replace("2026", "2027")
    edited = file.model_copy(update={"entry": file.entry.model_copy(update={"time": later})})
    assert [words[:15] for words in broken_links(edited, MODEL, signature, key)] == [
        "the hash of ent",
        "it is not signe",
    ]
    hashed = edited.model_copy(update={"entry": edited.entry.model_copy(update={"hash": edited.record.digest()})})
    fitting = hashed.model_copy(update={"anchor": None})
    assert [words[:15] for words in broken_links(fitting, MODEL, signature, key)] == ["it is not signe"]
    assert broken_links(fitting, MODEL, signature, None) == []  # nobody is known whose signature it should have


def test_details_without_an_end_are_told(card: SmallCard) -> None:
    file = read_audit_file((card.directory / "audit.json").read_bytes())
    deep = file.model_copy(update={"entry": file.entry.model_copy(update={"details": "[" * 100_000})})
    assert "entry 4 is none that an audit log has" in broken_links(deep, MODEL, DIGEST, card.key)


def test_another_key_is_found(card: SmallCard, tmp_path: Path) -> None:
    copy = copied(card, tmp_path)
    file = read_audit_file((copy / "audit.json").read_bytes())
    other = load_signing_key(make_key_pair(tmp_path / "key")[0])
    forged = write_audit_file(copy, entry_of(file.record), file.anchor, other)
    digest = hashlib.sha256((copy / "card.sig").read_bytes()).hexdigest()
    assert broken_links(forged, MODEL, digest, other.public) == []
    assert [words[:15] for words in broken_links(forged, MODEL, digest, card.key)] == ["it is not signe"]


def test_another_form_of_the_same_is_refused(card: SmallCard) -> None:
    content = (card.directory / "audit.json").read_bytes()
    members = json.loads(content)
    for other in (content[:-1], content + b"\n", json.dumps(members).encode(), content.replace(b": 1,", b": true,", 1)):
        with pytest.raises(CardError):
            read_audit_file(other)
    for number in (0, 2**63, 10**30):
        with pytest.raises(CardError, match=r"of format 1: entry\.sequence"):
            read_audit_file(json.dumps(members | {"entry": members["entry"] | {"sequence": number}}).encode())
        with pytest.raises(CardError, match=r"of format 1: anchor\.sequence"):
            read_audit_file(json.dumps(members | {"anchor": members["anchor"] | {"sequence": number}}).encode())
    padded = base64.b64encode(b"x").decode().replace("eA==", "eB==")
    with pytest.raises(CardError, match="of format 1: signature"):
        read_audit_file(json.dumps(members | {"signature": padded}).encode())


@given(st.data())
def test_every_other_byte_is_found(card: SmallCard, data: st.DataObject) -> None:
    content = (card.directory / "audit.json").read_bytes()
    at, value = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    edited = content[:at] + bytes([content[at] ^ value]) + content[at + 1 :]
    digest = hashlib.sha256((card.directory / "card.sig").read_bytes()).hexdigest()
    try:
        file = read_audit_file(edited)
    except CardError:
        return
    assert broken_links(file, MODEL, digest, card.key)
