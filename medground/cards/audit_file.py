"""`audit.json`: the entry of the audit log that records the export, and its anchor, signed by whoever signed the card.

`card.sig` cannot cover it, since the entry names the hash of `card.sig`. So it has a signature of its own: ECDSA P-256
over SHA-256, DER in base64, of the two that are valid the one with the smaller number. It is over the line
`medground audit.json 1` and the file as it would be without its member `signature`.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import Field

from medground.audit.entry import Entry, Hash, Record, entry_of, record_of
from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind
from medground.cards.card_file import CardModel, canonical, read_canonical
from medground.cards.keys import PublicKey, SigningKey
from medground.cards.layout import AUDIT, Sha256
from medground.cards.signature import Base64
from medground.evaluation.files import replace_file
from medground.schema.config import StrictConfig
from medground.schema.errors import AuditError

ACTOR = "medground-card"
_DETAIL, _KIND = "digest", "model-card"
_TOO_MANY = 2**63  # no database counts as far


class _Entry(StrictConfig):
    form: int
    sequence: int = Field(ge=1, lt=_TOO_MANY)
    time: str
    action: str
    outcome: str
    actor_kind: str
    actor: str
    tenant: str
    source: str
    object_kind: str
    object_id: str
    details: str
    previous: Hash
    hash: Hash


class AuditAnchor(StrictConfig):
    """An anchor as it stands in the file of anchors, without its mark.

    Attributes:
        sequence: of the entry that was the last one.
        hash: of it.
        time: when the anchor was written.
    """

    sequence: int = Field(ge=1, lt=_TOO_MANY)
    hash: Hash
    time: str = Field(pattern=r"^[0-9T:.Z-]{27}$")


class AuditFile(StrictConfig):
    """What `audit.json` says.

    Attributes:
        format: 1.
        entry: of the audit log, with its hash; see `medground.audit.entry`.
        anchor: that was written after it; None if none was.
        signature: as above.
    """

    format: Literal[1] = 1
    entry: _Entry
    anchor: AuditAnchor | None
    signature: Base64 = ""

    @property
    def record(self) -> Record:
        """The entry as the log stores it."""
        return Record(**self.entry.model_dump())

    def content(self) -> bytes:
        """The one form in which it is written."""
        return canonical(self.model_dump())

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return b"medground audit.json 1\n" + canonical(self.model_dump(exclude={"signature"}))


def export_event(model: CardModel, signature: str) -> AuditEvent:
    """What the log is told of an export.

    Args:
        model: which the card is of.
        signature: SHA-256 of `card.sig`, and by it of every file.
    """
    return AuditEvent(
        action=Action.EXPORTED,
        actor_kind=ActorKind.SYSTEM,
        actor=ACTOR,
        object_kind=ObjectKind.MODEL,
        object_id=model.sha256,
        details={_DETAIL: f"sha256:{signature}", "kind": _KIND},
    )


def write_audit_file(directory: Path, entry: Entry, anchor: AuditAnchor | None, key: SigningKey) -> AuditFile:
    """Write `audit.json`.

    Args:
        directory: of the card.
        entry: that records the export.
        anchor: of that entry or a later one; None if there is none.
        key: that signed the card.
    """
    record = record_of(entry.event, entry.sequence, entry.time, entry.previous)
    unsigned = AuditFile(entry=_Entry(**asdict(record)), anchor=anchor)
    signature = base64.b64encode(key.sign(unsigned.signed_bytes())).decode()
    file = unsigned.model_copy(update={"signature": signature})
    replace_file(directory / AUDIT, file.content())
    return file


def read_audit_file(content: bytes) -> AuditFile:
    """Read `audit.json`.

    Args:
        content: of the file.

    Raises:
        CardError: it is none, or one of its bytes is not as it is written.
    """
    return read_canonical(AuditFile, content, AUDIT)


def broken_links(file: AuditFile, model: CardModel | None, signature: Sha256, signer: PublicKey | None) -> list[str]:
    """What is wrong with the chain, as far as the card alone can tell; a sentence each.

    Args:
        file: `audit.json`.
        model: that the card is of; None if that is not known.
        signature: SHA-256 of `card.sig`.
        signer: whose signature `card.sig` is; None if that is not known.
    """
    record = file.record
    words = []
    if not record.is_whole():
        words.append(f"the hash of entry {record.sequence} is not that of what the entry says: one of them was edited")
    try:
        event = entry_of(record).event
    except AuditError:
        words.append(f"entry {record.sequence} is none that an audit log has")
    else:
        if event.action != Action.EXPORTED or event.details.get("kind") != _KIND:
            words.append(f"entry {record.sequence} records something else than the export of a card")
        if event.details.get(_DETAIL) != f"sha256:{signature}":
            words.append(
                f"entry {record.sequence} records the export of another card: its digest is not that of card.sig"
            )
        if model is not None and event.object_id != model.sha256:
            words.append(f"entry {record.sequence} records the export of another model's card")
    if file.anchor is not None and not _fits(file.anchor, record):
        words.append(f"the anchor of entry {file.anchor.sequence} does not fit entry {record.sequence}")
    if signer is not None and not signer.holds_strictly(base64.b64decode(file.signature), file.signed_bytes()):
        words.append("it is not signed by the key that signed the card: it was edited, or written by somebody else")
    return words


def _fits(anchor: AuditAnchor, record: Record) -> bool:
    return anchor.hash == record.hash if anchor.sequence == record.sequence else anchor.sequence > record.sequence
