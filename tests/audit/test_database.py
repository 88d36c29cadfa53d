"""A log that is looked at stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from medground.audit.database import open_for_reading
from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from medground.audit.verify import verify
from medground.schema.errors import AuditError, InputNotFoundError, UsageError
from tests.audit.chains import Clock, event


def test_it_reads_and_does_not_write(engine: Engine, url: str, log: AuditLog) -> None:
    for number in range(1, 6):
        log.append(event(number))
    for address in (url, url.replace("+psycopg", "")):
        with open_for_reading(address) as reading:
            assert verify(reading, page=2).entries == 5
            assert AuditLog(reading, Clock()).read() == log.read()
            with pytest.raises(AuditError, match="cannot be written to"):
                AuditLog(reading, Clock()).append(event(6))
            for statement in ("DROP TABLE audit_entries", "CREATE TABLE t (x INTEGER)"):
                with pytest.raises(DBAPIError, match=r"read-?only"), reading.begin() as connection:
                    connection.execute(text(statement))
    assert log.head().sequence == 5


def test_a_file_that_somebody_else_writes_by_wal(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    create_tables(engine)
    log = AuditLog(engine, Clock())
    log.append(event(1))
    with open_for_reading(f"sqlite:///{path}") as reading:
        assert verify(reading).entries == 1
        log.append(event(2))
        assert verify(reading).entries == 2
    engine.dispose()
    with open_for_reading(f"sqlite:///{path}") as reading:
        assert verify(reading).entries == 2


def refused(address: str) -> str:
    with pytest.raises((UsageError, InputNotFoundError, AuditError)) as told, open_for_reading(address) as reading:
        verify(reading)
    assert told.value.exit_code == 2
    return str(told.value)


def test_addresses_that_are_none(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    assert refused(f"sqlite:///{missing}") == f"no database file is at {missing}: check the path"
    assert not missing.exists()
    assert "an empty path" in refused("sqlite://")
    for address in ("secret", "postgresql:secret", ""):
        assert "cannot be read; give sqlite:///path or postgresql://" in refused(address)
        assert "secret" not in refused(address)
    told = refused("mysql://user:secret@host/name")
    assert told == "the database 'mysql' is not known; give sqlite:/// or postgresql://"


def test_a_server_that_does_not_answer_is_said_without_its_password(tmp_path: Path) -> None:
    told = refused(f"postgresql://user:secret@/name?host={tmp_path}")
    assert "cannot be read (OperationalError): look whether the database is there" in told
    assert "secret" not in told


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is no database, though it is long enough to be one" * 20)
    assert "cannot be read (DatabaseError)" in refused(f"sqlite:///{path}")
