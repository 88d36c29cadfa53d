"""The database of the service: SQLite in a file, or PostgreSQL; the same tables and the same statements.

Tables marked *clinical* hold what came with the images and what people wrote; every other table holds keys, times and
states only, so that a dump of it names no patient.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as NoneFreeError

from medground.schema.errors import AuditError, UsageError

SCHEMA_VERSION = 1
SQLITE_WAITS_S = 30.0
CLINICAL = frozenset({"instances", "instance_views", "studies", "jobs", "reviews"})

metadata = MetaData()
row_id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER

schema_versions = Table("schema_versions", metadata, Column("version", Integer, primary_key=True))

studies = Table(
    "studies",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("study_key", String(32), primary_key=True),
    Column("study_uid", String(64), nullable=False),
    Column("patient_name", String(256), nullable=False),
    Column("patient_id", String(128), nullable=False),
    Column("study_date", String(16), nullable=False),
    Column("accession_number", String(64), nullable=False),
    Column("description", String(256), nullable=False),
    Column("modalities", String(128), nullable=False),
    Column("body_parts", String(256), nullable=False),
    Column("calling_ae", String(16), nullable=False),
    Column("images", Integer, nullable=False),
    Column("first_received_us", BigInteger, nullable=False),
    Column("last_received_us", BigInteger, nullable=False),
    Column("is_open", Boolean, nullable=False),
    UniqueConstraint("tenant", "study_uid"),
    Index("studies_open", "is_open", "last_received_us"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("sop_uid", String(64), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("study_key", String(32), nullable=False),
    Column("transfer_syntax_uid", String(64), nullable=False),
    Column("modality", String(16), nullable=False),
    Column("frames", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received_us", BigInteger, nullable=False),
    UniqueConstraint("tenant", "sop_uid"),
    Index("instances_of_study", "tenant", "study_key"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("study_key", String(32), nullable=False),
    Column("instance_set", String(64), nullable=False),
    Column("question_key", String(64), nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("request", Text, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("requested_by", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Index("jobs_by_state", "state", "updated_us"),
    Index("jobs_of_study", "tenant", "study_key"),
)

job_instances = Table(
    "job_instances",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("instance_id", row_id, primary_key=True),
    Index("jobs_of_instance", "instance_id"),
)

results = Table(
    "results",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("study_key", String(32), nullable=False),
    Column("question_key", String(64), nullable=False),
    Column("model_name", String(128), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("replaces", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Index("results_of_study", "tenant", "study_key", "created_us"),
)

result_files = Table(
    "result_files",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sop_uid", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("destination", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("first_us", BigInteger, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Index("deliveries_due", "state", "next_us"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("key_sha256", String(64), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("job_id", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("job_id", String(64), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("finding_id", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("reviewer", String(64), nullable=False),
    Column("reviewer_name", String(128), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("reviews_of_tenant", "tenant", "at_us"),
)

workers = Table(
    "workers",
    metadata,
    Column("executor_id", String(64), primary_key=True),
    Column("model_sha256", String(64), nullable=False),
    Column("beat_us", BigInteger, nullable=False),
)

commitments = Table(
    "commitments",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("calling_ae", String(16), primary_key=True),
    Column("called_ae", String(16), primary_key=True),
    Column("transaction_uid", String(64), primary_key=True),
    Column("content", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)


def connect(url: str) -> Engine:
    """An engine for a database; nothing is opened yet.

    Its errors do not quote parameters. What PostgreSQL adds may quote a row, so of an error only the class is logged.

    Args:
        url: `sqlite:///path` or `postgresql://user@host/name`.

    Raises:
        UsageError: the URL is of no kind that is known.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as cause:
        raise UsageError("the database URL cannot be read; give sqlite:///path or postgresql://host/name") from cause
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private(Path(parsed.database))
        engine = create_engine(parsed, connect_args={"timeout": SQLITE_WAITS_S}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() == "postgresql":
        driver = parsed.set(drivername="postgresql+psycopg")
        return create_engine(driver, pool_pre_ping=True, pool_size=10, hide_parameters=True)
    raise UsageError(f"the database {parsed.get_backend_name()!r} is not known; give sqlite:/// or postgresql://")


def make_private(path: Path) -> None:
    """Make an empty file that its owner alone can read, unless one is there: SQLite's own can be read by everybody.

    Where that fails, SQLite says why when it opens it.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def batches(values: Sequence[Any], size: int = 1000) -> Iterator[Sequence[Any]]:
    """Values a thousand at a time: a database takes only so many in one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _prepare_sqlite(connection: Any, record: object) -> None:
    del record
    # Readers do not wait for a writer, and what was committed outlives a crash of the machine.
    connection.isolation_level = None  # the driver must not begin transactions by itself; `begin` below does
    _switch_to_wal(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: Any) -> None:
    """Two processes that open a new file at once may both want to; SQLite refuses one of them without waiting."""
    until = time.monotonic() + SQLITE_WAITS_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later would otherwise fail when another wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write; on SQLite it waits here for other writers, not in the middle."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def create_tables(engine: Engine) -> None:
    """Create what is missing, by one process at a time.

    Raises:
        UsageError: the database is of a newer version of the service.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7310423)")
        metadata.create_all(connection)
        found = connection.scalar(select(schema_versions.c.version))
        if found is None:
            connection.execute(schema_versions.insert().values(version=SCHEMA_VERSION))
        elif found != SCHEMA_VERSION:
            raise UsageError(f"the database has version {found} of the tables, this service needs {SCHEMA_VERSION}")


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same key is there; True if it was inserted."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement: Insert = dialect.insert(table).values(values).on_conflict_do_nothing()
    # Not the count of rows, which drivers do not tell alike for an insertion.
    return connection.execute(statement.returning(*table.primary_key.columns)).first() is not None


def is_gone(error: BaseException) -> bool:
    """Whether an error of the database may pass: no connection, a restart, a lock or a queue that took too long."""
    if isinstance(error, AuditError):  # in whose words the log tells of its database
        return error.__cause__ is not None and is_gone(error.__cause__)
    if isinstance(error, NoneFreeError):
        return True
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")
    )
