"""The MLflow store: a SQLite database in `mlruns/`, artifacts beside it."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import mlflow
from mlflow.tracking import MlflowClient

from medground.schema.errors import UsageError

OPENING: Final = ".opening"
"""Locked by whoever opens the store."""


def store_uri(home: Path) -> str:
    """Address of the store in `home`, as MLflow wants it."""
    return f"sqlite:///{(home / 'mlflow.db').resolve()}"


def open_store(home: Path, experiment: str) -> tuple[MlflowClient, str]:
    """Opens the store, made if absent (several seconds), and the experiment in it; one process at a time.

    Two that made the tables at once would both fail, and arms of a comparison start together.

    Args:
        home: the `mlruns` folder.
        experiment: name of the experiment, made if absent.

    Returns:
        The client and the experiment's id.

    Raises:
        UsageError: if the database cannot be opened.
    """
    for name in ("mlflow.store.db.utils", "alembic"):  # tracebacks of errors that are reported here, and migrations
        logging.getLogger(name).setLevel(logging.CRITICAL)
    uri = store_uri(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _turn(home):
            client = MlflowClient(uri, registry_uri=uri)
            found = client.get_experiment_by_name(experiment)
            if found:
                return client, str(found.experiment_id)
            return client, str(client.create_experiment(experiment, str((home / "artifacts").resolve())))
    except Exception as error:  # MLflow lets through whatever SQLAlchemy or Alembic raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UsageError(
            f"{home / 'mlflow.db'} cannot be opened as an MLflow store ({reason}); move it away, and a new one is made"
        ) from error


@contextmanager
def _turn(home: Path) -> Iterator[None]:
    """Waits until no other process opens the store; where nothing can be locked (read-only), nobody waits."""
    with ExitStack() as held:
        with suppress(OSError):
            fcntl.flock(held.enter_context((home / OPENING).open("a")), fcntl.LOCK_EX)
        yield


def is_writable_run(client: MlflowClient, run_id: str) -> bool:
    """Whether the store holds the run, not deleted."""
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except mlflow.exceptions.MlflowException:
        return False
