"""The same statements on both databases, and what becomes of their errors."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, inspect, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFreeError

from medground.audit.tables import metadata as audit_metadata
from medground.schema.errors import UsageError
from medground.serving.database import (
    CLINICAL,
    SCHEMA_VERSION,
    connect,
    create_tables,
    insert_new,
    is_gone,
    metadata,
    schema_versions,
    studies,
    workers,
    writing,
)
from tests.serving.parts import Parts


def test_tables_are_made_once_by_many_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'service.db'}"
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: create_tables(connect(url)), range(6)))
    engine = connect(url)
    assert set(inspect(engine).get_table_names()) == set(metadata.tables)
    with engine.connect() as connection:
        assert connection.execute(select(schema_versions)).all() == [(SCHEMA_VERSION,)]
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_nobody_else_of_the_machine_reads_the_file(tmp_path: Path) -> None:
    """Even in a folder that was there before, and that others may look into."""
    tmp_path.chmod(0o755)
    engine = connect(f"sqlite:///{tmp_path / 'service.db'}")
    create_tables(engine)
    with writing(engine) as connection:
        insert_new(connection, workers, {"executor_id": "w", "model_sha256": "m", "beat_us": 1})
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
        assert len(list(tmp_path.iterdir())) == 3  # with what SQLite has beside it


def test_a_database_of_another_version_is_left_alone(parts: Parts) -> None:
    create_tables(parts.engine)
    with writing(parts.engine) as connection:
        connection.execute(schema_versions.update().values(version=99))
    with pytest.raises(UsageError, match=f"has version 99 of the tables, this service needs {SCHEMA_VERSION}"):
        create_tables(parts.engine)


@pytest.mark.parametrize(
    ("url", "said"),
    [("mysql://root:watchword@db/x", "'mysql' is not known"), ("watchword", "cannot be read; give sqlite:///path")],
)
def test_what_is_no_database(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        connect(url)
    assert "watchword" not in str(error.value)


def test_a_row_is_inserted_unless_its_key_is_there(parts: Parts) -> None:
    row = {"executor_id": "w", "model_sha256": "m", "beat_us": 1}
    with writing(parts.engine) as connection:
        assert insert_new(connection, workers, row)
        assert not insert_new(connection, workers, row | {"beat_us": 2})
        assert connection.execute(select(workers.c.beat_us)).all() == [(1,)]


def test_what_is_written_stands_or_falls_together(parts: Parts) -> None:
    def broken() -> None:
        with writing(parts.engine) as connection:
            insert_new(connection, workers, {"executor_id": "w", "model_sha256": "m", "beat_us": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with parts.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(workers)) == 0


def test_writers_wait_for_each_other(parts: Parts) -> None:
    """Read, then write, from many threads at once: no update is lost, and none fails."""
    with writing(parts.engine) as connection:
        insert_new(connection, workers, {"executor_id": "w", "model_sha256": "m", "beat_us": 0})

    def count(_: int) -> None:
        with writing(parts.engine) as connection:
            found = connection.scalar(select(workers.c.beat_us).with_for_update())
            connection.execute(workers.update().values(beat_us=(found or 0) + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    with parts.engine.connect() as connection:
        assert connection.scalar(select(workers.c.beat_us)) == 40


def test_readers_do_not_wait_for_a_writer(parts: Parts) -> None:
    with writing(parts.engine) as connection:
        insert_new(connection, workers, {"executor_id": "w", "model_sha256": "m", "beat_us": 1})
        with parts.engine.connect() as other:
            assert other.scalar(select(func.count()).select_from(workers)) == 0


KILLED = """
import os, signal, sys
from medground.serving.database import connect, create_tables, insert_new, workers, writing
engine = connect(sys.argv[1])
create_tables(engine)
with writing(engine) as connection:
    insert_new(connection, workers, {"executor_id": "committed", "model_sha256": "m", "beat_us": 1})
with writing(engine) as connection:
    insert_new(connection, workers, {"executor_id": "not yet", "model_sha256": "m", "beat_us": 1})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_committed_outlives_a_kill(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    assert subprocess.run([sys.executable, "-c", KILLED, url], check=False).returncode == -9
    with connect(url).connect() as connection:
        assert list(connection.scalars(select(workers.c.executor_id))) == ["committed"]
        assert connection.scalar(text("PRAGMA synchronous")) == 2  # FULL: also outlives a power failure


def test_no_error_quotes_what_was_to_be_written(parts: Parts) -> None:
    row = {column.name: 0 for column in studies.columns} | {"patient_name": "Doe^Jane", "tenant": None}
    with pytest.raises(DBAPIError) as error, writing(parts.engine) as connection:
        connection.execute(studies.insert().values(row))
    assert "hide_parameters" in str(error.value)
    assert "Doe" not in str(error.value).partition("DETAIL:")[0]  # what PostgreSQL itself adds is never shown


def test_which_errors_may_pass(parts: Parts) -> None:
    with pytest.raises(DBAPIError) as lasting, parts.engine.connect() as connection:
        connection.execute(studies.insert().values({column.name: None for column in studies.columns}))
    assert not is_gone(lasting.value)
    away = connect("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(OperationalError) as gone:
        away.connect()
    assert is_gone(gone.value)
    assert is_gone(OperationalError("", {}, sqlite3.OperationalError("database is locked")))
    assert not is_gone(ValueError())


def test_a_queue_for_connections_may_pass(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(NoneFreeError) as error:
        engine.connect()
    assert is_gone(error.value)


def test_tables_that_hold_what_came_with_images_are_named() -> None:
    """A new table is clinical unless each of its columns is known to hold keys, times or states alone."""
    plain = {"tenant", "study_key", "job_id", "instance_id", "question_key", "model_name", "model_version", "replaces"}
    plain |= {"kind", "number", "sop_uid", "sha256", "size_bytes", "destination", "state", "attempts", "problem"}
    plain |= {"key_sha256", "request_sha256", "executor_id", "model_sha256", "version"}
    plain |= {"calling_ae", "called_ae", "transaction_uid", "content"}  # of commitments: UIDs of objects, and who asked
    for name, table in metadata.tables.items():
        if name not in CLINICAL:
            columns = {column.name for column in table.columns if not column.name.endswith("_us")}
            assert columns <= plain, name
    assert set(CLINICAL) <= set(metadata.tables)
    assert not set(audit_metadata.tables) & set(metadata.tables)


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """SQLite refuses all but one that want to change its journal at the same moment; one in twenty times it did."""
    for number in range(40):
        gate = threading.Barrier(8)

        def opened(path: Path = tmp_path / f"{number}.db", gate: threading.Barrier = gate) -> str:
            engine = connect(f"sqlite:///{path}")
            gate.wait()
            with engine.connect() as connection:
                mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
            engine.dispose()
            return str(mode)

        with ThreadPoolExecutor(8) as pool:
            assert [run.result() for run in [pool.submit(opened) for _ in range(8)]] == ["wal"] * 8
