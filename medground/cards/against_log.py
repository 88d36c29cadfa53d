"""Whether the entry that a card carries is in an audit log, and in its anchors: what no card can show by itself."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine

from medground.audit.anchor import Anchor, AnchorFile
from medground.audit.database import open_for_reading
from medground.audit.log import AuditLog
from medground.audit.verify import verify
from medground.cards.audit_file import AuditFile
from medground.cards.findings import Finding, Kind
from medground.cards.layout import AUDIT


def check_against_log(file: AuditFile, database: str | None, anchors: AnchorFile | None) -> list[Finding]:
    """Look the entry of a card up.

    Args:
        file: `audit.json`.
        database: URL of the log; None to look at the anchors alone.
        anchors: kept elsewhere; None to look at the log alone.

    Raises:
        MedgroundError: the log or the anchors cannot be read.
    """
    known = anchors.read() if anchors is not None else []
    words = [] if anchors is None else _in_anchors(file, known, alone=database is None)
    if database is not None:
        with open_for_reading(database) as engine:
            words += _in_log(file, engine, known)
    return [Finding(AUDIT, Kind.CHAIN, sentence) for sentence in words]


def _in_anchors(file: AuditFile, anchors: list[Anchor], *, alone: bool) -> list[str]:
    ours = file.record.sequence
    wanted = {ours: file.record.hash} | ({file.anchor.sequence: file.anchor.hash} if file.anchor else {})
    met = [anchor for anchor in anchors if anchor.sequence in wanted]
    for anchor in met:
        if anchor.hash != wanted[anchor.sequence]:
            return [f"the anchors name another entry {anchor.sequence} than the card: it, or the log, was written anew"]
    if file.anchor is not None and all(anchor.sequence != file.anchor.sequence for anchor in met):
        return [f"the anchors have none of entry {file.anchor.sequence}, which the card says was anchored"]
    if alone and not met:
        return [f"the anchors say nothing of entry {ours}: name the log as well, with --audit-log"]
    return []


def _in_log(file: AuditFile, engine: Engine, anchors: list[Anchor]) -> list[str]:
    record = file.record
    found = verify(engine, anchors)
    if found.broken is not None:
        return [f"the audit log itself is broken ({found.broken.kind}): {found.broken.words}"]
    stored = AuditLog(engine, lambda: datetime.now(UTC)).hash_of(record.sequence)
    if stored is None:
        return [f"the log has no entry {record.sequence}: the export is not in it, or its end was cut off"]
    if stored != record.hash:
        return [f"entry {record.sequence} of the log is another one than the card's: the export is not in this log"]
    return []
