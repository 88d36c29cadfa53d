"""The log: appended to by many processes on many machines, one at a time; read by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, false, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from medground.audit.entry import Entry, entry_of, record_of, time_text
from medground.audit.event import Action, AuditEvent, ObjectKind, Outcome
from medground.audit.tables import audit_entries, audit_head, driver_of, read_rows, records
from medground.schema.errors import AuditError, UsageError

Clock = Callable[[], datetime]
MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a log, by its number and hash; number 0 and 64 zeros where there is none."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries to read; None does not narrow.

    Attributes:
        since: at this time or later.
        until: before this time.
        action: what was done.
        outcome: how it ended.
        actor: who did it.
        tenant: whose; empty for what belongs to none.
        object_kind: kind of the object.
        object_id: opaque key of the object.
    """

    since: datetime | None = None
    until: datetime | None = None
    action: Action | None = None
    outcome: Outcome | None = None
    actor: str | None = None
    tenant: str | None = None
    object_kind: ObjectKind | None = None
    object_id: str | None = None

    def statement(self) -> Select[Any]:
        """The rows of `audit_entries` that are meant, in no order."""
        columns = audit_entries.c
        chosen = select(audit_entries)
        if self.since is not None:
            chosen = chosen.where(columns.time >= time_text(self.since))
        if self.until is not None:
            chosen = chosen.where(columns.time < time_text(self.until))
        for name in ("action", "outcome", "actor", "tenant", "object_kind", "object_id"):
            if (value := getattr(self, name)) is not None:
                chosen = chosen.where(columns[name] == value)
        return chosen


class AuditLog:
    """A hash-chained log in a database. Its tables must be there: `medground.audit.tables.create_tables`.

    Args:
        engine: of SQLite (give its connections a timeout: appends wait for each other) or PostgreSQL.
        clock: gives the time, with its offset from UTC.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def append(self, event: AuditEvent, connection: Connection | None = None) -> Entry:
        """Write an event after all others; whoever else appends waits.

        With a connection of the caller's, the entry becomes part of its transaction: what happened and its record stand
        or fall together. Others wait until that transaction ends, so append last and then commit. On PostgreSQL, above
        READ COMMITTED, a wait for another append ends in a serialization failure (SQLSTATE 40001); on SQLite, a
        transaction that has only read so far may end in `database is locked` if another has written meanwhile. Both
        times nothing is written, and the transaction is to be done again.

        Args:
            event: what happened.
            connection: in a transaction; None for one of the log's own, committed on return.

        Returns:
            The entry.

        Raises:
            AuditError: it cannot be written; what it is about must not happen then.
            UsageError: the connection commits every statement by itself.
            SQLAlchemyError: what the caller's own transaction failed of.
        """
        if connection is not None:
            return self._append(connection, event)
        with as_audit_error("written to"), self._engine.connect() as own:
            if own.dialect.name == "postgresql":
                own = own.execution_options(isolation_level="READ COMMITTED")
            entry = self._append(own, event)
            own.commit()
            return entry

    def head(self) -> Head:
        """The last entry that is committed.

        Raises:
            AuditError: there is no log, or it cannot be read.
        """
        with as_audit_error("read"), self._engine.connect() as connection:
            return read_head(connection)

    def read(self, selection: Selection | None = None, *, after: int = 0, limit: int = 500) -> list[Entry]:
        """A page of entries, oldest first.

        Args:
            selection: which; all if left out.
            after: only entries with a greater number: for the next page, that of the last one read.
            limit: at most so many, 1..10000.

        Raises:
            UsageError: the limit is out of its range.
            AuditError: the log cannot be read, or an entry of it was tampered with.
        """
        chosen = (selection or Selection()).statement().where(audit_entries.c.sequence > after)
        return self._entries(chosen.order_by(audit_entries.c.sequence), limit)

    def latest(self, selection: Selection | None = None, *, limit: int = 20) -> list[Entry]:
        """The last entries, newest first; as `read`."""
        chosen = (selection or Selection()).statement()
        return self._entries(chosen.order_by(audit_entries.c.sequence.desc()), limit)

    def stream(self, selection: Selection | None = None, *, page: int = 1000) -> Iterator[Entry]:
        """All entries, oldest first, without ever holding more than a page of them; as `read`."""
        with as_audit_error("read"):
            for record in records(self._engine, page, (selection or Selection()).statement()):
                yield entry_of(record)

    def hash_of(self, sequence: int) -> str | None:
        """The stored hash of an entry; None if it is not there."""
        with as_audit_error("read"), self._engine.connect() as connection:
            return connection.scalar(select(audit_entries.c.hash).where(audit_entries.c.sequence == sequence))

    def _entries(self, chosen: Select[Any], limit: int) -> list[Entry]:
        if not 1 <= limit <= MOST_AT_ONCE:
            raise UsageError(f"{limit} entries at once; ask for 1 to {MOST_AT_ONCE}")
        with as_audit_error("read"):
            return [entry_of(record) for record in read_rows(self._engine, chosen.limit(limit))]

    def _append(self, connection: Connection, event: AuditEvent) -> Entry:
        _lock(connection)
        head = read_head(connection, for_update=True)
        record = record_of(event, head.sequence + 1, self._clock(), head.hash)
        connection.execute(insert(audit_entries), asdict(record))
        connection.execute(update(audit_head).values(sequence=record.sequence, hash=record.hash))
        return entry_of(record)


def _lock(connection: Connection) -> None:
    """Become the one writer. On PostgreSQL that comes with reading the head for update."""
    driver = driver_of(connection)
    if connection.dialect.name == "postgresql":
        lasting = not driver.autocommit
    else:
        # Takes the lock that BEGIN IMMEDIATE takes, and does so in a transaction that has begun otherwise.
        connection.execute(update(audit_head).values(sequence=audit_head.c.sequence).where(false()))
        lasting = driver.in_transaction
    if not lasting:
        raise UsageError("the connection commits every statement by itself; append to the audit log in a transaction")


def read_head(connection: Connection, *, for_update: bool = False) -> Head:
    """The last entry, as the log's own head names it.

    Args:
        connection: to read by.
        for_update: wait for whoever else has it for update, and keep others waiting until the transaction ends.

    Raises:
        AuditError: the row is gone.
    """
    statement = select(audit_head.c.sequence, audit_head.c.hash)
    row = connection.execute(statement.with_for_update() if for_update else statement).first()
    if row is None:
        raise AuditError("the audit log has lost the row that names its last entry: run `medground audit verify`")
    return Head(*row)


@contextmanager
def as_audit_error(doing: str) -> Iterator[None]:
    """Turn errors of the database into one sentence; `doing` is how it goes on after `cannot be`."""
    try:
        yield
    except SQLAlchemyError as cause:
        # The driver's message may quote the address and user of the database; its class does not.
        kind = type(getattr(cause, "orig", None) or cause).__name__
        raise AuditError(
            f"the audit log cannot be {doing} ({kind}): look whether the database is there, has the log's tables, and "
            "lets this user in"
        ) from cause
