"""The tables of the log, and the triggers by which the database itself refuses to change what was written.

`audit_entries` only grows; the one row of `audit_head` names its last entry and is the lock that appends wait for. A
role that writes needs SELECT and INSERT on the first, SELECT and UPDATE on the second. Whoever owns the tables can drop
the triggers; that is what `medground.audit.verify` is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    insert,
    inspect,
    literal,
    select,
    text,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from medground.audit.entry import NO_HASH, Record

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # as INTEGER it is the key of SQLite's own tree

metadata = MetaData()

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("form", Integer, nullable=False),
    Column("sequence", _NUMBER, primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in Record.__slots__ if name not in ("form", "sequence")),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", _NUMBER, nullable=False),
    Column("hash", Text, nullable=False),
)

_INDEXES = (
    Index("audit_entries_time", audit_entries.c.time),
    Index("audit_entries_object", audit_entries.c.object_id),
    Index("audit_entries_actor", audit_entries.c.actor),
)

_REFUSE = "SELECT RAISE(ABORT, 'the audit log is append-only')"
_SQLITE = {
    "audit_entries_update": "BEFORE UPDATE ON audit_entries",
    "audit_entries_delete": "BEFORE DELETE ON audit_entries",
    # INSERT OR REPLACE deletes without the trigger for it.
    "audit_entries_replace": "BEFORE INSERT ON audit_entries"
    " WHEN EXISTS (SELECT 1 FROM audit_entries WHERE sequence = NEW.sequence)",
    "audit_head_update": "BEFORE UPDATE ON audit_head WHEN NEW.sequence IS NOT OLD.sequence + 1",
    "audit_head_delete": "BEFORE DELETE ON audit_head",
    "audit_head_replace": "BEFORE INSERT ON audit_head WHEN EXISTS (SELECT 1 FROM audit_head)",
}
_POSTGRESQL = {
    "audit_entries_change": "BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries FOR EACH STATEMENT",
    "audit_head_update": "BEFORE UPDATE ON audit_head FOR EACH ROW"
    " WHEN (NEW.sequence IS DISTINCT FROM OLD.sequence + 1)",
    "audit_head_delete": "BEFORE DELETE OR TRUNCATE ON audit_head FOR EACH STATEMENT",
}
_POSTGRESQL_REFUSE = """
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$
"""
_CREATION_LOCK = 7310424  # of PostgreSQL's advisory locks; any number that nobody else takes


def create_tables(engine: Engine) -> None:
    """Create what is missing of tables, triggers and the first head, by one process at a time.

    Args:
        engine: of SQLite or PostgreSQL 14 or newer.
    """
    with engine.connect() as connection:
        if _is_complete(connection):  # who may write entries need not be allowed to create tables
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
        else:
            if driver_of(connection).in_transaction:  # begun by the engine's own hook, and nothing is done in it yet
                connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        for table in (audit_entries, audit_head):
            connection.execute(CreateTable(table, if_not_exists=True))
        for index in _INDEXES:
            connection.execute(CreateIndex(index, if_not_exists=True))
        _create_triggers(connection)
        first = select(literal(1), literal(0), literal(NO_HASH)).where(~select(audit_head.c.id).exists())
        connection.execute(insert(audit_head).from_select(["id", "sequence", "hash"], first))


def missing_triggers(connection: Connection) -> list[str]:
    """Names of triggers that should be there and are not, or are switched off."""
    if connection.dialect.name == "postgresql":
        there = text(
            "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A')"
            " AND tgrelid IN (to_regclass('audit_entries'), to_regclass('audit_head'))"
        )
        wanted = _POSTGRESQL
    else:
        there, wanted = text("SELECT name FROM sqlite_master WHERE type = 'trigger'"), _SQLITE
    return sorted(set(wanted) - set(connection.scalars(there)))


def records(engine: Engine, page: int, where: Select[Any] | None = None) -> Iterator[Record]:
    """All entries as they are stored, by sequence; by page, so that no transaction lasts and memory does not fill.

    Args:
        engine: of the database.
        page: rows of a page.
        where: in place of all entries, a selection among them with the columns of `audit_entries`.
    """
    statement = (select(audit_entries) if where is None else where).order_by(audit_entries.c.sequence).limit(page)
    after = None
    while True:
        here = statement if after is None else statement.where(audit_entries.c.sequence > after)
        rows = read_rows(engine, here)
        yield from rows
        after = rows[-1].sequence if rows else None
        if len(rows) < page or after is None:
            return


def read_rows(engine: Engine, statement: Select[Any]) -> list[Record]:
    """Rows of `audit_entries`, whatever somebody may have put into them."""
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            return [Record(*row) for row in connection.execute(statement)]
        driver = driver_of(connection)
        driver.text_factory = _any_text  # SQLite takes what is no UTF-8, and its driver would stop at it
        try:
            return [Record(*row) for row in connection.execute(statement)]
        finally:
            driver.text_factory = str


def driver_of(connection: Connection) -> Any:
    """The driver's own connection: of sqlite3 or psycopg."""
    return connection.connection.driver_connection


def _is_complete(connection: Connection) -> bool:
    if not {"audit_entries", "audit_head"} <= set(inspect(connection).get_table_names()):
        return False
    head = connection.execute(select(audit_head.c.id)).first()
    return head is not None and not missing_triggers(connection)


def _create_triggers(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        for name, when in _SQLITE.items():
            connection.exec_driver_sql(f"CREATE TRIGGER IF NOT EXISTS {name} {when} BEGIN {_REFUSE}; END")
        return
    connection.exec_driver_sql(_POSTGRESQL_REFUSE)
    for name, when in _POSTGRESQL.items():
        connection.exec_driver_sql(f"CREATE OR REPLACE TRIGGER {name} {when} EXECUTE FUNCTION audit_refuse()")
        table = when.split(" ON ")[1].split()[0]
        # Also for sessions that play another server's changes, which skip ordinary triggers.
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _any_text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
