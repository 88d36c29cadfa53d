"""Records an export in the audit log, and writes the entry into the card."""

from __future__ import annotations

import hashlib
from pathlib import Path

from medground.audit.anchor import AnchorFile, anchor_head
from medground.audit.log import AuditLog, Clock
from medground.cards.audit_file import AuditAnchor, AuditFile, export_event, write_audit_file
from medground.cards.card_file import read_card
from medground.cards.keys import SigningKey
from medground.cards.layout import CARD, SIGNATURE
from medground.schema.errors import CardError


def record_export(
    directory: Path, key: SigningKey, log: AuditLog, anchors: AnchorFile | None, clock: Clock
) -> AuditFile:
    """Append an entry for a signed card to the log, anchor it, and write `audit.json`.

    The log comes first: a card without an entry is none, an entry whose card never appeared does no harm.

    Args:
        directory: of the card, signed.
        key: that signed it.
        log: to record it in.
        anchors: file of anchors to write to, kept elsewhere; None for none.
        clock: gives the time of the anchor, with its offset from UTC.

    Raises:
        CardError: the card is not written or not signed yet.
        AuditError: the log or the anchors cannot be written.
    """
    try:
        card = read_card((directory / CARD).read_bytes())
        signature = hashlib.sha256((directory / SIGNATURE).read_bytes()).hexdigest()
    except FileNotFoundError as cause:
        raise CardError(f"{directory} has no {Path(cause.filename).name}: sign the card before its record") from None
    entry = log.append(export_event(card.model, signature))
    anchor = anchor_head(log, anchors, clock) if anchors is not None else None
    if anchor is None:
        return write_audit_file(directory, entry, None, key)
    return write_audit_file(
        directory, entry, AuditAnchor(sequence=anchor.sequence, hash=anchor.hash, time=anchor.time), key
    )
