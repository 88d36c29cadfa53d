"""Databases for the tests of the log: SQLite always, PostgreSQL where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from medground.audit.log import AuditLog
from medground.audit.tables import create_tables
from pipelines.judges.postgres import Postgres
from tests.audit.chains import Clock


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.judge("postgresql"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind, or what looks like one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'audit.db'}"
    running: Postgres = request.getfixturevalue("postgres")
    return running.new_schema()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A database of either kind with the tables of a log."""
    engine = create_engine(url)
    create_tables(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def log(engine: Engine) -> AuditLog:
    return AuditLog(engine, Clock())


@pytest.fixture
def begun_by_hook(tmp_path: Path) -> Iterator[Engine]:
    """SQLite as a service may set it up: the driver begins nothing by itself, and each transaction begins deferred."""
    engine = create_engine(f"sqlite:///{tmp_path / 'hook.db'}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    yield engine
    engine.dispose()
