"""An empty store, made once: MLflow takes seconds to lay out its tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from medground.tracking.store import open_store


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("store")
    client, _ = open_store(home, "unused")
    del client
    return home / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, empty_store: Path) -> Path:
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    return folder
