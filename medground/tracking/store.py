"""The MLflow store: a SQLite database in `mlruns/`, artifacts beside it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import mlflow
from mlflow.tracking import MlflowClient

from medground.schema.errors import UsageError

OPENING: Final = ".opening"
"""Locked by whoever opens the store."""
MAKING: Final = ".making-"
"""What the files of a store begin with whose tables are not all there yet."""
_DATABASE: Final = "mlflow.db"
_PASSING: Final = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
)
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def store_uri(home: Path) -> str:
    """Address of the store in `home`, as MLflow wants it."""
    return _uri(home / _DATABASE)


def open_store(home: Path, experiment: str) -> tuple[MlflowClient, str]:
    """Opens the store, made if absent (several seconds), and the experiment in it; one process at a time.

    Two that made the tables at once would both fail, and arms of a comparison start together. A store that could not be
    made to its end is not there: MLflow opens no store that has some of its tables.

    Args:
        home: the `mlruns` folder.
        experiment: name of the experiment, made if absent.

    Returns:
        The client and the experiment's id.

    Raises:
        UsageError: if the database cannot be opened; `may_pass` tells whether it could at another time.
    """
    for name in ("mlflow.store.db.utils", "alembic"):  # tracebacks of errors that are reported here, and migrations
        logging.getLogger(name).setLevel(logging.CRITICAL)
    uri = store_uri(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _turn(home):
            if not (home / _DATABASE).exists():
                _make(home)
            client = MlflowClient(uri, registry_uri=uri)
            found = client.get_experiment_by_name(experiment)
            if found:
                return client, str(found.experiment_id)
            return client, str(client.create_experiment(experiment, str((home / "artifacts").resolve())))
    except Exception as error:  # MLflow lets through whatever SQLAlchemy or Alembic raise
        what = f"{home / _DATABASE} cannot be opened as an MLflow store ({reason_of(error)})"
        if may_pass(error):
            raise UsageError(f"{what}; make room, or wait until no other process holds it") from error
        raise UsageError(f"{what}; move it away, and a new one is made") from error


def may_pass(error: BaseException) -> bool:
    """Whether an error comes of a store that another process holds or of a disk that is full, not of what it is."""
    return any(
        (isinstance(cause, sqlite3.Error) and _code(cause) in _PASSING)
        or (isinstance(cause, OSError) and cause.errno in _NO_ROOM)
        for cause in _causes(error)
    )


def reason_of(error: BaseException) -> str:
    """What SQLite or the system said, in a line; what MLflow said if they are not behind it."""
    causes = list(_causes(error))
    first = next((cause for cause in causes if isinstance(cause, sqlite3.Error | OSError)), causes[-1])
    return next(iter(str(first).strip().splitlines()), type(first).__name__)[:200]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _code(error: sqlite3.Error) -> int | None:
    """The primary result code of SQLite; None of an error that Python's module raises by itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _make(home: Path) -> None:
    """Makes the tables in a file beside the store, and puts a copy in its place once they are all there.

    A copy, because the client that made them keeps its file open; under a new name each time, because MLflow takes a
    database that it made before in this process for made.
    """
    making = home / f"{MAKING}{secrets.token_hex(8)}.db"
    copy = making.with_suffix(".copy")
    _clear(home)
    try:
        MlflowClient(_uri(making), registry_uri=_uri(making))
        with copy.open("wb") as file:
            file.write(making.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        copy.replace(home / _DATABASE)
    finally:
        _clear(home)


def _clear(home: Path) -> None:
    """Removes what is left of stores in the making, also by a process that was killed over it."""
    for path in home.glob(f"{MAKING}*"):
        path.unlink(missing_ok=True)


def _uri(database: Path) -> str:
    return f"sqlite:///{database.resolve()}"


@contextmanager
def _turn(home: Path) -> Iterator[None]:
    """Waits until no other process opens the store; where nothing can be locked (read-only), nobody waits."""
    with ExitStack() as held:
        with suppress(OSError):
            fcntl.flock(held.enter_context((home / OPENING).open("a")), fcntl.LOCK_EX)
        yield


def holds_run(client: MlflowClient, run_id: str) -> bool:
    """Whether the store holds the run, not deleted.

    Raises:
        MlflowException: if the store cannot be read.
    """
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.exceptions.MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):  # unknown, or no id at all
            return False
        raise
