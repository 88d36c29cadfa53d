"""What the database itself refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from medground.audit.entry import NO_HASH
from medground.audit.log import AuditLog
from medground.audit.tables import audit_entries, audit_head, create_tables, missing_triggers, records
from tests.audit.chains import Owner, chain, event
from tests.conftest import REPOSITORY

CREATE = """
import sys
from sqlalchemy import create_engine
from medground.audit.tables import create_tables
create_tables(create_engine(sys.argv[1]))
"""


def refused(engine: Engine, statement: str, **values: object) -> str:
    with pytest.raises(DBAPIError) as told, engine.begin() as connection:
        connection.execute(text(statement), values)
    return str(told.value)


def test_entries_are_neither_changed_nor_deleted(engine: Engine, log: AuditLog) -> None:
    entries = [log.append(event(number)) for number in (1, 2)]
    statements = ["UPDATE audit_entries SET actor = 'x'", "DELETE FROM audit_entries WHERE sequence = 1"]
    statements += ["DELETE FROM audit_head", "UPDATE audit_head SET hash = 'x'", "UPDATE audit_head SET sequence = 0"]
    if engine.dialect.name == "postgresql":
        statements += ["TRUNCATE audit_entries", "TRUNCATE audit_head", "SET session_replication_role = replica; "]
        statements[-1] += "UPDATE audit_entries SET actor = 'x'"
    else:
        statements += [
            "REPLACE INTO audit_entries SELECT * FROM audit_entries",
            "REPLACE INTO audit_head VALUES (1, 0, '')",
        ]
    for statement in statements:
        assert "the audit log is append-only" in refused(engine, statement), statement
    assert log.read() == entries
    assert log.head().hash == entries[-1].hash


def test_a_number_is_given_once(engine: Engine, log: AuditLog) -> None:
    log.append(event(1))
    (record,) = chain(1)
    names = list(asdict(record))
    told = refused(
        engine,
        f"INSERT INTO audit_entries ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})",
        **asdict(record),
    )
    assert "append-only" in told or "duplicate key" in told


def test_creating_again_keeps_what_is_there_and_mends_triggers(engine: Engine, log: AuditLog) -> None:
    entry = log.append(event(1))
    owner = Owner(engine)
    with engine.connect() as connection:
        assert len(missing_triggers(connection)) == (3 if engine.dialect.name == "postgresql" else 6)
    create_tables(engine)
    create_tables(engine)
    with engine.connect() as connection:
        assert missing_triggers(connection) == []
        assert connection.execute(select(audit_head)).all() == [(1, 1, entry.hash)]
        names = {index["name"] for index in inspect(connection).get_indexes("audit_entries")}
    assert names == {"audit_entries_time", "audit_entries_object", "audit_entries_actor"}
    assert "append-only" in refused(engine, "DELETE FROM audit_entries WHERE sequence = 1")
    assert owner.rows()[0].hash == entry.hash


def test_many_processes_create_at_once(url: str) -> None:
    command = [sys.executable, "-c", CREATE, url]
    running = [subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(select(audit_head)).all() == [(1, 0, NO_HASH)]
        assert missing_triggers(connection) == []
    engine.dispose()


def test_tables_are_made_on_an_engine_that_begins_by_itself(begun_by_hook: Engine) -> None:
    create_tables(begun_by_hook)
    create_tables(begun_by_hook)
    with begun_by_hook.connect() as connection:
        assert connection.execute(select(audit_head)).all() == [(1, 0, NO_HASH)]


def test_records_come_by_page_and_in_order(engine: Engine) -> None:
    rows = chain(11)
    Owner(engine).write(rows)
    for page in (1, 3, 11, 12):
        assert list(records(engine, page)) == rows
    some = select(audit_entries).where(audit_entries.c.tenant == "north")
    assert [record.sequence for record in records(engine, 2, some)] == [2, 4, 6, 8, 10]


def test_text_that_is_no_text_is_read_all_the_same(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'audit.db'}")
    create_tables(engine)
    owner = Owner(engine)
    owner.write(chain(2))
    owner.run("UPDATE audit_entries SET actor = CAST(X'ff41' AS TEXT) WHERE sequence = 2")
    first, second = records(engine, 10)
    assert first.actor == "token-1"
    assert second.actor == "\udcffA"
    with engine.connect() as connection, pytest.raises(DBAPIError, match="UTF-8"):  # the connection is as it was
        connection.execute(text("SELECT actor FROM audit_entries")).all()
