"""What somebody does to an audit log who owns its database: edits, deletions, swaps, and a tail cut off."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy import create_engine

from medground.audit.anchor import AnchorFile, anchor_head
from medground.audit.entry import NO_HASH, Record
from medground.audit.event import Action, ActorKind, AuditEvent, ObjectKind
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables

ENTRIES = 60
_ANCHOR_EVERY = 10
_START = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
_TEXTS = ("time", "action", "outcome", "actor_kind", "actor", "object_kind", "object_id", "details", "previous", "hash")
_EMPTY = ("tenant", "source")

Rows = list[Record]


def make_log(path: Path, anchors: Path) -> None:
    """Write a log of generated entries, with an anchor after the first, every tenth after that, and the last.

    Args:
        path: of the SQLite file.
        anchors: file of anchors.
    """
    engine = create_engine(f"sqlite:///{path}")
    create_tables(engine)
    seconds = iter(range(10 * ENTRIES))

    def clock() -> datetime:
        return _START + timedelta(seconds=next(seconds))

    log, file = AuditLog(engine, clock), AnchorFile(anchors)
    for number in range(1, ENTRIES + 1):
        log.append(
            AuditEvent(
                action=Action.GROUNDED if number % 3 else Action.EXPORTED,
                actor_kind=ActorKind.TOKEN,
                actor=f"token-{number % 5}",
                object_kind=ObjectKind.STUDY,
                object_id=f"study-{number}",
                details={"images": number},
            )
        )
        anchor_head(log, file, clock, every=_ANCHOR_EVERY)
    anchor_head(log, file, clock)
    engine.dispose()


def tamper(source: Path, target: Path, how: str, chance: random.Random) -> str:
    """Copy a log and do something to the copy.

    Args:
        source: as `make_log` wrote it.
        target: of the copy; one that is there is replaced.
        how: a key of `DAMAGES`.
        chance: source of what is random.

    Returns:
        What was done, in words.
    """
    shutil.copyfile(source, target)
    with closing(sqlite3.connect(target)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        names = ", ".join(Record.__slots__)
        rows = [Record(*row) for row in connection.execute(f"SELECT {names} FROM audit_entries ORDER BY sequence")]
        damaged, words = DAMAGES[how](list(rows), chance)
        connection.execute("DELETE FROM audit_entries")
        marks = ", ".join(f":{name}" for name in Record.__slots__)
        connection.executemany(
            f"INSERT INTO audit_entries ({names}) VALUES ({marks})", [asdict(row) for row in damaged]
        )
        if how in WITH_HEAD:
            connection.execute("UPDATE audit_head SET sequence = ?, hash = ?", (damaged[-1].sequence, damaged[-1].hash))
    return words


def _edit(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    """One character of one column of one entry."""
    at, name = chance.randrange(len(rows)), chance.choice(_TEXTS + _EMPTY)
    columns = asdict(rows[at])
    rows[at] = Record(**(columns | {name: _other(columns[name], chance)}))
    return rows, f"{name} of entry {at + 1} edited"


def _edit_with_hash(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    at = chance.randrange(len(rows))
    rows[at] = _hashed(replace(rows[at], object_id=_other(rows[at].object_id, chance)))
    return rows, f"entry {at + 1} edited and hashed anew"


def _edit_with_all_hashes(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    at = chance.randrange(len(rows))
    rows[at] = replace(rows[at], object_id=_other(rows[at].object_id, chance))
    return _chained(rows), f"entry {at + 1} edited and everything hashed anew"


def _delete(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    at = chance.randrange(len(rows))
    del rows[at]
    return rows, f"entry {at + 1} deleted"


def _delete_and_close_up(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    at = chance.randrange(len(rows))
    del rows[at]
    return _chained(rows), f"entry {at + 1} deleted and everything numbered and hashed anew"


def _swap(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    one, two = chance.sample(range(len(rows)), 2)
    first, second = rows[one], rows[two]
    rows[one], rows[two] = replace(second, sequence=first.sequence), replace(first, sequence=second.sequence)
    return rows, f"entries {one + 1} and {two + 1} swapped"


def _swap_with_all_hashes(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    one, two = chance.sample(range(len(rows)), 2)
    rows[one], rows[two] = rows[two], rows[one]
    return _chained(rows), f"entries {one + 1} and {two + 1} swapped and everything hashed anew"


def _cut(rows: Rows, chance: random.Random) -> tuple[Rows, str]:
    left = chance.randrange(1, len(rows))
    return rows[:left], f"everything after entry {left} cut off, and the head set back"


DAMAGES: Final[Mapping[str, Callable[[Rows, random.Random], tuple[Rows, str]]]] = MappingProxyType(
    {
        "entry edited": _edit,
        "entry edited, its hash too": _edit_with_hash,
        "entry edited, all hashes too": _edit_with_all_hashes,
        "entry deleted": _delete,
        "entry deleted, numbers and hashes too": _delete_and_close_up,
        "entries swapped": _swap,
        "entries swapped, all hashes too": _swap_with_all_hashes,
        "tail cut off": _cut,
    }
)
WITH_HEAD: Final = frozenset(DAMAGES) - {"entry edited", "entry deleted", "entries swapped"}
"""Where the row that names the last entry is made to fit as well."""


def _other(text: str, chance: random.Random) -> str:
    """The text with one character that is another."""
    if not text:
        return "x"
    at = chance.randrange(len(text))
    return text[:at] + chance.choice([one for one in "0123456789abcdef" if one != text[at]]) + text[at + 1 :]


def _hashed(record: Record) -> Record:
    return replace(record, hash=record.digest())


def _chained(rows: Rows) -> Rows:
    chained: Rows = []
    previous = NO_HASH
    for number, row in enumerate(rows, start=1):
        chained.append(_hashed(replace(row, sequence=number, previous=previous)))
        previous = chained[-1].hash
    return chained
