"""Walks the chain, and tells the first place where it is not what was written, and what was done there.

What the chain shows by itself: any entry edited, deleted, put in, or moved. What only an anchor kept elsewhere shows: a
chain cut off at its end together with its head, or written anew from some entry on by somebody who hashes as we do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Engine, func, select

from medground.audit.anchor import Anchor
from medground.audit.entry import FORM, NO_HASH, Record
from medground.audit.log import Head, as_audit_error, read_head
from medground.audit.tables import audit_entries, missing_triggers, records
from medground.schema.errors import AuditError

PAGE = 1000
_BEYOND = 1000  # so far past the last known number an entry's own number is looked for, when numbers were closed up


class Kind(StrEnum):
    """What was done to the log."""

    EDITED = "edited"
    DELETED = "deleted"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    """Entries at the end are gone."""
    REWRITTEN = "rewritten"
    """The chain fits together, and is not the one that was anchored."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first broken place.

    Attributes:
        kind: what was done there.
        sequence: number of the first entry that is not as it was written, or not there.
        words: the same in a sentence.
    """

    kind: Kind
    sequence: int
    words: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Attributes:
        entries: that were looked at and are whole.
        head: the last of them.
        anchors: that hold.
        broken: the first broken place; None if the log is whole.
        missing_triggers: names of triggers that the database lacks; the log may be whole all the same.
    """

    entries: int
    head: Head
    anchors: int
    broken: Break | None
    missing_triggers: tuple[str, ...] = ()


def verify(
    engine: Engine,
    anchors: Iterable[Anchor] = (),
    *,
    page: int = PAGE,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Walk the whole chain, oldest entry first, a page at a time; appending may go on meanwhile.

    Args:
        engine: of the database.
        anchors: kept elsewhere, in any order.
        page: entries that are read at once.
        progress: called with the number of entries looked at.

    Raises:
        AuditError: there is no log, or it cannot be read.
    """
    with as_audit_error("read"):
        return _Walk(engine, anchors, page).run(progress)


class _Walk:
    """One walk along the chain.

    Args:
        engine: of the database.
        anchors: that must hold.
        page: entries that are read at once.
    """

    def __init__(self, engine: Engine, anchors: Iterable[Anchor], page: int) -> None:
        self._engine = engine
        self._page = page
        self._anchors: dict[int, set[str]] = {0: {NO_HASH}}
        for anchor in anchors:
            self._anchors.setdefault(anchor.sequence, set()).add(anchor.hash)
        self._last = Head(0, NO_HASH)
        self._holding = 0  # the last entry whose anchor holds
        self._held = 0

    def run(self, progress: Callable[[int], None] | None) -> Verification:
        first_head = self._head()
        at_head = NO_HASH
        broken = self._against_anchor()
        for record in () if broken else records(self._engine, self._page):
            broken = self._against_chain(record)
            if broken is None:
                self._last = Head(record.sequence, record.hash)
                broken = self._against_anchor()
            if broken is not None:
                break
            if first_head is not None and record.sequence == first_head.sequence:
                at_head = record.hash
            if progress is not None and record.sequence % self._page == 0:
                progress(record.sequence)
        broken = broken or self._at_the_end(first_head, at_head)
        with self._engine.connect() as connection:
            lacking = tuple(missing_triggers(connection))
        entries = self._last.sequence
        return Verification(entries, self._last, self._held, broken, lacking)

    def _head(self) -> Head | None:
        with suppress(AuditError), self._engine.connect() as connection:
            head = read_head(connection)
            if type(head.sequence) is int:  # SQLite takes anything
                return head
        return None

    def _against_anchor(self) -> Break | None:
        sequence, wanted = self._last.sequence, self._anchors.get(self._last.sequence)
        if wanted is None:
            return None
        if wanted != {self._last.hash}:
            words = (
                f"entry {sequence} fits into the chain and is not the one that was anchored: "
                f"the chain was written anew from entry {self._holding + 1} or a later one on"
            )
            return Break(Kind.REWRITTEN, sequence, words)
        self._holding = sequence
        self._held += sequence > 0
        return None

    def _against_chain(self, record: Record) -> Break | None:
        expected = self._last.sequence + 1
        if record.sequence == expected and record.form == FORM and record.is_whole():
            if record.previous == self._last.hash:
                return None
            place = max(expected - 1, 1)
            words = f"entry {expected} does not continue entry {expected - 1}: one was edited together with its hash"
            return Break(Kind.EDITED, place, words)
        return self._explained(record, expected)

    def _explained(self, record: Record, expected: int) -> Break:
        elsewhere = self._elsewhere(record, expected)
        if elsewhere is not None:
            return Break(Kind.REORDERED, expected, f"entry {expected} stands where entry {elsewhere} should")
        if type(record.sequence) is not int:
            return Break(Kind.EDITED, expected, f"the number of entry {expected} is no number any more")
        if record.sequence > expected:
            return Break(Kind.DELETED, expected, _missing(expected, record.sequence - 1))
        own = self._own_number(record)
        if record.sequence < expected:
            if own is not None and not self._stands(own):
                return Break(Kind.REORDERED, own, f"entry {own} was given the number {record.sequence}")
            return Break(Kind.INSERTED, expected, f"an entry numbered {record.sequence} stands before entry {expected}")
        if own is not None and own > expected:
            words = f"{_missing(expected, own - 1)}, and the numbers after it were closed up"
            return Break(Kind.DELETED, expected, words)
        if own is not None:
            words = f"entry {own} stands in the place of entry {expected}: something was put in before it"
            return Break(Kind.INSERTED, expected, words)
        return Break(Kind.EDITED, expected, f"entry {expected} is not what it was when it was hashed")

    def _elsewhere(self, record: Record, expected: int) -> int | None:
        """Where the true entry of a number stands now: with its own hash, or under the hash of the one in its place."""
        for other in records(self._engine, self._page):
            digest = replace(other, sequence=expected, previous=self._last.hash).digest()
            if digest and digest in (other.hash, record.hash) and other.sequence != expected:
                return other.sequence
        return None

    def _own_number(self, record: Record) -> int | None:
        """The number that an entry was hashed with; None if it was edited otherwise."""
        head = self._head()
        with self._engine.connect() as connection:
            greatest = connection.scalar(select(func.max(audit_entries.c.sequence))) or 0
        known = max(greatest if type(greatest) is int else 0, head.sequence if head else 0, *self._anchors)
        numbers = (n for n in range(1, known + _BEYOND) if replace(record, sequence=n).is_whole())
        return next(numbers, None)

    def _stands(self, sequence: int) -> bool:
        with self._engine.connect() as connection:
            found = select(audit_entries.c.sequence).where(audit_entries.c.sequence == sequence)
            return connection.execute(found).first() is not None

    def _at_the_end(self, first_head: Head | None, at_head: str) -> Break | None:
        entries = self._last.sequence
        now = self._head()
        if first_head is None or now is None:
            return Break(Kind.DELETED, entries + 1, "the row that names the last entry is gone")
        known = max(first_head.sequence, *self._anchors)
        if known > entries:
            return Break(Kind.TRUNCATED, entries + 1, f"{_missing(entries + 1, known)} at the end of the log")
        if first_head.hash != at_head:
            words = f"the log's head and entry {first_head.sequence} do not fit: one of them was edited with its hash"
            return Break(Kind.EDITED, first_head.sequence, words)
        if now.sequence < entries:
            words = f"entry {now.sequence + 1} and those after it were not written by way of the log"
            return Break(Kind.INSERTED, now.sequence + 1, words)
        with self._engine.connect() as connection:
            numbered = audit_entries.c.sequence <= entries
            rows = connection.scalar(select(func.count()).select_from(audit_entries).where(numbered)) or 0
        if rows != entries:
            return Break(
                Kind.INSERTED, entries, f"{rows} entries have the numbers up to {entries}: some are there twice"
            )
        return None


def _missing(first: int, last: int) -> str:
    return f"entry {first} is gone" if first == last else f"entries {first} to {last} are gone"
