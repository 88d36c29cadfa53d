"""The database of a log, opened so that looking at it changes nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from medground.schema.errors import InputNotFoundError, UsageError

_BUSY_S = 30


@contextmanager
def open_for_reading(url: str) -> Iterator[Engine]:
    """An engine whose connections can read and cannot write; they are closed at the end.

    Args:
        url: `sqlite:///path` or `postgresql://user@host/name`.

    Raises:
        UsageError: the URL is of no kind that is known; it is not repeated, since it may hold a password.
        InputNotFoundError: there is no such file.
    """
    engine = _engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("the database URL cannot be read; give sqlite:///path or postgresql://host/name") from None
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            execution_options={"postgresql_readonly": True},
            hide_parameters=True,
        )
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or not Path(parsed.database).is_file():  # SQLite would make an empty one
            raise InputNotFoundError(f"no database file is at {parsed.database or 'an empty path'}: check the path")
        engine = create_engine(parsed, connect_args={"timeout": _BUSY_S}, hide_parameters=True)
        event.listen(engine, "connect", _query_only)
        return engine
    raise UsageError(f"the database {parsed.get_backend_name()!r} is not known; give sqlite:/// or postgresql://")


def _query_only(connection: Any, record: object) -> None:
    del record
    connection.execute("PRAGMA query_only=ON")
